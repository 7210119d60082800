/**
 * Owns: whether the DCS may be asked about a visitor, decided before the cache is read and before any call. Never throws. It
 * must not know what is cached for the visitor. Next: ../lookup/answer-resolver.ts.
 */
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { detachedString } from '../cache/detached-string';
import type { ConsentSignal } from '../channels/messages';
import { promisedBy } from '../handed-over/reading';
import type { Identity } from '../identity/visitor';
import {
  type CookieFinder,
  type CookieSlot,
  type CookieValue,
  decodedValue,
  type FoundCookies,
} from '../request/cookie-header';
import { headerText } from '../request/header-text';
import { SiteCallback } from '../request/site-callback';
import { type Agreement, optInConsent, webSdkConsent } from './adobe-consent';
import { tcStringAgrees } from './tcf';

/** Why the DCS must not be asked about a visitor. */
export type Refusal = 'opted-out' | 'no-consent';

/** The decision of the gate. */
export interface Consent {
  /** `undefined` if the DCS may be asked. */
  readonly refusal: Refusal | undefined;
  /** A TC string that consents; it is sent with the call. */
  readonly tcString: string | undefined;
  /** What decided, for those who watch; `undefined` if nothing did. */
  readonly signal?: ConsentSignal | undefined;
}

/** The resolved options that deciding needs. */
export interface ConsentConfig {
  /** The name of the Web SDK's consent cookie. */
  readonly webSdkCookie: string;
  /** Whether a visitor who has neither agreed nor refused counts as having refused. */
  readonly required: boolean;
  /** Whether `Sec-GPC: 1` is a refusal. */
  readonly gpc: boolean;
  /** The name of the cookie with the TC string. */
  readonly tcfCookie: string | false;
  /** The site's own function: only `true` is an agreement. */
  readonly given: ((req: unknown) => unknown) | undefined;
}

/** Parsing a TC string costs more than the rest of the gate, and a visitor sends the same one with every request. */
const MAX_TC_STRINGS = 1_000;

const ALLOWED: Consent = { refusal: undefined, tcString: undefined };
const OPTED_OUT: Consent = { refusal: 'opted-out', tcString: undefined, signal: 'amcv-optout' };
/** By what decided. Made once, as most requests have one of these. */
const ALLOWED_BY = { 'web-sdk': allowing('web-sdk'), 'opt-in': allowing('opt-in'), site: allowing('site') };
const REFUSED = {
  gpc: refusedBy('gpc'),
  tcf: refusedBy('tcf'),
  webSdk: refusedBy('web-sdk'),
  optIn: refusedBy('opt-in'),
  site: refusedBy('site'),
  unreadable: refusedBy('unreadable'),
  required: refusedBy('required'),
};
/** Where the site's function does not say so in time, or fails. */
export const NO_CONSENT: Consent = REFUSED.site;

export class ConsentGate {
  readonly #config: ConsentConfig;
  readonly #cookies: CookieFinder;
  readonly #webSdk: CookieSlot;
  readonly #optIn: CookieSlot;
  readonly #tcf: CookieSlot | undefined;
  readonly #given: SiteCallback<unknown> | undefined;
  readonly #tcStrings = new LRUCache<string, boolean>({ max: MAX_TC_STRINGS });

  constructor(config: ConsentConfig, cookies: CookieFinder) {
    this.#config = config;
    this.#cookies = cookies;
    this.#webSdk = cookies.register(config.webSdkCookie);
    this.#optIn = cookies.register('adobeujs-optin');
    this.#tcf = config.tcfCookie === false ? undefined : cookies.register(config.tcfCookie);
    this.#given = config.given && new SiteCallback('options.consent.given', 'WRN_AAM_CONSENT', config.given);
  }

  /** Returns a promise only if `consent.given` does. */
  consider(req: IncomingMessage, found: FoundCookies, identity: Identity): Consent | Promise<Consent> {
    if (identity.optedOut) return OPTED_OUT;
    // A refusal may be among what was not read.
    if (this.#cookies.isIncomplete(found)) return REFUSED.unreadable;
    // Not ===, since Node joins repeated headers: `1, 1`. What nobody can read may be a refusal, too.
    if (this.#config.gpc && headerText(req.headers['sec-gpc'] as unknown, '1')?.includes('1')) return REFUSED.gpc;
    const tcString = this.#tcf === undefined ? undefined : this.#tcString(found[this.#tcf]);
    const tcf = tcString === undefined ? undefined : tcString !== REFUSING;
    const webSdk = agreementIn(found[this.#webSdk], webSdkConsent);
    const optIn = agreementIn(found[this.#optIn], optInConsent);
    if (tcf === false) return REFUSED.tcf;
    if (webSdk === false) return REFUSED.webSdk;
    if (optIn === false) return REFUSED.optIn;
    // Without an id there will be no call, so the site's function is not called.
    if (identity.problem !== undefined) return ALLOWED;
    if (this.#given === undefined) {
      const signal = tcf ? 'tcf' : webSdk ? 'web-sdk' : optIn ? 'opt-in' : undefined;
      if (signal === undefined) return this.#config.required ? REFUSED.required : ALLOWED;
      return allowedBy(signal, tcString);
    }
    const allowed = allowedBy('site', tcString);
    const answer = this.#given.call(req, false);
    const promise = promisedBy(answer);
    if (promise !== undefined) return this.#awaited(this.#given, promise, allowed);
    return answer === true ? allowed : NO_CONSENT;
  }

  async #awaited(
    given: SiteCallback<unknown>,
    promise: Promise<{ readonly value: unknown }>,
    allowed: Consent,
  ): Promise<Consent> {
    try {
      return (await promise).value === true ? allowed : NO_CONSENT;
    } catch (error) {
      given.threw(error);
      return NO_CONSENT;
    }
  }

  /** The first TC string if all consent, else {@link REFUSING}; `undefined` without any. */
  #tcString(values: readonly CookieValue[] | undefined): string | undefined {
    let first: string | undefined;
    for (const value of values ?? NO_VALUES) {
      const text = decodedValue(value) ?? REFUSING;
      if (!this.#tcStringAgrees(text)) return REFUSING;
      first ??= text;
    }
    return first;
  }

  #tcStringAgrees(tcString: string): boolean {
    const cached = this.#tcStrings.get(tcString);
    if (cached !== undefined) return cached;
    const agrees = tcStringAgrees(tcString);
    if (agrees) this.#tcStrings.set(detachedString(tcString), agrees);
    return agrees;
  }
}

function allowedBy(signal: 'tcf' | keyof typeof ALLOWED_BY, tcString: string | undefined): Consent {
  return signal === 'tcf' || tcString !== undefined ? { refusal: undefined, tcString, signal } : ALLOWED_BY[signal];
}

function allowing(signal: ConsentSignal): Consent {
  return { refusal: undefined, tcString: undefined, signal };
}

function refusedBy(signal: ConsentSignal): Consent {
  return { refusal: 'no-consent', tcString: undefined, signal };
}

/** Stands for a refusal; no valid TC string is empty. */
const REFUSING = '';
const NO_VALUES: readonly CookieValue[] = [];

/** Merges cookies of one name: a refusal in any of them counts. */
function agreementIn(
  values: readonly CookieValue[] | undefined,
  agreementOf: (value: CookieValue) => Agreement,
): Agreement {
  let found: Agreement;
  for (const value of values ?? NO_VALUES) {
    const agreement = agreementOf(value);
    if (agreement === false) return false;
    found ??= agreement;
  }
  return found;
}

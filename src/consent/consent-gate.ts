/**
 * Owns: whether the DCS may be asked about a visitor, decided before the cache is read and before any call. Never throws. It
 * must not know what is cached for the visitor. Next: ../lookup/answer-resolver.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { detachedString } from '../cache/detached-string';
import { KnownTexts } from '../cache/known-texts';
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

/** Longer ones are nobody's, and are not kept. */
const MAX_TC_STRING_LENGTH = 4_096;

const ALLOWED: Consent = { refusal: undefined, tcString: undefined };
const OPTED_OUT: Consent = { refusal: 'opted-out', tcString: undefined, signal: 'amcv-optout' };
/** By what decided. Made once, as most requests have one of these. */
const ALLOWED_BY = { webSdk: allowing('web-sdk'), optIn: allowing('opt-in'), site: allowing('site') };
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
/** Where what the visitor may have said cannot be read. */
export const UNREADABLE: Consent = REFUSED.unreadable;

export class ConsentGate {
  readonly #config: ConsentConfig;
  readonly #cookies: CookieFinder;
  readonly #webSdk: CookieSlot;
  readonly #optIn: CookieSlot;
  readonly #tcf: CookieSlot | undefined;
  readonly #given: SiteCallback<unknown> | undefined;
  /** What TC cookies say: parsing one costs more than all the rest, and visitors send theirs with every request. */
  readonly #tcStrings = new KnownTexts<Consent>();

  constructor(config: ConsentConfig, cookies: CookieFinder) {
    this.#config = config;
    this.#cookies = cookies;
    this.#webSdk = cookies.register(config.webSdkCookie);
    this.#optIn = cookies.register('adobeujs-optin');
    this.#tcf = config.tcfCookie === false ? undefined : cookies.register(config.tcfCookie);
    this.#given = config.given && new SiteCallback('options.consent.given', 'WRN_AAM_CONSENT', config.given);
  }

  /**
   * Returns a promise only if `consent.given` does.
   * @param req for the site's function
   */
  consider(
    req: unknown,
    headers: IncomingHttpHeaders,
    found: FoundCookies,
    identity: Identity,
  ): Consent | Promise<Consent> {
    if (identity.optedOut) return OPTED_OUT;
    // A refusal may be among what was not read.
    if (this.#cookies.isIncomplete(found)) return REFUSED.unreadable;
    // Not ===, since Node joins repeated headers: `1, 1`. What nobody can read may be a refusal, too.
    if (this.#config.gpc && headerText(headers['sec-gpc'] as unknown, '1')?.includes('1')) return REFUSED.gpc;
    const tcf = this.#tcf === undefined ? undefined : this.#tcfConsent(found[this.#tcf]);
    const webSdk = agreementIn(found[this.#webSdk], webSdkConsent);
    const optIn = agreementIn(found[this.#optIn], optInConsent);
    if (tcf?.refusal !== undefined) return tcf;
    if (webSdk === false) return REFUSED.webSdk;
    if (optIn === false) return REFUSED.optIn;
    // Without an id there will be no call, so the site's function is not called.
    if (identity.problem !== undefined) return ALLOWED;
    if (this.#given === undefined) {
      if (tcf !== undefined) return tcf;
      if (webSdk) return ALLOWED_BY.webSdk;
      if (optIn) return ALLOWED_BY.optIn;
      return this.#config.required ? REFUSED.required : ALLOWED;
    }
    const allowed: Consent = tcf === undefined ? ALLOWED_BY.site : { ...tcf, signal: 'site' };
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

  /** Consent with the first TC string if all consent; `undefined` without any. */
  #tcfConsent(values: readonly CookieValue[] | undefined): Consent | undefined {
    let first: Consent | undefined;
    for (const value of values ?? NO_VALUES) {
      const consent = this.#consentBy(value);
      if (consent.refusal !== undefined) return consent;
      first ??= consent;
    }
    return first;
  }

  #consentBy(value: CookieValue): Consent {
    const text = value.text.slice(value.start, value.end);
    const known = this.#tcStrings.get(text);
    if (known !== undefined) return known;
    const tcString = decodedValue(value);
    const agrees = tcString !== undefined && tcStringAgrees(tcString);
    const consent: Consent = agrees
      ? { refusal: undefined, tcString: detachedString(tcString), signal: 'tcf' }
      : REFUSED.tcf;
    if (text.length <= MAX_TC_STRING_LENGTH) this.#tcStrings.add(text, consent);
    return consent;
  }
}

function allowing(signal: ConsentSignal): Consent {
  return { refusal: undefined, tcString: undefined, signal };
}

function refusedBy(signal: ConsentSignal): Consent {
  return { refusal: 'no-consent', tcString: undefined, signal };
}

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

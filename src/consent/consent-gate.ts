/**
 * Owns: whether the DCS may be asked about a visitor. Decides before the cache is read and before any call; never
 * throws. It must not know what is remembered of the visitor. Next: answer-resolver.ts.
 */
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { detachedString } from '../cache/detached-string';
import type { Identity } from '../identity/visitor';
import {
  type CookieFinder,
  type CookieSlot,
  type CookieValue,
  decodedValue,
  type FoundCookies,
} from '../request/cookie-header';
import { SiteCallback } from '../request/site-callback';
import { type Agreement, optInConsent, webSdkConsent } from './adobe-consent';
import { tcStringAgrees } from './tcf';

/** Why a visitor must not be asked about. */
export type Refusal = 'opted-out' | 'no-consent';

/** What the gate has decided. */
export interface Consent {
  /** `undefined` when nothing forbids it. */
  readonly refusal: Refusal | undefined;
  /** The TC string that consents: it goes along with the call. */
  readonly tcString: string | undefined;
}

/** The resolved values that deciding needs. */
export interface ConsentConfig {
  /** The cookie in which the Web SDK keeps the visitor's choice. */
  readonly webSdkCookie: string;
  /** Whether who has not said anything has refused. */
  readonly required: boolean;
  /** Whether `Sec-GPC: 1` is a refusal. */
  readonly gpc: boolean;
  /** The cookie with the TC string. */
  readonly tcfCookie: string | false;
  /** The site's own knowledge: only `true` is a yes. */
  readonly given: ((req: unknown) => unknown) | undefined;
}

/** Reading a TC string costs more than all the rest; a visitor brings the same one with every request. */
const MAX_TC_STRINGS = 1_000;

const GO: Consent = { refusal: undefined, tcString: undefined };
const OPTED_OUT: Consent = { refusal: 'opted-out', tcString: undefined };
export const NO_CONSENT: Consent = { refusal: 'no-consent', tcString: undefined };

export class ConsentGate {
  readonly #config: ConsentConfig;
  readonly #webSdk: CookieSlot;
  readonly #optIn: CookieSlot;
  readonly #tcf: CookieSlot | undefined;
  readonly #given: SiteCallback<unknown> | undefined;
  readonly #tcStrings = new LRUCache<string, boolean>({ max: MAX_TC_STRINGS });

  constructor(config: ConsentConfig, cookies: CookieFinder) {
    this.#config = config;
    this.#webSdk = cookies.register(config.webSdkCookie);
    this.#optIn = cookies.register('adobeujs-optin');
    this.#tcf = config.tcfCookie === false ? undefined : cookies.register(config.tcfCookie);
    this.#given = config.given && new SiteCallback('options.consent.given', 'WRN_AAM_CONSENT', config.given);
  }

  /** A promise only where the site's own function gives one. */
  consider(req: IncomingMessage, found: FoundCookies, identity: Identity): Consent | Promise<Consent> {
    if (identity.optedOut) return OPTED_OUT;
    // Not ===: where it was sent twice, Node has joined the two.
    if (this.#config.gpc && req.headers['sec-gpc']?.includes('1')) return NO_CONSENT;
    const tcString = this.#tcf === undefined ? undefined : this.#tcString(found[this.#tcf]);
    const tcf = tcString === undefined ? undefined : tcString !== REFUSING;
    const webSdk = agreementIn(found[this.#webSdk], webSdkConsent);
    const optIn = agreementIn(found[this.#optIn], optInConsent);
    if (tcf === false || webSdk === false || optIn === false) return NO_CONSENT;
    // Nobody to ask about, so nothing to ask the site.
    if (identity.problem !== undefined) return GO;
    const go = tcString === undefined ? GO : { refusal: undefined, tcString };
    if (this.#given === undefined) return !this.#config.required || tcf || webSdk || optIn ? go : NO_CONSENT;
    const answer = this.#given.call(req, false);
    if (isPromise(answer)) return this.#awaited(this.#given, answer, go);
    return answer === true ? go : NO_CONSENT;
  }

  async #awaited(given: SiteCallback<unknown>, answer: PromiseLike<unknown>, go: Consent): Promise<Consent> {
    try {
      return (await answer) === true ? go : NO_CONSENT;
    } catch (error) {
      given.threw(error);
      return NO_CONSENT;
    }
  }

  /** The one that agrees; {@link REFUSING} where one of them does not. */
  #tcString(values: readonly CookieValue[] | undefined): string | undefined {
    const texts = values?.map((value) => decodedValue(value) ?? REFUSING);
    return texts?.find((text) => !this.#tcStringAgrees(text)) === undefined ? texts?.[0] : REFUSING;
  }

  #tcStringAgrees(tcString: string): boolean {
    const known = this.#tcStrings.get(tcString);
    if (known !== undefined) return known;
    const agrees = tcStringAgrees(tcString);
    if (agrees) this.#tcStrings.set(detachedString(tcString), agrees);
    return agrees;
  }
}

/** No TC string, and so none that agrees. */
const REFUSING = '';

/** Several cookies of one name: a refusal in any of them counts. */
function agreementIn(
  values: readonly CookieValue[] | undefined,
  agreementOf: (value: CookieValue) => Agreement,
): Agreement {
  if (values === undefined) return undefined;
  const agreements = values.map(agreementOf);
  return agreements.includes(false) ? false : agreements.find((agreement) => agreement !== undefined);
}

function isPromise(answer: unknown): answer is PromiseLike<unknown> {
  return typeof (answer as { then?: unknown } | null | undefined)?.then === 'function';
}

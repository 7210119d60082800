/**
 * Owns: whether the DCS may be asked about a visitor, decided before the cache is read and before any call. Never throws. It
 * must not know what is cached for the visitor. Next: ../lookup/answer-resolver.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ConsentSignal } from '../channels/messages';
import { promisedBy } from '../handed-over/reading';
import type { OptOutClaim } from '../identity/identity-reader';
import type { Identity } from '../identity/visitor';
import type { CookieFinder, FoundCookies } from '../request/cookie-header';
import { headerText } from '../request/header-text';
import { SiteCallback } from '../request/site-callback';
import { type ConsentCookie, type ConsentCookiesConfig, consentCookies } from './consent-cookies';
import { type ConsentExplanation, type ConsentFinding, finding, optOutFinding } from './explanation';
import { refuses, saysNothing } from './statement';

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
export interface ConsentConfig extends ConsentCookiesConfig {
  /** Whether a visitor who has neither agreed nor refused counts as having refused. */
  readonly required: boolean;
  /** Whether visitors without an id are asked, too, since they may get a cookie. */
  readonly isAskedOfAll?: boolean;
  /** The site's own function: only `true` is an agreement. */
  readonly given: ((req: unknown) => unknown) | undefined;
}

const ALLOWED: Consent = { refusal: undefined, tcString: undefined };
/** By what decided. Made once, as most requests have one of these. */
const ALLOWED_BY = {
  tcf: allowing('tcf'),
  'web-sdk': allowing('web-sdk'),
  'opt-in': allowing('opt-in'),
  gpp: allowing('gpp'),
  'us-privacy': allowing('us-privacy'),
  site: allowing('site'),
};
const REFUSED_BY = {
  gpc: refusedBy('gpc'),
  tcf: refusedBy('tcf'),
  'web-sdk': refusedBy('web-sdk'),
  'opt-in': refusedBy('opt-in'),
  gpp: refusedBy('gpp'),
  'us-privacy': refusedBy('us-privacy'),
  site: refusedBy('site'),
  unreadable: refusedBy('unreadable'),
  required: refusedBy('required'),
};
const OPTED_OUT: Consent = { refusal: 'opted-out', tcString: undefined, signal: 'amcv-optout' };
/** Where the site's function does not say so in time, or fails. */
export const NO_CONSENT: Consent = REFUSED_BY.site;
/** Where what the visitor may have said cannot be read. */
export const UNREADABLE: Consent = REFUSED_BY.unreadable;

const INCOMPLETE = refuses('a cookie occurs more often than browsers send one, or is no text');
const SENT_GPC = refuses('the header is 1, or no text');
const NOT_CALLED = saysNothing('it is not called for an explanation');
const NOBODY_AGREED = refuses('no source agrees');

export class ConsentGate {
  readonly #config: ConsentConfig;
  readonly #finder: CookieFinder;
  readonly #cookies: readonly ConsentCookie[];
  readonly #given: SiteCallback<unknown> | undefined;

  constructor(config: ConsentConfig, finder: CookieFinder) {
    this.#config = config;
    this.#finder = finder;
    this.#cookies = consentCookies(config, finder);
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
    const heard = this.heardIn(headers, found, identity);
    if (heard.refusal !== undefined) return heard;
    // Without an id there will be no call, so the site's function is not called.
    if (identity.problem !== undefined && !this.#config.isAskedOfAll) return ALLOWED;
    if (this.#given === undefined) return this.#withoutSite(heard);
    const { tcString } = heard;
    const allowed = tcString === undefined ? ALLOWED_BY.site : new AllowedWith(tcString, 'site');
    const answer = this.#given.call(req, false);
    const promise = promisedBy(answer);
    if (promise !== undefined) return this.#awaited(this.#given, promise, allowed);
    return answer === true ? allowed : NO_CONSENT;
  }

  /** What the request itself says. A single refusal outweighs any number of agreements. */
  heardIn(headers: IncomingHttpHeaders, found: FoundCookies, identity: Identity): Consent {
    if (identity.optedOut) return OPTED_OUT;
    // A refusal may be among what was not read.
    if (this.#finder.isIncomplete(found)) return REFUSED_BY.unreadable;
    if (this.#sendsGpc(headers)) return REFUSED_BY.gpc;
    let agreeing: ConsentCookie['signal'] | undefined;
    let tcString: string | undefined;
    for (let n = 0; n < this.#cookies.length; n++) {
      const { slot, signal, read } = this.#cookies[n] as ConsentCookie;
      const values = found[slot];
      if (values === undefined) continue;
      for (const value of values) {
        const statement = read(value);
        if (statement.agreement === false) return REFUSED_BY[signal];
        if (statement.agreement === undefined) continue;
        agreeing ??= signal;
        tcString ??= statement.tcString;
      }
    }
    if (agreeing === undefined) return ALLOWED;
    return tcString === undefined ? ALLOWED_BY[agreeing] : new AllowedWith(tcString, agreeing);
  }

  /** Where the site's function is not asked. */
  #withoutSite(heard: Consent): Consent {
    return heard.signal === undefined && this.#config.required ? REFUSED_BY.required : heard;
  }

  /** What each source says, and what decides about a visitor with an id. The site's function is not called. */
  explain(headers: IncomingHttpHeaders, found: FoundCookies, optOuts: readonly OptOutClaim[]): ConsentExplanation {
    const identity = { visitor: {}, problem: undefined, optedOut: optOuts.some(({ optedOut }) => optedOut) };
    const heard = this.heardIn(headers, found, identity);
    const isUpToSite = heard.refusal === undefined && this.#given !== undefined;
    const { refusal, signal } = isUpToSite ? ALLOWED_BY.site : this.#withoutSite(heard);
    const findings: ConsentFinding[] = optOuts.map(optOutFinding);
    if (this.#finder.isIncomplete(found)) findings.push(finding('unreadable', 'Cookie', INCOMPLETE));
    if (this.#sendsGpc(headers)) findings.push(finding('gpc', 'Sec-GPC', SENT_GPC));
    for (const { slot, signal: kind, name, read } of this.#cookies) {
      for (const value of found[slot] ?? []) findings.push(finding(kind, name, read(value)));
    }
    if (this.#given !== undefined) findings.push(finding('site', 'consent.given', NOT_CALLED));
    if (signal === 'required') findings.push(finding('required', 'consent.required', NOBODY_AGREED));
    return { verdict: isUpToSite ? 'up-to-site' : (refusal ?? 'may-be-asked'), decidedBy: signal, findings };
  }

  #sendsGpc(headers: IncomingHttpHeaders): boolean {
    // Not ===, since Node joins repeated headers: `1, 1`. What nobody can read may be a refusal, too.
    return this.#config.gpc && headerText(headers['sec-gpc'] as unknown, '1')?.includes('1') === true;
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
}

class AllowedWith implements Consent {
  readonly refusal = undefined;
  readonly tcString: string;
  readonly signal: ConsentSignal;

  constructor(tcString: string, signal: ConsentSignal) {
    this.tcString = tcString;
    this.signal = signal;
  }
}

function allowing(signal: ConsentSignal): Consent {
  return { refusal: undefined, tcString: undefined, signal };
}

function refusedBy(signal: ConsentSignal): Consent {
  return { refusal: 'no-consent', tcString: undefined, signal };
}

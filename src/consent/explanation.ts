/**
 * Owns: the account of what a request says about consent, for those who ask why somebody is or is not asked about. Contains
 * nothing that could identify the visitor: no values, only what they mean. Next: consent-gate.ts, which gives it.
 */
import type { ConsentSignal } from '../channels/messages';
import type { OptOutClaim } from '../identity/identity-reader';
import { type Statement, UNDECODABLE } from './statement';

/** What one source says about consent. */
export interface ConsentFinding {
  readonly signal: ConsentSignal;
  /** The name of the cookie, the header or the option. */
  readonly source: string;
  readonly says: 'agrees' | 'refuses' | 'nothing';
  /** How it is understood, as a clause such as `it does not consent to vendor 565`. Contains nothing of the value. */
  readonly because: string;
}

/** What a request says about consent, and what decides. Contains no identifier. */
export interface ConsentExplanation {
  /**
   * - `may-be-asked`: nothing refuses, and if consent is required, something agrees;
   * - `opted-out`, `no-consent`: the reason with which the visitor is `excluded`;
   * - `up-to-site`: no other source refuses, so `consent.given` decides. It has not been called.
   */
  readonly verdict: 'may-be-asked' | 'opted-out' | 'no-consent' | 'up-to-site';
  /** What decides; `undefined` if nobody said anything, and that is enough. */
  readonly decidedBy: ConsentSignal | undefined;
  /** All that was heard, also what does not decide: each value of each cookie, in the order in which they are considered. */
  readonly findings: readonly ConsentFinding[];
}

export function finding(signal: ConsentSignal, source: string, { agreement, because }: Statement): ConsentFinding {
  const says = agreement === undefined ? 'nothing' : agreement ? 'agrees' : 'refuses';
  return { signal, source, says, because };
}

export function optOutFinding({ cookie, optedOut, isReadable }: OptOutClaim): ConsentFinding {
  const because = !optedOut ? 'it has no opt-out' : isReadable ? 'it has an opt-out' : UNDECODABLE.because;
  return { signal: 'amcv-optout', source: cookie, says: optedOut ? 'refuses' : 'nothing', because };
}

/** Of a request that throws when it is looked at. */
export function unreadableRequest(): ConsentExplanation {
  const because = 'it throws when it is looked at';
  return {
    verdict: 'no-consent',
    decidedBy: 'unreadable',
    findings: [{ signal: 'unreadable', source: 'the request', says: 'refuses', because }],
  };
}

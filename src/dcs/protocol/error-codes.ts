/**
 * Owns: the effect of each DCS error code. The DCS answers almost everything with HTTP 200 and reports errors as codes in
 * the answer (Audience Manager docs, "DCS error codes, messages, and examples").
 */

/** Why no calls are made about a visitor, temporarily or for good. */
export type Exclusion = 'opted-out' | 'no-consent' | 'denylisted' | 'invalid-id' | 'refused';

/**
 * - an {@link Exclusion}: the DCS does not serve this visitor; the cached answer is dropped;
 * - `rejected`: the request is wrong for every visitor, usually by configuration; the cached answer stays;
 * - `no-data`: the DCS could not read the profile at the moment; the cached answer stays;
 * - `warning`: the rest of the answer is usable.
 */
export type Effect = Exclusion | 'rejected' | 'no-data' | 'warning';

/** Most severe first: in an answer with several codes, the first of these effects decides. */
const BY_SEVERITY: readonly Effect[] = ['opted-out', 'denylisted', 'invalid-id', 'refused', 'rejected', 'no-data'];

const EFFECTS: ReadonlyMap<number, Effect> = new Map<number, Effect>([
  [0, 'no-data'], // unspecified
  [1, 'rejected'], // unknown partner host name
  [2, 'rejected'], // unknown organisation
  [10, 'no-data'], // traits not evaluated, or only partly
  [100, 'rejected'], // no Host header
  [101, 'invalid-id'],
  [102, 'invalid-id'],
  [109, 'rejected'], // referer not allowed
  [111, 'rejected'], // invalid IMS token
  [171, 'opted-out'],
  [172, 'refused'], // third-party cookies blocked
  [173, 'opted-out'], // opted out through NAI
  [198, 'refused'], // country blocked by the customer's own setting
  [199, 'refused'], // country under embargo
  [200, 'no-data'],
  [201, 'no-data'],
  [202, 'no-data'],
  [203, 'no-data'],
  [204, 'no-data'],
  [205, 'no-data'],
  [306, 'denylisted'],
  [307, 'denylisted'],
  [315, 'opted-out'], // no consent in the TC string
]);

/**
 * The combined effect of all codes of an answer, and the code that decided it. Codes that are not in the table, such as 104
 * and most from 300 up, are warnings: the data in the answer remains usable, and an answer without data counts as empty.
 */
export function effectOf(codes: readonly number[]): { effect: Effect; code: number | undefined } {
  for (const effect of BY_SEVERITY) {
    const code = codes.find((candidate) => EFFECTS.get(candidate) === effect);
    if (code !== undefined) return { effect, code };
  }
  return { effect: 'warning', code: undefined };
}

/** What a code means and what to do, for the codes that only the site or its proxies can fix. No other code is reported. */
export const ADVICE: ReadonlyMap<number, string> = new Map([
  [1, "the partner is unknown; check the option 'partner' against the alias that Adobe gave you"],
  [2, "the organisation is unknown; check the option 'orgId'"],
  [100, 'the Host header is missing; check the proxies between this server and the DCS'],
  [104, "none of the visitor's customer ids is valid; check what 'identity.customerIds' returns"],
  [109, 'the Referer header is not allowed; check the proxies between this server and the DCS, which add it'],
  [111, 'the IMS token is invalid; check the proxies between this server and the DCS, which add it'],
  [
    198,
    "the country of this server is blocked in your company's Audience Manager settings; no visitor can be looked up from here",
  ],
  [199, 'the country of this server is under embargo by Adobe; no visitor can be looked up from here'],
  [
    302,
    "a data source does not belong to your company; check 'dataSourceId' and 'integrationCode' in what 'identity.customerIds' returns",
  ],
  [304, "a data source is on Adobe's deny list; remove it from what 'identity.customerIds' returns, and ask Adobe why"],
  [
    311,
    'a parameter was not encoded correctly, and the whole request was discarded; check the proxies between this server and the DCS',
  ],
  [313, 'the consent management platform that wrote the TC string is unknown to Adobe; the string is ignored'],
  [314, 'the consent management platform that wrote the TC string is no longer registered; the string is ignored'],
]);

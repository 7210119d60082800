/**
 * Owns: what each DCS error code leads to. The DCS answers nearly everything with HTTP 200 and says in a code what
 * was wrong (Audience Manager docs, "DCS error codes, messages, and examples").
 */

/** Why a visitor is not asked about again for a while, or ever. */
export type Exclusion = 'opted-out' | 'no-consent' | 'denylisted' | 'invalid-id' | 'refused';

/**
 * - an {@link Exclusion}: the DCS will not serve this visitor; what is known of them is dropped;
 * - `rejected`: the call as such was wrong, so is every other one; what is known stays;
 * - `no-data`: the DCS could not read the profile just now; what is known stays;
 * - `warning`: the rest of the answer counts.
 */
export type Effect = Exclusion | 'rejected' | 'no-data' | 'warning';

/** Where an answer has several codes, the first of these effects decides. */
const BY_WEIGHT: readonly Effect[] = ['opted-out', 'denylisted', 'invalid-id', 'refused', 'rejected', 'no-data'];

const EFFECTS: ReadonlyMap<number, Effect> = new Map<number, Effect>([
  [0, 'no-data'], // unspecified
  [1, 'rejected'], // host name of the partner unknown
  [2, 'rejected'], // organisation unknown
  [10, 'no-data'], // traits not or only partly evaluated
  [100, 'rejected'], // no host name
  [101, 'invalid-id'],
  [102, 'invalid-id'],
  [109, 'rejected'], // referer not allowed
  [111, 'rejected'], // bad IMS token
  [171, 'opted-out'],
  [172, 'refused'], // third-party cookies blocked
  [173, 'opted-out'], // opted out through NAI
  [198, 'refused'], // country blocked by the partner
  [199, 'refused'], // country under embargo
  [200, 'no-data'],
  [201, 'no-data'],
  [202, 'no-data'],
  [203, 'no-data'],
  [204, 'no-data'],
  [205, 'no-data'],
  [306, 'denylisted'],
  [307, 'denylisted'],
  [315, 'opted-out'], // the consent string refuses
]);

/**
 * What a set of codes leads to. Codes that are not in the table, 104 and the rest from 300 up among them, are
 * warnings: the data beside them is usable, and where there is none the answer is an empty one anyway.
 */
export function effectOf(codes: readonly number[]): { effect: Effect; code: number | undefined } {
  for (const effect of BY_WEIGHT) {
    const code = codes.find((candidate) => EFFECTS.get(candidate) === effect);
    if (code !== undefined) return { effect, code };
  }
  return { effect: 'warning', code: undefined };
}

/** For codes that somebody has to do something about: what they mean and what to do. No other code is reported. */
export const ADVICE: ReadonlyMap<number, string> = new Map([
  [1, "the DCS does not know this partner; check the option 'partner' against the alias that Adobe gave you"],
  [2, "the DCS does not know this organisation; check the option 'orgId'"],
  [100, 'the Host header did not arrive; check proxies between this server and the DCS'],
  [104, "none of a visitor's customer ids is valid; check what 'identity.customerIds' gives"],
  [109, 'a Referer arrived that is not allowed; check proxies between this server and the DCS'],
  [111, 'an IMS token arrived that is not valid; check proxies between this server and the DCS'],
  [
    198,
    'your company has blocked the country of this server in Audience Manager; no visitor can be looked up from here',
  ],
  [199, 'Adobe does not serve the country of this server; no visitor can be looked up from here'],
  [302, "a data source is not yours; check 'dataSourceId' and 'integrationCode' in what 'identity.customerIds' gives"],
  [304, "a data source is on Adobe's deny list; leave it out of what 'identity.customerIds' gives, and ask Adobe why"],
  [
    311,
    'a parameter arrived badly encoded and everything was discarded; check proxies between this server and the DCS',
  ],
  [313, 'Adobe does not know the consent management platform that wrote the TC string, and disregards the string'],
  [
    314,
    'the consent management platform that wrote the TC string is not registered any more; Adobe disregards the string',
  ],
]);

/**
 * Owns: the `adobe_mc` query parameter, with which Adobe's clients hand a visitor over to another domain of the same company:
 * `MCMID=..|MCORGID=..|TS=..`, each value percent-encoded again. Anyone can make such a link. Never throws. Next:
 * identity-reader.ts.
 */

/** Adobe documents five minutes, and the Web SDK enforces them. */
const VALID_FOR_SEC = 300;
/** Allows for clock skew. Adobe's clients accept any future time, which would make links valid for longer. */
const MAX_SKEW_SEC = 60;

/**
 * The id that a URL hands over. `undefined` without one, for another organisation, and for a link that is not from the last
 * five minutes. Of a repeated parameter the last counts, as in the Web SDK.
 * @param nowMs Unix time in milliseconds
 */
export function idHandedOver(url: unknown, orgId: string, nowMs: number): string | undefined {
  // Other code may have put anything there.
  if (typeof url !== 'string') return undefined;
  const query = url.indexOf('?');
  if (query === -1 || !url.includes('adobe_mc=', query)) return undefined;
  const given = new URLSearchParams(url.slice(query)).getAll('adobe_mc').at(-1);
  if (given === undefined) return undefined;
  // Adobe's iOS SDK before 4.18.6 encoded the whole twice: then its bars are still encoded.
  const text = given.includes('|') ? given : fullyDecoded(given);
  const fields = new Map<string, string>();
  for (const element of text.split('|')) {
    const equals = element.indexOf('=');
    if (equals > 0) fields.set(element.slice(0, equals), fullyDecoded(element.slice(equals + 1)));
  }
  const sentAt = fields.get('TS') ?? '';
  if (fields.get('MCORGID') !== orgId || !/^\d{1,12}$/.test(sentAt)) return undefined;
  const ageSec = nowMs / 1000 - Number(sentAt);
  return ageSec <= VALID_FOR_SEC && ageSec >= -MAX_SKEW_SEC ? fields.get('MCMID') : undefined;
}

/** Redirects may encode a link again, so values are encoded once or several times. */
function fullyDecoded(value: string): string {
  let decoded = value;
  for (let times = 0; times < 3 && decoded.includes('%'); times++) {
    try {
      decoded = decodeURIComponent(decoded);
    } catch {
      return decoded;
    }
  }
  return decoded;
}

/**
 * Owns: the `adobe_mc` query parameter, by which Adobe's clients take a visitor along to another domain of the same
 * company: `MCMID=..|MCORGID=..|TS=..`, each value encoded again. Anybody can write such a link. Never throws. Next:
 * identity-reader.ts.
 */

/** Adobe documents five minutes, and the Web SDK keeps to them. */
const VALID_FOR_SEC = 300;
/** Clocks differ. Adobe's clients accept any time to come; a link for next year is no handover. */
const MAX_SKEW_SEC = 60;

/**
 * The id that a URL hands over to this organisation, now. Undefined where there is none, for another organisation, and
 * without a time that is at most five minutes ago. Of a repeated parameter the last counts, as in the Web SDK.
 * @param nowMs Unix time in milliseconds
 */
export function idHandedOver(url: string | undefined, orgId: string, nowMs: number): string | undefined {
  const query = url === undefined ? -1 : url.indexOf('?');
  if (url === undefined || query === -1 || !url.includes('adobe_mc=', query)) return undefined;
  const text = new URLSearchParams(url.slice(query)).getAll('adobe_mc').at(-1);
  if (text === undefined) return undefined;
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

/** Links pass through many hands: values occur encoded once and twice. */
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

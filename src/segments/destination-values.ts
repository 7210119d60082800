/**
 * Owns: taking the value of a cookie destination apart. How one is put together is configured per destination in
 * Audience Manager (single or multi key, serialised or not, any separators), so it is configured here too.
 */

/** How the value of one cookie destination is built. Separators are plain strings, of any length. */
export interface DestinationFormat {
  /** The keys whose values are segments. @default all keys */
  readonly keys?: readonly string[] | undefined;
  /** Between a key and its value. @default '=' */
  readonly keySeparator?: string | undefined;
  /** Between pairs. @default ',' */
  readonly pairSeparator?: string | undefined;
  /** Between the values of one key, where the destination is serialised. @default none */
  readonly serialSeparator?: string | undefined;
}

/** A format with its defaults filled in. */
export interface ResolvedDestinationFormat {
  readonly keys: ReadonlySet<string> | undefined;
  readonly keySeparator: string;
  readonly pairSeparator: string;
  readonly serialSeparator: string | undefined;
}

/** The values of the configured keys, trimmed, in order, as often as they occur. */
export function destinationValues(cookieValue: string, format: ResolvedDestinationFormat): string[] {
  const values: string[] = [];
  // Adobe does not say whether the value arrives percent-encoded: where the separator shows, it is raw and each token
  // is decoded by itself; otherwise it is decoded as a whole.
  const isRaw = cookieValue.includes(format.keySeparator);
  const decoded = isRaw ? cookieValue : leniently(cookieValue);
  for (const pair of pairsOf(decoded, format)) {
    const at = pair.indexOf(format.keySeparator);
    if (at === -1) continue;
    const key = pair.slice(0, at).trim();
    if (format.keys !== undefined && !format.keys.has(isRaw ? leniently(key) : key)) continue;
    const rest = pair.slice(at + format.keySeparator.length);
    for (const token of format.serialSeparator === undefined ? [rest] : rest.split(format.serialSeparator)) {
      const value = (isRaw ? leniently(token) : token).trim();
      if (value !== '') values.push(value);
    }
  }
  return values;
}

/**
 * A serialised destination may use one separator for both purposes (`aam=1,2,3` with `,` between values and the
 * default `,` between pairs). A piece without a key then belongs to the key before it.
 */
function pairsOf(value: string, { pairSeparator, serialSeparator, keySeparator }: ResolvedDestinationFormat): string[] {
  const pieces = value.split(pairSeparator);
  if (pairSeparator !== serialSeparator) return pieces;
  const pairs: string[] = [];
  for (const piece of pieces) {
    if (pairs.length > 0 && !piece.includes(keySeparator)) pairs.push(`${pairs.pop()}${serialSeparator}${piece}`);
    else pairs.push(piece);
  }
  return pairs;
}

function leniently(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Owns: parsing the value of a cookie destination. Its format is configured per destination in Audience Manager (single or
 * multi key, serialised or not, any separators), so it is configured here too. Next: segment-set.ts.
 */

/** The format of a cookie destination's value, as configured in Audience Manager. Separators are plain strings of any length. */
export interface DestinationFormat {
  /**
   * The keys whose values are segments.
   * @default all keys
   * @example ['seg']
   */
  readonly keys?: readonly string[] | undefined;
  /**
   * Separates a key from its value.
   * @default '='
   */
  readonly keySeparator?: string | undefined;
  /**
   * Separates pairs.
   * @default ','
   */
  readonly pairSeparator?: string | undefined;
  /**
   * Separates the values of one key, in a serialised destination.
   * @default the destination is not serialised
   */
  readonly serialSeparator?: string | undefined;
}

/** A format with its defaults. */
export interface ResolvedDestinationFormat {
  readonly keys: ReadonlySet<string> | undefined;
  readonly keySeparator: string;
  readonly pairSeparator: string;
  readonly serialSeparator: string | undefined;
}

/** The values of the configured keys, trimmed, in order, with duplicates. */
export function destinationValues(cookieValue: string, format: ResolvedDestinationFormat): string[] {
  const values: string[] = [];
  // Adobe does not document whether values are percent-encoded. One with a literal separator is raw, and each token is
  // decoded on its own; otherwise the whole value is decoded.
  const isRaw = cookieValue.includes(format.keySeparator);
  const decoded = isRaw ? cookieValue : tryDecode(cookieValue);
  for (const pair of pairsOf(decoded, format)) {
    const at = pair.indexOf(format.keySeparator);
    if (at === -1) continue;
    const key = pair.slice(0, at).trim();
    if (format.keys !== undefined && !format.keys.has(isRaw ? tryDecode(key) : key)) continue;
    const rest = pair.slice(at + format.keySeparator.length);
    for (const token of format.serialSeparator === undefined ? [rest] : rest.split(format.serialSeparator)) {
      const value = (isRaw ? tryDecode(token) : token).trim();
      if (value !== '') values.push(value);
    }
  }
  return values;
}

/**
 * Splits a value into pairs. A serialised destination may separate pairs and values alike (`aam=1,2,3` and the default
 * `pairSeparator`): then a piece without a key belongs to the key before it.
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

function tryDecode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Owns: the grammar of Adobe's AMCV cookie (and of s_ecid, which has the same one), as the Experience Cloud ID
 * service writes it:
 *
 *     value = [digest "|"] KEY["-" expiry["s"]] "|" VALUE *( "|" KEY... "|" VALUE )
 *
 * It knows nothing of requests or precedence. Next: visitor.ts.
 */

const PIPE = 0x7c;
const DASH = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** The fields of one cookie that matter here, as written: nothing in them has been checked. */
export interface AmcvFields {
  /** The visitor's Experience Cloud ID, or `NONE` for a visitor who opted out. */
  id: string | undefined;
  /** The region that holds the visitor's profile. */
  region: string | undefined;
  /** When the client will ask for the region again, in Unix seconds. A region past it is still the best hint. */
  regionExpiresAtSec: number | undefined;
  /** `NONE` (not opted out) or a list of opt-out levels such as `global`. */
  optOut: string | undefined;
}

/** Reads a decoded cookie value. Never throws; what does not fit the grammar is left out. */
export function parseAmcv(value: string): AmcvFields {
  const fields: AmcvFields = { id: undefined, region: undefined, regionExpiresAtSec: undefined, optOut: undefined };
  let docsId: string | undefined;
  let docsRegion: string | undefined;

  let keyStart = afterDigest(value);
  for (;;) {
    const keyEnd = value.indexOf('|', keyStart);
    // An odd last element is the rest of a truncated cookie: dropped, as Adobe's client does.
    if (keyEnd === -1) break;
    let valueEnd = value.indexOf('|', keyEnd + 1);
    if (valueEnd === -1) valueEnd = value.length;
    if (valueEnd > keyEnd + 1) {
      // A repeated key: the later one wins, as in Adobe's client.
      if (isKey(value, keyStart, 'MCMID')) {
        fields.id = value.slice(keyEnd + 1, valueEnd);
      } else if (isKey(value, keyStart, 'MCAAMLH')) {
        fields.region = value.slice(keyEnd + 1, valueEnd);
        fields.regionExpiresAtSec = expiry(value, keyStart + 'MCAAMLH'.length, keyEnd);
      } else if (isKey(value, keyStart, 'MCOPTOUT')) {
        fields.optOut = value.slice(keyEnd + 1, valueEnd);
      } else if (isKey(value, keyStart, 'mid')) {
        docsId = value.slice(keyEnd + 1, valueEnd);
      } else if (isKey(value, keyStart, 'aamlh')) {
        docsRegion = value.slice(keyEnd + 1, valueEnd);
      }
    }
    keyStart = valueEnd + 1;
  }

  // Adobe's server-to-server pages print `mid` and `aamlh`, which no released client writes: a fallback only.
  if (fields.id === undefined && docsId !== undefined) {
    fields.id = docsId;
    fields.region ??= docsRegion;
  }
  return fields;
}

/** The client's settings digest, a signed 32-bit number, may stand first. It differs by release: not for us. */
function afterDigest(value: string): number {
  let end = 0;
  while (end < value.length && isDashOrDigit(value.charCodeAt(end))) end++;
  return end > 0 && value.charCodeAt(end) === PIPE ? end + 1 : 0;
}

function isKey(value: string, start: number, key: string): boolean {
  if (!value.startsWith(key, start)) return false;
  const next = value.charCodeAt(start + key.length);
  return next === PIPE || next === DASH;
}

function expiry(value: string, dash: number, keyEnd: number): number | undefined {
  let seconds: number | undefined;
  for (let at = dash + 1; at < keyEnd && isDigit(value.charCodeAt(at)); at++) {
    seconds = (seconds ?? 0) * 10 + value.charCodeAt(at) - ZERO;
  }
  return seconds;
}

function isDashOrDigit(code: number): boolean {
  return code === DASH || isDigit(code);
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

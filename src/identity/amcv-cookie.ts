/**
 * Owns: the grammar of Adobe's AMCV cookie (and of s_ecid, which has the same one), as the Experience Cloud ID
 * service writes it:
 *
 *     value = [digest "|"] KEY["-" expiry["s"]] "|" VALUE *( "|" KEY... "|" VALUE )
 *
 * The value is read as sent, percent-encoded once (visitorapi) or with literal pipes (Web SDK): decoding all of it costs more
 * than reading its three fields. It knows nothing of requests or precedence. Next: identity-reader.ts.
 */
import type { CookieValue } from '../request/cookie-header';

const DASH = 0x2d;

/** The fields of a cookie that this package uses, unchecked. */
export interface AmcvFields {
  /** The visitor's ECID, or `NONE` for a visitor who opted out. */
  readonly id: string | undefined;
  /** The region that holds the visitor's profile. */
  readonly region: string | undefined;
  /** When the client will request the region again, in Unix seconds. An expired region is still the best guess. */
  readonly regionExpiresAtSec: number | undefined;
  /** `NONE` (not opted out), a list of opt-out levels such as `global`, or {@link UNDECODABLE}. */
  readonly optOut: string | undefined;
}

/** In place of the opt-out levels: there may be some in what cannot be decoded. */
export const UNDECODABLE = 'undecodable';
const NOTHING_DECODED: AmcvFields = {
  id: undefined,
  region: undefined,
  regionExpiresAtSec: undefined,
  optOut: UNDECODABLE,
};

/**
 * Parses a cookie value. Never throws: a value with a malformed percent sequence is {@link UNDECODABLE}, and elements that do
 * not fit the grammar are skipped.
 */
export function parseAmcv({ text, start: from, end }: CookieValue): AmcvFields {
  let id: string | undefined;
  let region: string | undefined;
  let regionExpiresAtSec: number | undefined;
  let optOut: string | undefined;
  let docsId: string | undefined;
  let docsRegion: string | undefined;

  let isKey = true;
  let isFirst = true;
  /** Of the last key, with its expiry. */
  let field: Field | undefined;
  let expiresAtSec: number | undefined;
  let isBeyondAscii = false;

  // Native searches from separator to separator are faster than a loop over all characters.
  let percent = positionOf('%', text, from, end);
  let pipe = positionOf('|', text, from, end);
  let start = from;
  let hasEscape = false;
  for (;;) {
    let at = pipe;
    let next = pipe + 1;
    if (percent < pipe) {
      at = percent;
      next = percent + 3;
      percent = positionOf('%', text, next, end);
      if (!isEncodedPipe(text, at, end)) {
        const byte = hexByte(text, at + 1, end);
        if (byte === -1) return NOTHING_DECODED;
        hasEscape = true;
        if (byte > 0x7f) isBeyondAscii = true;
        continue;
      }
    } else if (pipe < end) {
      pipe = positionOf('|', text, next, end);
    }

    // An element ends here. Keys and values alternate; a last key without a value comes from a truncated cookie.
    if (isKey) {
      const key = hasEscape ? decoded(text.slice(start, at)) : text;
      const keyStart = hasEscape ? 0 : start;
      const keyEnd = hasEscape ? key.length : at;
      // The first element may be a digest of the client's settings, which is of no use here.
      if (isFirst && isDigest(key, keyStart, keyEnd)) {
        isKey = false;
      } else {
        field = fieldOf(key, keyStart, keyEnd);
        if (field === 'MCAAMLH') expiresAtSec = expiryOf(key, keyStart + field.length + 1, keyEnd);
      }
      isFirst = false;
    } else if (field !== undefined && at > start) {
      const value = hasEscape ? decoded(text.slice(start, at)) : text.slice(start, at);
      // A repeated key: the later one wins, as in Adobe's client. An opt-out wins in any place.
      if (field === 'MCMID') id = value;
      else if (field === 'MCOPTOUT') optOut = optOut === undefined || optOut === 'NONE' ? value : optOut;
      else if (field === 'mid') docsId = value;
      else if (field === 'aamlh') docsRegion = value;
      else {
        region = value;
        regionExpiresAtSec = expiresAtSec;
      }
    }
    isKey = !isKey;
    if (at === end) break;
    start = next;
    hasEscape = false;
  }

  if (isBeyondAscii && !isWellFormed(text.slice(from, end))) return NOTHING_DECODED;
  // Adobe's server-to-server pages print `mid` and `aamlh`, which no released client writes: a fallback only.
  if (id === undefined && docsId !== undefined) {
    return { id: docsId, region: region ?? docsRegion, regionExpiresAtSec, optOut };
  }
  return { id, region, regionExpiresAtSec, optOut };
}

/** The next position of a character before `end`; `end` without one. */
function positionOf(character: string, text: string, from: number, end: number): number {
  const at = text.indexOf(character, from);
  return at === -1 || at > end ? end : at;
}

/** Whether `%7C` stands here. */
function isEncodedPipe(text: string, at: number, end: number): boolean {
  return at + 3 <= end && text.charCodeAt(at + 1) === 0x37 && (text.charCodeAt(at + 2) | 0x20) === 0x63;
}

type Field = 'MCMID' | 'MCAAMLH' | 'MCOPTOUT' | 'mid' | 'aamlh';

/** The field of a key element, which is `KEY` or `KEY-expiry`. */
function fieldOf(value: string, start: number, end: number): Field | undefined {
  switch (value.charCodeAt(start)) {
    case 0x4d: // M
      switch (value.charCodeAt(start + 2)) {
        case 0x4d: // M
          return isKey(value, start, end, 'MCMID') ? 'MCMID' : undefined;
        case 0x41: // A
          return isKey(value, start, end, 'MCAAMLH') ? 'MCAAMLH' : undefined;
        case 0x4f: // O
          return isKey(value, start, end, 'MCOPTOUT') ? 'MCOPTOUT' : undefined;
        default:
          return undefined;
      }
    case 0x6d: // m
      return isKey(value, start, end, 'mid') ? 'mid' : undefined;
    case 0x61: // a
      return isKey(value, start, end, 'aamlh') ? 'aamlh' : undefined;
    default:
      return undefined;
  }
}

function isKey(value: string, start: number, end: number, key: string): boolean {
  const keyEnd = start + key.length;
  if (keyEnd !== end && (keyEnd > end || value.charCodeAt(keyEnd) !== DASH)) return false;
  // For a few characters faster than startsWith().
  for (let n = 0; n < key.length; n++) {
    if (value.charCodeAt(start + n) !== key.charCodeAt(n)) return false;
  }
  return true;
}

/** One or more dashes and digits: a signed 32-bit number. */
function isDigest(value: string, start: number, end: number): boolean {
  if (end === start) return false;
  for (let at = start; at < end; at++) {
    const code = value.charCodeAt(at);
    if (code !== DASH && !isDigit(code)) return false;
  }
  return true;
}

function expiryOf(value: string, start: number, end: number): number | undefined {
  let seconds: number | undefined;
  for (let at = start; at < end && isDigit(value.charCodeAt(at)); at++) {
    seconds = (seconds ?? 0) * 10 + value.charCodeAt(at) - 0x30;
  }
  return seconds;
}

/** The byte of two hex digits; -1 if they are not hex digits. */
function hexByte(text: string, at: number, end: number): number {
  if (at + 2 > end) return -1;
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (isDigit(code)) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Decodes an element. Malformed UTF-8 is left as it is: the caller then discards the whole value. */
function decoded(element: string): string {
  return isWellFormed(element) ? decodeURIComponent(element) : element;
}

function isWellFormed(value: string): boolean {
  try {
    decodeURIComponent(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * Owns: segment ids in as few bytes as can still be searched. Next: packed-answer.ts.
 *
 * An id is one character from U+0080 up, which says how many digits follow, and its digits to the base of 128. No digit can
 * be taken for the start of an id, so finding one is a single native search, and V8 keeps the text at a byte a character.
 */
import { base128At } from '../cache/base-128';

const FIRST = 0x80;
const BASE = 128;
/** So many digits to the base of 128 are exact in a number. */
const EXACT_DIGITS = 7;

/** @param id a canonical decimal id of at most 20 digits, see `canonicalId` */
export function packedId(id: string): string {
  const codes: number[] = [];
  if (id.length <= 15) {
    for (let rest = Number(id); rest > 0; rest = Math.floor(rest / BASE)) codes.push(rest % BASE);
  } else {
    for (let rest = BigInt(id); rest > 0n; rest /= 128n) codes.push(Number(rest % 128n));
  }
  return String.fromCharCode(FIRST + codes.length, ...codes.reverse());
}

/** The ids in a range of a text, in decimal. */
export function unpackedIds(text: string, start: number, end: number): string[] {
  const ids: string[] = [];
  for (let at = start; at < end; ) {
    const digits = text.charCodeAt(at) - FIRST;
    ids.push(digits > EXACT_DIGITS ? long(text, at + 1, digits) : String(base128At(text, at + 1, digits)));
    at += 1 + Math.max(0, digits);
  }
  return ids;
}

function long(text: string, start: number, digits: number): string {
  let value = 0n;
  for (let at = start; at < start + digits; at++) value = value * 128n + BigInt(text.charCodeAt(at));
  return String(value);
}

/**
 * Owns: whole numbers in characters below U+0080, the first digit first: text with them stays at a byte a character. Next:
 * stamps.ts.
 */

/** @param value from 0 to below 128 to the power of `width` */
export function base128(value: number, width: number): string {
  let text = '';
  for (let left = width, rest = value; left > 0; left--, rest = Math.floor(rest / 128)) {
    text = String.fromCharCode(rest % 128) + text;
  }
  return text;
}

export function base128At(text: string, start: number, width: number): number {
  let value = 0;
  for (let at = start; at < start + width; at++) value = value * 128 + text.charCodeAt(at);
  return value;
}

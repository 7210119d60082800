/**
 * Copies a string, so that it shares no memory with the one it was cut from: V8 keeps the whole parent of a slice alive, here a
 * request's header for as long as the slice is cached.
 * @param text Latin-1, as in every header
 */
export function detachedString(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/**
 * A copy that shares no memory. What is cut out of a request's header would keep the whole header alive for as long as it
 * is remembered.
 * @param text Latin-1, as everything in a header is
 */
export function detachedString(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

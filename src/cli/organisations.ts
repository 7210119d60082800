/** Owns: finding the organisations whose Adobe cookies a Cookie header has. Next: cookie.ts and consent.ts. */

/** With `@AdobeOrg`, each once, in the order of the header. */
export function organisationsIn(header: string): string[] {
  const names = header.replace(/%40/gi, '@').matchAll(/(?:^|[;,\s])(?:AMCV_|kndctr_)([0-9A-F]{24})[@_]AdobeOrg/gi);
  return [...new Set([...names].map(([, id]) => `${id}@AdobeOrg`))];
}

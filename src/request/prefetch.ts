/** Owns: recognising prefetches, which the browser makes before the visitor asks for the page. Next: hold-request.ts. */
import type { IncomingHttpHeaders } from 'node:http';

/** `Sec-Purpose: prefetch;prerender`, or the headers that browsers sent before it was standardised. */
export function isPrefetch(headers: IncomingHttpHeaders): boolean {
  return (
    mentionsPrefetch(headers['sec-purpose']) || mentionsPrefetch(headers.purpose) || mentionsPrefetch(headers['x-moz'])
  );
}

function mentionsPrefetch(value: string | string[] | undefined): boolean {
  return value !== undefined && /\bpre(?:fetch|render|view)\b/i.test(String(value));
}

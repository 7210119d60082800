/**
 * Owns: which requests the browser makes before the visitor has asked for the page, who may never do so. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** `Sec-Purpose: prefetch;prerender`, and what browsers sent before there was a standard. */
export function isPrefetch(headers: IncomingHttpHeaders): boolean {
  return (
    mentionsPrefetch(headers['sec-purpose']) || mentionsPrefetch(headers.purpose) || mentionsPrefetch(headers['x-moz'])
  );
}

function mentionsPrefetch(value: string | string[] | undefined): boolean {
  return value !== undefined && /\bpre(?:fetch|render|view)\b/i.test(String(value));
}

/**
 * Owns: which requests the browser makes before the visitor has asked for the page, who may never do so. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** `Sec-Purpose: prefetch;prerender`, and what browsers sent before there was a standard. */
export function isSpeculative(headers: IncomingHttpHeaders): boolean {
  return isPrefetch(headers['sec-purpose']) || isPrefetch(headers.purpose) || isPrefetch(headers['x-moz']);
}

function isPrefetch(value: string | string[] | undefined): boolean {
  return value !== undefined && /\bpre(?:fetch|render|view)\b/i.test(String(value));
}

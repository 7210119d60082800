/** Owns: recognising prefetches, which the browser makes before the visitor asks for the page. Next: hold-request.ts. */
import type { IncomingHttpHeaders } from 'node:http';
import { headerText } from './header-text';

/**
 * `Sec-Purpose: prefetch;prerender`, the headers that browsers sent before it was standardised, and those of scripts that fetch
 * ahead and may not set a `Sec-` header (Turbo: `X-Sec-Purpose`).
 */
export function isPrefetch(headers: IncomingHttpHeaders | null | undefined): boolean {
  try {
    return NAMES.some((name) => mentionsPrefetch(headers?.[name]));
  } catch {
    return true;
  }
}

const NAMES = ['sec-purpose', 'purpose', 'x-sec-purpose', 'x-purpose', 'x-moz'] as const;

/** What nobody can read may say so: then no call is made. */
function mentionsPrefetch(value: unknown): boolean {
  const text = headerText(value, 'prefetch');
  return text !== undefined && /\bpre(?:fetch|render|view)\b/i.test(text);
}

/**
 * Owns: keeping a page that depends on the visitor out of shared caches. Never throws, and never stops a response from being
 * sent. Next: ../segments/visitor-segments.ts, which decides when.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import vary from 'vary';

export interface ResponsePrivacyConfig {
  /** Whether to add `Vary: Cookie`. */
  readonly varyCookie: boolean;
}

export class ResponsePrivacy {
  readonly #config: ResponsePrivacyConfig;
  /** Warnings that were emitted, by route. */
  readonly #warned = new WeakMap<object, Set<string>>();

  constructor(config: ResponsePrivacyConfig) {
    this.#config = config;
  }

  /** Makes the response private when its headers are sent, even if another value is set until then. Warns if they have already been sent. */
  keepPrivate(res: ServerResponse): void {
    quietly(() => {
      if (!res.headersSent) onHeaders(res, () => quietly(() => this.#mark(res)));
      // Reading after the end, as an access log does, does not affect the page.
      else if (!res.writableEnded) this.#warn(res, 'they were read after the headers had been sent', LATE_ADVICE);
    });
  }

  #mark(res: ServerResponse): void {
    const current = res.getHeader('Cache-Control');
    const { value, isReplaced } = privateForm(current === undefined ? '' : String(current));
    res.setHeader('Cache-Control', value);
    if (isReplaced) this.#warn(res, `'Cache-Control: ${current}' was replaced with '${value}'`, PUBLIC_ADVICE);
    for (const name of res.getHeaderNames()) {
      if (/^(?:.*cdn-cache-control|surrogate-control)$/.test(name)) {
        const isHarmless = /\b(?:no-store|private)\b/i.test(String(res.getHeader(name)));
        if (!isHarmless) this.#warn(res, `'${name}' lets a CDN cache the page despite Cache-Control`, CDN_ADVICE);
      }
    }
    if (this.#config.varyCookie) vary(res, 'Cookie');
  }

  /** Once per route and kind of problem. */
  #warn(res: ServerResponse, problem: string, advice: string): void {
    const { method, route = NO_ROUTE } = res.req as IncomingMessage & { route?: { path?: unknown } };
    const warned = this.#warned.get(route) ?? new Set();
    this.#warned.set(route, warned);
    if (warned.has(advice)) return;
    warned.add(advice);
    // The route's pattern, not the path of the request, which may hold personal data.
    const place = route === NO_ROUTE ? `${method} outside of a route` : `${method} ${String(route.path)}`;
    process.emitWarning(`${place}: the response depends on the visitor's segments, and ${problem}. ${advice}.`, {
      code: 'WRN_AAM_SHARED_CACHE',
    });
  }
}

const NO_ROUTE: { readonly path?: unknown } = {};
const LATE_ADVICE =
  'A shared cache may store the page. Read the segments before the first write(), or set Cache-Control yourself';
const PUBLIC_ADVICE = 'Do not make pages that depend on the visitor cacheable by shared caches';
const CDN_ADVICE = 'Remove that header from pages that depend on the visitor';

/** `Cache-Control` with `private`. `isReplaced`: the value allowed shared caches before. */
export function privateForm(value: string): { readonly value: string; readonly isReplaced: boolean } {
  const directives = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)?.map((text) => text.trim()) ?? [];
  const names = directives.map((directive) => (directive.split('=', 1)[0] as string).trim().toLowerCase());
  const isShared = names.some((name) => name === 'public' || name === 's-maxage');
  // private="set-cookie" only restricts the named header fields.
  const isPrivate = directives.some((directive) => /^(?:private|no-store)$/i.test(directive));
  if (isPrivate && !isShared) return { value, isReplaced: false };
  const kept = directives.filter(
    (text, n) => text !== '' && !['public', 's-maxage', 'private'].includes(names[n] as string),
  );
  return { value: ['private', ...kept].join(', '), isReplaced: isShared };
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // Other middleware may have replaced parts of the response. Sending the page matters more than its header.
  }
}

/**
 * Owns: that a page which was made for one visitor is not kept by a shared cache for the next one. Never throws, and
 * never keeps a response from being sent.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import vary from 'vary';

export interface ResponsePrivacyConfig {
  /** Whether `Vary` names the cookie too. */
  readonly varyCookie: boolean;
}

export class ResponsePrivacy {
  readonly #config: ResponsePrivacyConfig;
  /** By route, what has been said of it. */
  readonly #warned = new WeakMap<object, Set<string>>();

  constructor(config: ResponsePrivacyConfig) {
    this.#config = config;
  }

  /** Has the response leave as private, whatever is set until then. Where it has left already, somebody is told. */
  keepPrivate(res: ServerResponse): void {
    quietly(() => {
      if (!res.headersSent) onHeaders(res, () => quietly(() => this.#mark(res)));
      // An access log that reads when all is over has nothing to do with the page.
      else if (!res.writableEnded) this.#warn(res, 'segments were read after the headers had been sent', LATE_ADVICE);
    });
  }

  #mark(res: ServerResponse): void {
    const present = res.getHeader('Cache-Control');
    const { value, isReplaced } = privateForm(present === undefined ? '' : String(present));
    res.setHeader('Cache-Control', value);
    if (isReplaced) this.#warn(res, `'Cache-Control: ${present}' was replaced by '${value}'`, PUBLIC_ADVICE);
    for (const name of res.getHeaderNames()) {
      if (/^(?:.*cdn-cache-control|surrogate-control)$/.test(name)) {
        const isHarmless = /\b(?:no-store|private)\b/i.test(String(res.getHeader(name)));
        if (!isHarmless) this.#warn(res, `'${name}' lets a CDN keep the page, whatever Cache-Control says`, CDN_ADVICE);
      }
    }
    if (this.#config.varyCookie) vary(res, 'Cookie');
  }

  /** Once per route and kind of problem. */
  #warn(res: ServerResponse, problem: string, advice: string): void {
    const { method, route = NO_ROUTE } = res.req as IncomingMessage & { route?: { path?: unknown } };
    const said = this.#warned.get(route) ?? new Set();
    this.#warned.set(route, said);
    if (said.has(advice)) return;
    said.add(advice);
    // Not the path of the request, which may hold anything: the pattern is the site's own.
    const place = route === NO_ROUTE ? `${method} outside of a route` : `${method} ${String(route.path)}`;
    process.emitWarning(`${place}: a page that depends on the visitor's segments: ${problem}. ${advice}`, {
      code: 'WRN_AAM_SHARED_CACHE',
    });
  }
}

const NO_ROUTE: { readonly path?: unknown } = {};
const LATE_ADVICE =
  'A shared cache may keep it: read the segments before the first write(), or set Cache-Control yourself';
const PUBLIC_ADVICE = 'Do not let pages that depend on the visitor be kept by shared caches';
const CDN_ADVICE = 'Leave that header out on pages that depend on the visitor';

/** The value with which only the visitor's own browser may keep the page. `isReplaced`: it said otherwise before. */
export function privateForm(value: string): { readonly value: string; readonly isReplaced: boolean } {
  const directives = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)?.map((text) => text.trim()) ?? [];
  const names = directives.map((directive) => (directive.split('=', 1)[0] as string).trim().toLowerCase());
  const isShared = names.some((name) => name === 'public' || name === 's-maxage');
  // With field names, as in private="set-cookie", it is about these fields only.
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
    // Somebody has made the response into something else. The page is worth more than its header.
  }
}

/**
 * Owns: keeping a page that depends on the visitor out of shared caches, and a preview out of all, and the cookies that are set
 * on such pages. Never throws, and never stops a response from being sent. Next: ../segments/visitor-segments.ts, which decides
 * when.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Warnings } from '../diagnosis/warnings';
import { quoted } from '../handed-over/showing';
import { type HeaderRule, LastWord } from './last-word';
import { addCookie, type LeavingHeaders, makePrivate, makeUnstored } from './private-headers';
import { demandsOf, demandsOn } from './response-demands';

export interface ResponsePrivacyConfig {
  /** Whether to add `Vary: Cookie`. */
  readonly varyCookie: boolean;
}

export class ResponsePrivacy implements HeaderRule {
  readonly #config: ResponsePrivacyConfig;
  /** By route. */
  readonly #warnings = new WeakMap<object, Warnings>();

  readonly #lastWord = new LastWord(this);
  /** Whether a response has ever been asked more of than being private: looking for that takes a while. */
  #hasDemands = false;

  constructor(config: ResponsePrivacyConfig) {
    this.#config = config;
  }

  /** Makes the response private when its headers are sent, whatever is done to them until then. Warns if it cannot be. */
  keepPrivate(res: ServerResponse): void {
    try {
      this.#refuseApicache(res);
      if (!res.headersSent) this.#lastWord.haveOn(res);
      // Reading after the end, as an access log does, does not affect the page.
      else if (!res.writableEnded) this.#warn(res, 'they were read after the headers had been sent', LATE_ADVICE);
    } catch {
      // Other middleware may have replaced parts of the response. Sending the page matters more than its header.
      this.#warn(res, 'the response could not be marked as private', FAILED_ADVICE);
    }
  }

  /** Keeps the response out of every cache, the browser's too, by `no-store`. Warns of nothing that it takes away. */
  keepUnstored(res: ServerResponse & { [APICACHE]?: { cacheable?: unknown } }): void {
    try {
      if (res[APICACHE]?.cacheable === true) res[APICACHE].cacheable = false;
      if (res.headersSent) return;
      this.#hasDemands = true;
      demandsOn(res).isUnstored = true;
      this.#lastWord.haveOn(res);
    } catch {
      this.#warn(res, 'the response could not be marked as no-store', FAILED_ADVICE);
    }
  }

  /**
   * Adds a cookie to the response when its headers leave, whatever cookies others set until then, and makes it private. Returns
   * whether there is still time for that.
   * @param cookie as `setCookie()` makes it
   */
  addCookie(res: ServerResponse, cookie: string): boolean {
    try {
      if (res.headersSent) return false;
      this.#hasDemands = true;
      demandsOn(res).cookies.push(cookie);
      this.#lastWord.haveOn(res);
      return true;
    } catch {
      return false;
    }
  }

  /** Called when the headers leave. */
  apply(headers: LeavingHeaders, res: ServerResponse): void {
    try {
      const demands = this.#hasDemands ? demandsOf(res) : undefined;
      if (demands?.isUnstored) makeUnstored(headers);
      else this.#makePrivate(headers, res);
      for (const cookie of demands?.cookies ?? NO_COOKIES) addCookie(headers, cookie);
    } catch {
      this.#warn(res, 'the response could not be marked as private', FAILED_ADVICE);
    }
  }

  #makePrivate(headers: LeavingHeaders, res: ServerResponse): void {
    const { directives, headers: removed } = makePrivate(headers, this.#config.varyCookie);
    if (directives.length > 0) {
      this.#warn(res, `${list(directives)} was taken out of Cache-Control`, PUBLIC_ADVICE);
    }
    if (removed.length > 0) {
      const problem = `${list(removed)}, by which a shared cache may keep the page despite Cache-Control, was removed`;
      this.#warn(res, problem, OVERRULING_ADVICE);
    }
  }

  /** apicache would hand the page to other visitors itself, and stores it before the headers leave, if this field of its own says so. */
  #refuseApicache(res: ServerResponse & { [APICACHE]?: { cacheable?: unknown } }): void {
    const { [APICACHE]: apicache } = res;
    if (apicache?.cacheable !== true) return;
    apicache.cacheable = false;
    this.#warn(res, 'apicache was kept from storing it for other visitors', IN_PROCESS_ADVICE);
  }

  /** Once per route and kind of problem. */
  #warn(res: ServerResponse, problem: string, advice: string): void {
    try {
      const { method, route = NO_ROUTE } = res.req as IncomingMessage & { route?: { path?: unknown } };
      const warnings = this.#warnings.get(route) ?? new Warnings();
      this.#warnings.set(route, warnings);
      // The route's pattern, not the path of the request, which may hold personal data.
      const place = route === NO_ROUTE ? `${method} outside of a route` : `${method} ${unquoted(String(route.path))}`;
      const message = `${place}: the response depends on the visitor's segments, and ${problem}. ${advice}.`;
      warnings.warn('WRN_AAM_SHARED_CACHE', message, advice);
    } catch {
      // Nor may a warning stop the page.
    }
  }
}

/** Where apicache keeps what it knows about a response. */
const APICACHE = '_apicache';
const NO_COOKIES: readonly string[] = [];
const NO_ROUTE: { readonly path?: unknown } = {};
const LATE_ADVICE =
  'A shared cache may store the page. Read the segments before the first write(), or set Cache-Control yourself';
const PUBLIC_ADVICE = 'Do not make pages that depend on the visitor cacheable by shared caches';
const OVERRULING_ADVICE = 'Do not set it on pages that depend on the visitor';
const IN_PROCESS_ADVICE = 'Do not mount a response cache in front of pages that depend on the visitor';
const FAILED_ADVICE = 'A shared cache may store the page. Set Cache-Control: private yourself';

/** Without the values, which may hold anything. */
function list(names: readonly string[]): string {
  return names.map((name) => `'${unquoted(name)}'`).join(', ');
}

function unquoted(text: string): string {
  return quoted(text).slice(1, -1);
}

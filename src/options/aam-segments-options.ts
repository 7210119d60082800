import type { Request } from 'express';
import type { Signals } from '../dcs/protocol/signals';
import { AamError } from '../errors';
import type { CustomerId } from '../identity/customer-ids';
import type { VisitorId } from '../identity/visitor';
import { assert, count, flag, group, ms, optional } from '../option-checks';
import {
  DCS_CLIENT_OPTIONS,
  type DcsClientOptions,
  type ResolvedClientOptions,
  resolvedClientOptions,
} from './dcs-client-options';

/** What a site tells the middleware. Durations are integers in milliseconds, counts are integers from 1. */
export interface AamSegmentsOptions<Name extends string = string> extends DcsClientOptions<Name> {
  /** The longest that one request is held for an answer that is not in the cache. 0: never. @default 150 */
  readonly maxWaitMs?: number | undefined;
  /**
   * Leaves a request alone: `excluded`, reason `skipped`. Where it throws, the request is left alone too.
   * @default nothing is skipped
   */
  readonly skip?: ((req: Request) => boolean) | undefined;
  /**
   * Gives bots no segments, by their `User-Agent`: `excluded`, reason `bot`. An id that many calls are made for is
   * denylisted for good, and crawlers are the main reason. @default true
   */
  readonly excludeBots?: boolean | undefined;
  /**
   * What the DCS is told along with a lookup, as with `sendEvent()`. Asked only where a lookup makes a call of its own, so
   * it is for what describes the visitor or the page, and not for what happened. Where it throws, or gives what cannot be sent
   * or takes more than 20 000 bytes, the lookup goes without.
   * @default nothing
   */
  readonly signals?: ((req: Request) => Signals | undefined | null) | undefined;
  readonly identity?: IdentityOptions | undefined;
  readonly consent?: ConsentOptions | undefined;
  readonly privacy?: PrivacyOptions | undefined;
  readonly cache?: CacheOptions | undefined;
}

/** Where to look for the visitor's id. */
export interface IdentityOptions {
  /** Read the `s_ecid` cookie, set by a CNAME tracking server, where AMCV has no id. @default true */
  readonly sEcid?: boolean | undefined;
  /**
   * Read the query parameter `adobe_mc`, by which Adobe's clients take a visitor along to another domain of the same
   * company, where no cookie has an id. Who has such a link can give it to others for five minutes: they then see the
   * page of that visitor. @default false
   */
  readonly adobeMc?: boolean | undefined;
  /** Cookies with the visitor's Audience Manager UUID: `aam_uuid`, `aam_did`. Read last. @default none */
  readonly uuidCookie?: string | readonly string[] | undefined;
  /**
   * The visitor, where the site knows better than the cookies; `undefined`: it does not. Where it throws or gives what is
   * no visitor, the visitor is nobody (`anonymous`, reason `bad-id`).
   */
  readonly resolve?: ((req: Request) => VisitorId | undefined | null) | undefined;
  /**
   * The company's own ids of the visitor, who has logged in. They go along with the call, and with other ids or another
   * state the visitor is asked about anew. At most 10, 3 of one data source: the first ones count.
   */
  readonly customerIds?: ((req: Request) => readonly CustomerId[] | undefined | null) | undefined;
}

/** Whom the DCS may be asked about. Opt-outs and refusals in Adobe's own cookies always count. */
export interface ConsentOptions {
  /** Whether a visitor who has not said anything is treated as one who refused. @default false */
  readonly required?: boolean | undefined;
  /** Whether `Sec-GPC: 1` is a refusal. @default true */
  readonly gpc?: boolean | undefined;
  /**
   * The cookie in which the site's consent management platform keeps the IAB TCF string. It must consent to vendor 565 and
   * to purposes 1 and 10. `false`: not looked at. @default 'euconsent-v2'
   */
  readonly tcfCookie?: string | false | undefined;
  /**
   * What the site itself knows: only `true` is a yes. Throwing, a rejection and every other value are a no; so is, for
   * this view, a promise that is not there within `maxWaitMs`. Not asked where one of the others has refused.
   */
  readonly given?: ((req: Request) => boolean | PromiseLike<boolean>) | undefined;
}

/** How a page that depends on the visitor is kept from others. It always leaves as `Cache-Control: private`. */
export interface PrivacyOptions {
  /** Adds `Vary: Cookie` too, for caches that do not go by `private`. @default false */
  readonly varyCookie?: boolean | undefined;
}

/** How long answers are remembered, and how many. */
export interface CacheOptions {
  /** Visitors remembered in this process. @default 100000 */
  readonly maxVisitors?: number | undefined;
  /** For so long an answer is `cached`. 0: always refreshed. @default 60000 */
  readonly ttlMs?: number | undefined;
  /** After that it is served at once as `stale` while one refresh runs. @default 600000 */
  readonly staleWhileRevalidateMs?: number | undefined;
  /**
   * Past that window a request waits for the refresh; when it fails or is late, the old answer is served until ttl plus
   * the larger of both windows. @default 3600000
   */
  readonly staleIfErrorMs?: number | undefined;
  /** The ttl of an answer without segments: the visitor's profile may still be on its way. @default 15000 */
  readonly emptyTtlMs?: number | undefined;
  /** At least 32 characters. With it, visitors are remembered under HMACs instead of their ids. @default none */
  readonly keySecret?: string | undefined;
}

/** Options with everything filled in and checked. */
export interface ResolvedOptions extends ResolvedClientOptions {
  readonly maxWaitMs: number;
  readonly skip: ((req: unknown) => boolean) | undefined;
  readonly excludeBots: boolean;
  readonly signals: ((req: unknown) => unknown) | undefined;
  readonly identity: {
    readonly sEcid: boolean;
    readonly adobeMc: boolean;
    readonly uuidCookies: readonly string[];
    readonly resolve: ((req: unknown) => unknown) | undefined;
    readonly customerIds: ((req: unknown) => unknown) | undefined;
  };
  readonly consent: {
    readonly required: boolean;
    readonly gpc: boolean;
    readonly tcfCookie: string | false;
    readonly given: ((req: unknown) => unknown) | undefined;
  };
  readonly privacy: { readonly varyCookie: boolean };
  readonly cache: {
    readonly maxVisitors: number;
    readonly ttlMs: number;
    readonly staleWhileRevalidateMs: number;
    readonly staleIfErrorMs: number;
    readonly emptyTtlMs: number;
    readonly keySecret: string | undefined;
  };
}

/**
 * Checks the options and fills in the defaults. Reads each option once and does not change the caller's object.
 * @throws {AamError} `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_INVALID_OPTION`
 */
export function resolveOptions(options: AamSegmentsOptions): ResolvedOptions {
  const top = group<AamSegmentsOptions>('options', options, {
    ...DCS_CLIENT_OPTIONS,
    maxWaitMs: true,
    skip: true,
    excludeBots: true,
    signals: true,
    identity: true,
    consent: true,
    privacy: true,
    cache: true,
  });
  const {
    identity: identityGroup = {},
    consent: consentGroup = {},
    privacy: privacyGroup = {},
    cache: cacheGroup = {},
  } = top;
  const identity = group<IdentityOptions>('options.identity', identityGroup, {
    sEcid: true,
    adobeMc: true,
    uuidCookie: true,
    resolve: true,
    customerIds: true,
  });
  const consent = group<ConsentOptions>('options.consent', consentGroup, {
    required: true,
    gpc: true,
    tcfCookie: true,
    given: true,
  });
  const privacy = group<PrivacyOptions>('options.privacy', privacyGroup, { varyCookie: true });
  const cache = group<CacheOptions>('options.cache', cacheGroup, {
    maxVisitors: true,
    ttlMs: true,
    staleWhileRevalidateMs: true,
    staleIfErrorMs: true,
    emptyTtlMs: true,
    keySecret: true,
  });
  return {
    ...resolvedClientOptions(top),
    maxWaitMs: ms('options.maxWaitMs', top.maxWaitMs, 150),
    skip: siteFunction('options.skip', top.skip),
    excludeBots: flag('options.excludeBots', top.excludeBots, true),
    signals: siteFunction('options.signals', top.signals),
    identity: {
      sEcid: flag('options.identity.sEcid', identity.sEcid, true),
      adobeMc: flag('options.identity.adobeMc', identity.adobeMc, false),
      uuidCookies: cookieNames('options.identity.uuidCookie', identity.uuidCookie),
      resolve: siteFunction('options.identity.resolve', identity.resolve),
      customerIds: siteFunction('options.identity.customerIds', identity.customerIds),
    },
    consent: {
      required: flag('options.consent.required', consent.required, false),
      gpc: flag('options.consent.gpc', consent.gpc, true),
      tcfCookie: tcfCookieOf(consent.tcfCookie),
      given: siteFunction('options.consent.given', consent.given),
    },
    privacy: { varyCookie: flag('options.privacy.varyCookie', privacy.varyCookie, false) },
    cache: {
      maxVisitors: count('options.cache.maxVisitors', cache.maxVisitors, 100_000),
      ttlMs: ms('options.cache.ttlMs', cache.ttlMs, 60_000),
      staleWhileRevalidateMs: ms('options.cache.staleWhileRevalidateMs', cache.staleWhileRevalidateMs, 600_000),
      staleIfErrorMs: ms('options.cache.staleIfErrorMs', cache.staleIfErrorMs, 3_600_000),
      emptyTtlMs: ms('options.cache.emptyTtlMs', cache.emptyTtlMs, 15_000),
      keySecret: keySecretOf(cache.keySecret),
    },
  };
}

function cookieNames(path: string, given: unknown): readonly string[] {
  if (given === undefined) return [];
  const names = Array.isArray(given) ? [...given] : [given];
  assert(names.every(isCookieName), path, "a cookie's name or an array of them", given);
  return names;
}

function tcfCookieOf(given: unknown = 'euconsent-v2'): string | false {
  assert(given === false || isCookieName(given), 'options.consent.tcfCookie', "a cookie's name or false", given);
  return given as string | false;
}

/** A token of RFC 6265. */
function isCookieName(given: unknown): boolean {
  return typeof given === 'string' && /^[!#$%&'*+.^`|~\w-]+$/.test(given);
}

/** Inside the package a request of the site is only handed on: its type is the site's business. */
function siteFunction<R>(path: string, given: ((req: Request) => R) | undefined): ((req: unknown) => R) | undefined {
  const isFunction = (value: unknown) => typeof value === 'function';
  return optional(path, given as ((req: unknown) => R) | undefined, 'a function', isFunction);
}

/** The error does not repeat it: it may be a secret that is only too short. */
function keySecretOf(given: unknown): string | undefined {
  if (given === undefined || (typeof given === 'string' && given.length >= 32)) return given;
  const received = typeof given === 'string' ? `one of ${given.length}` : typeof given;
  const rule = 'a string of at least 32 characters';
  throw new AamError('ERR_AAM_INVALID_OPTION', `options.cache.keySecret must be ${rule}, got ${received}`);
}

import type { DcsDispatcher } from './dcs/caller';
import { REGIONAL_ORIGINS, Regions } from './dcs/regions';
import type { SegmentIds } from './dcs/request';
import { AamError } from './errors';
import type { CustomerId } from './identity/customer-ids';
import type { VisitorId } from './identity/given-identity';
import { assert, count, flag, group, integer, isRecord, isText, ms, oneOf, optional } from './option-checks';
import type { DestinationFormat, ResolvedDestinationFormat } from './segments/destination-values';
import { type SegmentId, SegmentNames, type Wanted, wantedById } from './segments/segment-refs';

/** What a site tells the middleware. Durations are integers in milliseconds, counts are integers from 1. */
export interface AamSegmentsOptions<Name extends string = string> {
  /** The organisation id, `1FD6776A524453CC0A490D44@AdobeOrg`; `@AdobeOrg` is added when there is no `@`. */
  readonly orgId: string;
  /** The alias that Adobe gave the company: `acme` or `acme.demdex.net`. It goes into the Host header. */
  readonly partner: string;
  /** Names for segments, to be used in code. @default {} */
  readonly segments?: Readonly<Record<Name, SegmentId>> | undefined;
  /** Cookie destinations whose values are segments, by cookie name. @default {} */
  readonly destinations?: Readonly<Record<string, DestinationFormat>> | undefined;
  /** The longest that one request is held for an answer that is not in the cache. 0: never. @default 150 */
  readonly maxWaitMs?: number | undefined;
  /**
   * Leaves a request alone: `excluded`, reason `skipped`. Where it throws, the request is left alone too.
   * @default nothing is skipped
   */
  // biome-ignore lint/suspicious/noExplicitAny: an Express.Request of version 4 or 5, or a Connect request; the site knows which
  readonly skip?: ((req: any) => boolean) | undefined;
  /**
   * Gives robots no segments, by their `User-Agent`: `excluded`, reason `bot`. An id that many calls are made for is
   * denylisted for good, and crawlers are the main reason. @default true
   */
  readonly excludeBots?: boolean | undefined;
  readonly identity?: IdentityOptions | undefined;
  readonly consent?: ConsentOptions | undefined;
  readonly privacy?: PrivacyOptions | undefined;
  readonly cache?: CacheOptions | undefined;
  readonly dcs?: DcsOptions | undefined;
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
  // biome-ignore lint/suspicious/noExplicitAny: an Express.Request of version 4 or 5, or a Connect request; the site knows which
  readonly resolve?: ((req: any) => VisitorId | undefined | null) | undefined;
  /**
   * The company's own ids of the visitor, who has logged in. They go along with the call, and with other ids or another
   * state the visitor is asked about anew. At most 10, 3 of one data source: the first ones count.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly customerIds?: ((req: any) => readonly CustomerId[] | undefined | null) | undefined;
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
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly given?: ((req: any) => boolean | PromiseLike<boolean>) | undefined;
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

/** How the Data Collection Servers are asked. */
export interface DcsOptions {
  /** Deadline of one call, in the background too. @default 1000 */
  readonly timeoutMs?: number | undefined;
  /** Region id to origin; replaces the whole table, and wants `defaultOrigin` too. @default Adobe's eight regions */
  readonly origins?: Readonly<Record<number, string>> | undefined;
  /** Used where the visitor's region is unknown. @default https://<partner>.demdex.net */
  readonly defaultOrigin?: string | undefined;
  /**
   * `'sid'` asks for segment ids (`d_cts=2`), `'legacy'` for legacy ones (`d_cts=1`), `false` for none: cookie
   * destinations only. Adobe has to enable ids for the account. @default 'sid'
   */
  readonly segmentIds?: SegmentIds | undefined;
  /** Sockets per origin, and so calls at a time. @default 64 */
  readonly connections?: number | undefined;
  /** Calls per origin that wait for one of those to end; a visitor beyond is `unknown`, reason `overloaded`. @default 128 */
  readonly maxQueued?: number | undefined;
  /** Events that wait to be sent; of more, the oldest are dropped. @default 1000 */
  readonly maxQueuedEvents?: number | undefined;
  /** When an origin that fails is left alone. */
  readonly breaker?: BreakerOptions | undefined;
  /**
   * Asks the default origin about the visitors of a region that is left alone: any DCS answers for any visitor, only more
   * slowly. @default true
   */
  readonly failover?: boolean | undefined;
  /** After a failed call no further one for the same visitor for so long. @default 1000 */
  readonly minIntervalMs?: number | undefined;
  /**
   * An undici dispatcher to send calls through: a `ProxyAgent`, or an `Agent` with a CA of your own. It stays yours:
   * `close()` does not close it. @default a pool of sockets per origin
   */
  readonly dispatcher?: DcsDispatcher | undefined;
}

/** When an origin that fails is left alone, and for how long. */
export interface BreakerOptions {
  /** Fewer calls than that within `windowMs` say nothing. @default 10 */
  readonly minCalls?: number | undefined;
  /** The calls that are looked back on. @default 10000 */
  readonly windowMs?: number | undefined;
  /** So many percent of them failed, or more: timeouts, broken connections, HTTP errors, unusable answers. @default 50 */
  readonly failurePercent?: number | undefined;
  /** After so long one call tries the origin again. @default 5000 */
  readonly probeAfterMs?: number | undefined;
}

/** Options with everything filled in and checked. */
export interface ResolvedOptions {
  readonly orgId: string;
  readonly partnerHost: string;
  readonly names: SegmentNames;
  readonly destinations: ReadonlyMap<string, ResolvedDestinationFormat>;
  readonly maxWaitMs: number;
  readonly skip: ((req: unknown) => boolean) | undefined;
  readonly excludeBots: boolean;
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
  readonly dcs: {
    readonly timeoutMs: number;
    readonly regions: Regions;
    readonly segmentIds: SegmentIds;
    readonly connections: number;
    readonly maxQueued: number;
    readonly maxQueuedEvents: number;
    readonly breaker: { readonly [Option in keyof BreakerOptions]-?: number };
    readonly failover: boolean;
    readonly minIntervalMs: number;
    readonly dispatcher: DcsDispatcher | undefined;
  };
}

const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Checks the options and fills in the defaults. Reads each option once and does not change the caller's object.
 * @throws {AamError} `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_INVALID_OPTION`
 */
export function resolveOptions(options: AamSegmentsOptions): ResolvedOptions {
  const top = group<AamSegmentsOptions>('options', options, {
    orgId: true,
    partner: true,
    segments: true,
    destinations: true,
    maxWaitMs: true,
    skip: true,
    excludeBots: true,
    identity: true,
    consent: true,
    privacy: true,
    cache: true,
    dcs: true,
  });
  const {
    segments = {},
    destinations = {},
    identity: identityGroup = {},
    consent: consentGroup = {},
    privacy: privacyGroup = {},
    cache: cacheGroup = {},
    dcs: dcsGroup = {},
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
  const dcs = group<DcsOptions>('options.dcs', dcsGroup, {
    timeoutMs: true,
    origins: true,
    defaultOrigin: true,
    segmentIds: true,
    connections: true,
    maxQueued: true,
    maxQueuedEvents: true,
    breaker: true,
    failover: true,
    minIntervalMs: true,
    dispatcher: true,
  });
  const { breaker: breakerGroup = {} } = dcs;
  const breaker = group<BreakerOptions>('options.dcs.breaker', breakerGroup, {
    minCalls: true,
    windowMs: true,
    failurePercent: true,
    probeAfterMs: true,
  });
  const partnerHost = partnerHostOf(top.partner);
  return {
    orgId: orgIdOf(top.orgId),
    partnerHost,
    names: segmentNames(segments),
    destinations: destinationFormats(destinations),
    maxWaitMs: ms('options.maxWaitMs', top.maxWaitMs, 150),
    skip: optional('options.skip', top.skip, 'a function', isFunction),
    excludeBots: flag('options.excludeBots', top.excludeBots, true),
    identity: {
      sEcid: flag('options.identity.sEcid', identity.sEcid, true),
      adobeMc: flag('options.identity.adobeMc', identity.adobeMc, false),
      uuidCookies: cookieNames('options.identity.uuidCookie', identity.uuidCookie),
      resolve: optional('options.identity.resolve', identity.resolve, 'a function', isFunction),
      customerIds: optional('options.identity.customerIds', identity.customerIds, 'a function', isFunction),
    },
    consent: {
      required: flag('options.consent.required', consent.required, false),
      gpc: flag('options.consent.gpc', consent.gpc, true),
      tcfCookie: tcfCookieOf(consent.tcfCookie),
      given: optional('options.consent.given', consent.given, 'a function', isFunction),
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
    dcs: {
      timeoutMs: ms('options.dcs.timeoutMs', dcs.timeoutMs, 1_000),
      regions: regionsOf(dcs, partnerHost),
      segmentIds: oneOf('options.dcs.segmentIds', dcs.segmentIds, ['sid', 'legacy', false], 'sid'),
      connections: count('options.dcs.connections', dcs.connections, 64),
      maxQueued: count('options.dcs.maxQueued', dcs.maxQueued, 128),
      maxQueuedEvents: count('options.dcs.maxQueuedEvents', dcs.maxQueuedEvents, 1_000),
      breaker: {
        minCalls: count('options.dcs.breaker.minCalls', breaker.minCalls, 10),
        windowMs: count('options.dcs.breaker.windowMs', breaker.windowMs, 10_000),
        failurePercent: integer('options.dcs.breaker.failurePercent', breaker.failurePercent, 1, 100, 50),
        probeAfterMs: ms('options.dcs.breaker.probeAfterMs', breaker.probeAfterMs, 5_000),
      },
      failover: flag('options.dcs.failover', dcs.failover, true),
      minIntervalMs: ms('options.dcs.minIntervalMs', dcs.minIntervalMs, 1_000),
      dispatcher: optional('options.dcs.dispatcher', dcs.dispatcher, 'an undici dispatcher', isDispatcher),
    },
  };
}

function orgIdOf(given: unknown): string {
  const rule = "an organisation id such as '1FD6776A524453CC0A490D44@AdobeOrg'";
  assert(typeof given === 'string', 'options.orgId', rule, given);
  const orgId = given.includes('@') ? given : `${given}@AdobeOrg`;
  assert(/^[\w-]+@[\w.-]+$/.test(orgId), 'options.orgId', rule, given);
  return orgId;
}

function partnerHostOf(given: unknown): string {
  const rule = "the partner's alias, one host label such as 'acme', or 'acme.demdex.net'";
  assert(typeof given === 'string', 'options.partner', rule, given);
  const label = given.replace(/\.demdex\.net$/i, '');
  assert(HOST_LABEL.test(label), 'options.partner', rule, given);
  return `${label}.demdex.net`;
}

function segmentNames(given: unknown): SegmentNames {
  assert(isRecord(given), 'options.segments', 'an object of names and segment ids', given);
  const names = new Map<string, Wanted>();
  for (const [name, id] of Object.entries(given)) {
    const path = `options.segments[${JSON.stringify(name)}]`;
    if (name === '' || name === 'default' || /^\d+$/.test(name) || name in Object.prototype) {
      const rule = "must have another name: not empty, not all digits, not 'default', nothing that every object has";
      throw new AamError('ERR_AAM_INVALID_OPTION', `${path} ${rule}`);
    }
    const wanted = wantedById(id);
    assert(wanted !== undefined, path, 'a segment id (a number or a string of digits) or { value: string }', id);
    names.set(name, wanted);
  }
  return new SegmentNames(names);
}

function destinationFormats(given: unknown): Map<string, ResolvedDestinationFormat> {
  assert(isRecord(given), 'options.destinations', 'an object of cookie names and formats', given);
  const formats = new Map<string, ResolvedDestinationFormat>();
  for (const [name, format] of Object.entries(given)) {
    const path = `options.destinations[${JSON.stringify(name)}]`;
    const { keys, keySeparator, pairSeparator, serialSeparator } = group<DestinationFormat>(path, format, {
      keys: true,
      keySeparator: true,
      pairSeparator: true,
      serialSeparator: true,
    });
    assert(
      keys === undefined || (Array.isArray(keys) && keys.length > 0 && keys.every(isText)),
      `${path}.keys`,
      'an array of at least one key',
      keys,
    );
    formats.set(name, {
      keys: keys && new Set(keys),
      keySeparator: optional(`${path}.keySeparator`, keySeparator, 'a string, not empty', isText) ?? '=',
      pairSeparator: optional(`${path}.pairSeparator`, pairSeparator, 'a string, not empty', isText) ?? ',',
      serialSeparator: optional(`${path}.serialSeparator`, serialSeparator, 'a string, not empty', isText),
    });
  }
  return formats;
}

function regionsOf({ origins, defaultOrigin }: DcsOptions, partnerHost: string): Regions {
  if (origins !== undefined) {
    assert(isRecord(origins), 'options.dcs.origins', 'an object of region ids and origins', origins);
    assert(
      defaultOrigin !== undefined,
      'options.dcs.defaultOrigin',
      'given too where options.dcs.origins is: it replaces the whole table',
      defaultOrigin,
    );
  }
  const byRegion = new Map<number, URL>();
  for (const [region, origin] of Object.entries(origins ?? REGIONAL_ORIGINS)) {
    const path = `options.dcs.origins[${JSON.stringify(region)}]`;
    assert(/^[1-9]\d{0,3}$/.test(region), path, 'under a region id, an integer from 1 to 9999', region);
    byRegion.set(Number(region), originOf(path, origin));
  }
  return new Regions(byRegion, originOf('options.dcs.defaultOrigin', defaultOrigin ?? `https://${partnerHost}`));
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

function isFunction(given: unknown): boolean {
  return typeof given === 'function';
}

/** The error does not repeat it: it may be a secret that is only too short. */
function keySecretOf(given: unknown): string | undefined {
  if (given === undefined || (typeof given === 'string' && given.length >= 32)) return given;
  const received = typeof given === 'string' ? `one of ${given.length}` : typeof given;
  const rule = 'a string of at least 32 characters';
  throw new AamError('ERR_AAM_INVALID_OPTION', `options.cache.keySecret must be ${rule}, got ${received}`);
}

function isDispatcher(given: unknown): boolean {
  return typeof given === 'object' && given !== null && typeof (given as DcsDispatcher).request === 'function';
}

function originOf(path: string, given: unknown): URL {
  const url = typeof given === 'string' ? urlOf(given) : undefined;
  const isOrigin =
    url !== undefined && (url.protocol === 'https:' || url.protocol === 'http:') && url.href === `${url.origin}/`;
  assert(isOrigin, path, "an http or https origin such as 'https://usw2.demdex.net'", given);
  return url;
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

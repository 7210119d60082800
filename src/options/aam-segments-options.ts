/**
 * Owns: the options of the middleware, their checks and defaults. An option's JSDoc is its documentation. Next:
 * ../middleware.ts.
 */
import type { Request } from 'express';
import type { ExposureMessage } from '../channels/messages';
import { gppPackage, INSTALL_GPP } from '../consent/gpp-layouts';
import type { TcfMode } from '../consent/tcf';
import type { Signals } from '../dcs/protocol/signals';
import { OPTIONS } from '../diagnosis/option-names';
import { Warnings } from '../diagnosis/warnings';
import { AamError } from '../errors';
import type { CustomerId } from '../identity/customer-ids';
import type { VisitorId } from '../identity/visitor';
import { assert, count, flag, group, integer, ms, oneOf, optional, secret, secrets } from '../option-checks';
import type { SharedStore } from '../shared-tier/shared-store';
import { sharedStoreOf } from './client-cache-options';
import { type DcsClientOptions, type ResolvedClientOptions, resolvedClientOptions } from './dcs-client-options';

/** Options of `aamSegments()`. Durations are integers in milliseconds, from 0 to 2 147 483 647; counts are integers of at least 1. */
export interface AamSegmentsOptions<Name extends string = string> extends DcsClientOptions<Name> {
  /**
   * How long a request waits for an answer that is not in the cache, in milliseconds. 0 never waits.
   * @default 150
   */
  readonly maxWaitMs?: number | undefined;
  /**
   * Whether to leave a request alone: no call is made for it, and its status is `excluded`, reason `skipped`. A request
   * for which this function throws is skipped too.
   * @default no request is skipped
   * @example (req) => req.path.startsWith('/health')
   */
  readonly skip?: ((req: Request) => boolean) | undefined;
  /**
   * Whether requests of bots, recognised by `User-Agent`, are left alone: status `excluded`, reason `bot`. Adobe denylists
   * ids that are sent too often, and crawlers are the usual cause.
   * @default true
   */
  readonly excludeBots?: boolean | undefined;
  /**
   * Signals to send along with a lookup, as `sendEvent()` takes them. Called only when a lookup makes a call of its own, so
   * it suits what describes the visitor or the page, not what happened. If it throws, or returns signals that are invalid or
   * larger than 20 000 bytes, the lookup is made without them.
   * @default no signals
   * @example (req) => ({ c_section: req.path })
   */
  readonly signals?: ((req: Request) => Signals | undefined | null) | undefined;
  /** Where the visitor's id comes from. */
  readonly identity?: IdentityOptions | undefined;
  /** Which visitors the DCS may be asked about. */
  readonly consent?: ConsentOptions | undefined;
  /** How responses that depend on the visitor are kept out of shared caches. */
  readonly privacy?: PrivacyOptions | undefined;
  /** How many answers are cached, and for how long. */
  readonly cache?: CacheOptions | undefined;
  /** What all experiments share. */
  readonly experiments?: ExperimentsOptions | undefined;
  /** Signed links by which somebody sees the site as a visitor of their choice would, see `aam.previewUrl()`. @default none */
  readonly preview?: PreviewOptions | undefined;
}

/** What previews are signed with. */
export interface PreviewOptions {
  /**
   * A secret of at least 32 characters, the same in all processes; or several, of which the first one signs and all are accepted,
   * so that one can be replaced while links are in use.
   */
  readonly secret: string | readonly string[];
}

/** A cookie by which visitors keep their variants before they have an id. */
export interface StickyCookieOptions {
  /** A secret of at least 32 characters; or several, of which the first one signs and all are accepted. */
  readonly secret: string | readonly string[];
  /** The name of the cookie. @default 'aam_unit' */
  readonly name?: string | undefined;
  /**
   * How long it is valid from the first view on, in milliseconds, from 60 000 to 34 560 000 000 (400 days, which is as long as
   * browsers keep a cookie). It is not renewed.
   * @default 15552000000 (180 days)
   */
  readonly maxAgeMs?: number | undefined;
}

/** What all experiments of an instance share. */
export interface ExperimentsOptions {
  /**
   * Called when a variant is used, once per unit and experiment, as far as this process remembers. Nothing waits for it; if it
   * throws or rejects, a warning is emitted once.
   * @default not called
   * @example ({ experiment, variant }, req) => analytics.track(req, experiment, variant)
   */
  readonly onExposure?: ((exposure: Omit<ExposureMessage, 'instance'>, req: Request) => unknown) | undefined;
  /**
   * A first-party cookie with a random id, which is the unit of experiments without an audience. Set when an experiment is used,
   * never for visitors who refused or opted out, nor for robots.
   * @default visitors without an id get the control
   */
  readonly stickyCookie?: StickyCookieOptions | undefined;
}

/** Where the visitor's id comes from. Adobe's AMCV and Web SDK cookies are always read. */
export interface IdentityOptions {
  /**
   * Whether to read the ECID from the `s_ecid` cookie of a CNAME tracking server, where AMCV has none.
   * @default true
   */
  readonly sEcid?: boolean | undefined;
  /**
   * Whether to read the ECID from the query parameter `adobe_mc` where no cookie has one. Adobe's clients add it to links to
   * other domains of the same company. A link is valid for five minutes, and anyone who opens it in that time sees the page of
   * the visitor who shared it.
   * @default false
   */
  readonly adobeMc?: boolean | undefined;
  /**
   * Cookies that hold the visitor's Audience Manager UUID, read where there is no ECID.
   * @default none
   * @example ['aam_uuid', 'aam_did']
   */
  readonly uuidCookie?: string | readonly string[] | undefined;
  /**
   * The visitor as the site knows them, by `{ ecid }`, `{ uuid }` or `{ customerIds }`, which takes precedence over cookies;
   * `undefined` leaves it to the cookies. If it throws or returns no valid visitor, the request is `anonymous`, reason `bad-id`.
   * @default cookies only
   * @example (req) => req.session?.ecid ? { ecid: req.session.ecid } : undefined
   */
  readonly resolve?: ((req: Request) => VisitorId | undefined | null) | undefined;
  /**
   * The company's own ids of a logged-in visitor, which are sent with the call. Each is of a data source, which is named by
   * `dataSourceId` or by `integrationCode`; `authState` is `'unknown'`, `'authenticated'` or `'logged-out'`. Other ids, or
   * another state, cause a new lookup. At most 10 are sent, 3 of one data source; the first ones are taken.
   * @default none
   * @example (req) => req.user ? [{ dataSourceId: 1234, id: req.user.crmId, authState: 'authenticated' }] : []
   */
  readonly customerIds?: ((req: Request) => readonly CustomerId[] | undefined | null) | undefined;
}

/** Which visitors the DCS may be asked about. Opt-outs and refusals in Adobe's own cookies always count. */
export interface ConsentOptions {
  /**
   * Whether a visitor who has neither agreed nor refused counts as having refused.
   * @default false
   */
  readonly required?: boolean | undefined;
  /**
   * Whether the request header `Sec-GPC: 1` (Global Privacy Control) counts as a refusal.
   * @default true
   */
  readonly gpc?: boolean | undefined;
  /**
   * The cookies with the consent string of the IAB TCF, written by the site's consent management platform: all that are present
   * must consent to vendor 565 and to purposes 1 and 10. `false` ignores them.
   * @default ['euconsent-v2', 'eupubconsent-v2'] (the usual name, and that of OneTrust)
   */
  readonly tcfCookie?: string | readonly string[] | false | undefined;
  /**
   * How TC strings are read. `'strict'`: those written after 28 February 2026 must be of TCF 2.3, that is, say which vendors were
   * disclosed to the visitor, with vendor 565 among them. `'lenient'`: all of them are read as TCF 2.2 does, for a site whose
   * consent management platform is late.
   * @default 'strict'
   */
  readonly tcf?: TcfMode | undefined;
  /**
   * Whether the cookie `__gpp` with the string of the IAB's Global Privacy Platform is read: an opt-out of sale, sharing or
   * targeted advertising is a refusal. Its sections of US states need the package `@iabgpp/cmpapi`; without it, a visitor who has
   * one counts as having refused. `true` throws at construction if the package is not installed.
   * @default true, without the check at construction
   */
  readonly gpp?: boolean | undefined;
  /**
   * Whether the cookie `usprivacy` with the IAB's US Privacy string is read: an opt-out of sale is a refusal.
   * @default true
   */
  readonly usPrivacy?: boolean | undefined;
  /**
   * Whether the visitor has agreed, as the site knows it: only `true` does. Throwing, rejecting and a promise that is pending
   * after `maxWaitMs` count as a refusal for this request. Called only when no other source refuses.
   * @default not asked
   * @example (req) => req.session?.marketing === true
   */
  readonly given?: ((req: Request) => boolean | PromiseLike<boolean>) | undefined;
}

/**
 * How responses that depend on the visitor are kept out of shared caches. Once segments have been read, they always leave
 * with `Cache-Control: private`.
 */
export interface PrivacyOptions {
  /**
   * Whether to add `Vary: Cookie` to those responses, for caches that ignore `private`.
   * @default false
   */
  readonly varyCookie?: boolean | undefined;
}

/** How many answers are cached, and for how long. */
export interface CacheOptions {
  /**
   * Maximum number of visitors in the cache of this process. Beyond it, visitors who were seen only once are evicted first.
   * @default 100000
   */
  readonly maxVisitors?: number | undefined;
  /**
   * Roughly how much memory the cached answers may take, in bytes, from 1 MiB. A usual answer takes some 300 bytes. Beyond the
   * limit, visitors are evicted as beyond `maxVisitors`; an answer that takes more than a twentieth of it is not cached.
   * @default 128 MiB, or 1 KiB for each of `maxVisitors` if that is more
   */
  readonly maxBytes?: number | undefined;
  /**
   * How long an answer stays fresh, in milliseconds: status `cached`. 0 refreshes it on every request.
   * @default 60000
   */
  readonly ttlMs?: number | undefined;
  /**
   * How long after its ttl an answer is served at once as `stale` while it is refreshed in the background, in milliseconds.
   * @default 600000
   */
  readonly staleWhileRevalidateMs?: number | undefined;
  /**
   * How long after its ttl an answer is still served as `stale` when its refresh fails or takes longer than `maxWaitMs`, in
   * milliseconds. Past `staleWhileRevalidateMs`, requests wait for the refresh first.
   * @default 3600000
   */
  readonly staleIfErrorMs?: number | undefined;
  /**
   * The ttl of an answer without segments, in milliseconds. It is short because the profile of a new visitor may not have
   * reached the region yet.
   * @default 15000
   */
  readonly emptyTtlMs?: number | undefined;
  /**
   * A secret of at least 32 characters. With it, cache keys are HMACs, and the cache holds no visitor ids.
   * @default ids are the cache keys
   */
  readonly keySecret?: string | undefined;
  /**
   * A store that the processes of a fleet share, so that a visitor is asked about once and not once per process: `redisStore()`
   * of `express-aam-segments/redis`. It needs `keySecret`, the same in all processes: the store holds no visitor ids.
   * @default each process has its own cache
   * @example redisStore(createClient({ url: process.env.REDIS_URL ?? 'redis://localhost', disableOfflineQueue: true }))
   */
  readonly shared?: SharedStore | undefined;
}

const MIB = 1_048_576;
const MINUTE_MS = 60_000;

/** One for all instances, as those of the options that clients have, too. */
const warnings = new Warnings();

const TAKER = 'aamSegments()';
const KNOWN = OPTIONS[TAKER];

/** The first one signs, all of them verify. */
type Secrets = readonly [string, ...string[]];

/** The options, checked, with their defaults. */
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
    readonly tcfCookie: readonly string[];
    readonly tcf: TcfMode;
    readonly gpp: boolean;
    readonly usPrivacy: boolean;
    readonly given: ((req: unknown) => unknown) | undefined;
  };
  readonly privacy: { readonly varyCookie: boolean };
  readonly cache: {
    readonly maxVisitors: number;
    readonly maxBytes: number;
    readonly ttlMs: number;
    readonly staleWhileRevalidateMs: number;
    readonly staleIfErrorMs: number;
    readonly emptyTtlMs: number;
    readonly keySecret: string | undefined;
    readonly shared: SharedStore | undefined;
  };
  readonly experiments: {
    readonly onExposure: ((exposure: Omit<ExposureMessage, 'instance'>, req: unknown) => unknown) | undefined;
    readonly stickyCookie: { readonly secrets: Secrets; readonly name: string; readonly maxAgeMs: number } | undefined;
  };
  readonly preview: { readonly secrets: Secrets } | undefined;
}

/**
 * Checks the options and adds the defaults. Reads each option once, and does not modify the caller's object.
 * @throws {AamError} `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_INVALID_OPTION`
 */
export function resolveOptions(options: AamSegmentsOptions): ResolvedOptions {
  const top = group<AamSegmentsOptions>('options', options, KNOWN, TAKER);
  const {
    identity: identityGroup = {},
    consent: consentGroup = {},
    privacy: privacyGroup = {},
    cache: cacheGroup = {},
    experiments: experimentsGroup = {},
  } = top;
  const identity = group<IdentityOptions>('options.identity', identityGroup, KNOWN.identity, TAKER);
  const consent = group<ConsentOptions>('options.consent', consentGroup, KNOWN.consent, TAKER);
  const privacy = group<PrivacyOptions>('options.privacy', privacyGroup, KNOWN.privacy, TAKER);
  const cache = group<CacheOptions>('options.cache', cacheGroup, KNOWN.cache, TAKER);
  const experiments = group<ExperimentsOptions>('options.experiments', experimentsGroup, KNOWN.experiments, TAKER);
  const maxVisitors = count('options.cache.maxVisitors', cache.maxVisitors, 100_000);
  const client = resolvedClientOptions(top, TAKER);
  const ttlMs = ms('options.cache.ttlMs', cache.ttlMs, 60_000);
  warnOfShortTtl(ttlMs, client.dcs.maxCallsPerMinute);
  return {
    ...client,
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
      tcfCookie: tcfCookiesOf(consent.tcfCookie),
      tcf: oneOf('options.consent.tcf', consent.tcf, ['strict', 'lenient'], 'strict'),
      gpp: gppOf(consent.gpp),
      usPrivacy: flag('options.consent.usPrivacy', consent.usPrivacy, true),
      given: siteFunction('options.consent.given', consent.given),
    },
    privacy: { varyCookie: flag('options.privacy.varyCookie', privacy.varyCookie, false) },
    cache: {
      maxVisitors,
      maxBytes: maxBytesOf(cache.maxBytes, maxVisitors),
      ttlMs,
      staleWhileRevalidateMs: ms('options.cache.staleWhileRevalidateMs', cache.staleWhileRevalidateMs, 600_000),
      staleIfErrorMs: ms('options.cache.staleIfErrorMs', cache.staleIfErrorMs, 3_600_000),
      emptyTtlMs: ms('options.cache.emptyTtlMs', cache.emptyTtlMs, 15_000),
      keySecret: cache.keySecret === undefined ? undefined : secret('options.cache.keySecret', cache.keySecret),
      shared: sharedStoreOf('options.cache', cache),
    },
    experiments: {
      onExposure: optional(
        'options.experiments.onExposure',
        experiments.onExposure as ResolvedOptions['experiments']['onExposure'],
        'a function',
        (value) => typeof value === 'function',
      ),
      stickyCookie: stickyCookieOf(experiments.stickyCookie),
    },
    preview: previewOf(top.preview),
  };
}

const DAY_MS = 86_400_000;

function stickyCookieOf(given: StickyCookieOptions | undefined): ResolvedOptions['experiments']['stickyCookie'] {
  if (given === undefined) return undefined;
  const path = 'options.experiments.stickyCookie';
  const known = KNOWN.experiments.stickyCookie;
  const { name = 'aam_unit', ...cookie } = group<StickyCookieOptions>(path, given, known, TAKER);
  const isFree = isCookieName(name) && !/^(?:__Host-)?aam_preview$/.test(name);
  assert(isFree, `${path}.name`, 'a cookie name, and not that of previews', name);
  return {
    secrets: secrets(`${path}.secret`, cookie.secret),
    name,
    maxAgeMs: integer(`${path}.maxAgeMs`, cookie.maxAgeMs, 60_000, 400 * DAY_MS, 180 * DAY_MS),
  };
}

function previewOf(given: PreviewOptions | undefined): ResolvedOptions['preview'] {
  if (given === undefined) return undefined;
  const path = 'options.preview';
  return { secrets: secrets(`${path}.secret`, group<PreviewOptions>(path, given, KNOWN.preview, TAKER).secret) };
}

/** A visitor who keeps viewing pages is looked up once per ttl. */
function warnOfShortTtl(ttlMs: number, maxCallsPerMinute: number): void {
  const leastMs = Math.ceil(MINUTE_MS / maxCallsPerMinute);
  if (ttlMs >= leastMs) return;
  const happened = `options.cache.ttlMs is ${ttlMs}: a visitor who keeps viewing pages needs more calls than dcs.maxCallsPerMinute, which is ${maxCallsPerMinute}`;
  const advice = `Beyond it they are served what is known, or are 'unknown'. Set ttlMs to at least ${leastMs}`;
  warnings.warn('WRN_AAM_SHORT_TTL', `${happened}. ${advice}.`);
}

function maxBytesOf(given: unknown, maxVisitors: number): number {
  const fallback = Math.max(128 * MIB, maxVisitors * 1_024);
  return integer('options.cache.maxBytes', given, MIB, Number.MAX_SAFE_INTEGER, fallback);
}

function cookieNames(path: string, given: unknown): readonly string[] {
  if (given === undefined) return [];
  const names = Array.isArray(given) ? [...given] : [given];
  assert(names.every(isCookieName), path, 'a cookie name or an array of cookie names', given);
  return names;
}

function tcfCookiesOf(given: unknown = ['euconsent-v2', 'eupubconsent-v2']): readonly string[] {
  if (given === false) return [];
  const names = Array.isArray(given) ? [...given] : [given];
  assert(
    names.every(isCookieName),
    'options.consent.tcfCookie',
    'a cookie name, an array of cookie names or false',
    given,
  );
  return names;
}

/** Whoever asks for it wants to know at once that it cannot be done. */
function gppOf(given: boolean | undefined): boolean {
  const isWanted = flag('options.consent.gpp', given, true);
  if (given !== true || gppPackage() !== undefined) return isWanted;
  throw new AamError(
    'ERR_AAM_INVALID_OPTION',
    `options.consent.gpp needs a package that is not installed: ${INSTALL_GPP}`,
  );
}

/** A token, as RFC 6265 defines cookie names. */
function isCookieName(given: unknown): boolean {
  return typeof given === 'string' && /^[!#$%&'*+.^`|~\w-]+$/.test(given);
}

/** Within the package the request is only passed on, so its type is not needed. */
function siteFunction<R>(path: string, given: ((req: Request) => R) | undefined): ((req: unknown) => R) | undefined {
  const isFunction = (value: unknown) => typeof value === 'function';
  return optional(path, given as ((req: unknown) => R) | undefined, 'a function', isFunction);
}

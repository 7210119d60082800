/**
 * Owns: what has to be known to ask a DCS at all, for the middleware and for the client on its own. Next: aam-segments-options.ts.
 */
import type { DcsDispatcher } from '../dcs/connections';
import { REGIONAL_ORIGINS, Regions } from '../dcs/protocol/regions';
import type { SegmentIds } from '../dcs/protocol/request';
import { AamError } from '../errors';
import { assert, count, flag, group, integer, isRecord, isText, ms, oneOf, optional } from '../option-checks';
import type { DestinationFormat, ResolvedDestinationFormat } from '../segments/destination-values';
import { type SegmentId, SegmentNames, type Wanted, wantedById } from '../segments/segment-refs';

/** What a {@link DcsClient} is made of. Durations are integers in milliseconds, counts are integers from 1. */
export interface DcsClientOptions<Name extends string = string> {
  /** The organisation id, `1FD6776A524453CC0A490D44@AdobeOrg`; `@AdobeOrg` is added when there is no `@`. */
  readonly orgId: string;
  /** The alias that Adobe gave the company: `acme` or `acme.demdex.net`. It goes into the Host header. */
  readonly partner: string;
  /** Names for segments, to be used in code. @default {} */
  readonly segments?: Readonly<Record<Name, SegmentId>> | undefined;
  /** Cookie destinations whose values are segments, by cookie name. @default {} */
  readonly destinations?: Readonly<Record<string, DestinationFormat>> | undefined;
  readonly dcs?: DcsOptions | undefined;
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
  readonly maxQueuedCalls?: number | undefined;
  /** Events that wait to be sent; of more, the oldest are dropped. @default 1000 */
  readonly maxQueuedEvents?: number | undefined;
  /** When an origin that fails is left alone. */
  readonly breaker?: BreakerOptions | false | undefined;
  /**
   * Asks the default origin about the visitors of a region that is left alone: any DCS answers for any visitor, only more
   * slowly. @default true
   */
  readonly failover?: boolean | undefined;
  /** After a failed call no further one for the same visitor for so long. @default 1000 */
  readonly failureCooldownMs?: number | undefined;
  /**
   * The most calls about one visitor within any minute, lookups and events together: Adobe denylists ids that are sent too
   * often, for good. Further lookups are `unknown`, reason `rate-limited`, or served from the cache; further events wait.
   * @default 20
   */
  readonly maxCallsPerMinute?: number | undefined;
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

/** The same with everything filled in and checked. */
export interface ResolvedClientOptions {
  readonly orgId: string;
  readonly names: SegmentNames;
  readonly destinations: ReadonlyMap<string, ResolvedDestinationFormat>;
  readonly dcs: {
    readonly orgId: string;
    readonly partnerHost: string;
    readonly timeoutMs: number;
    readonly regions: Regions;
    readonly segmentIds: SegmentIds;
    readonly connections: number;
    readonly maxQueuedCalls: number;
    readonly maxQueuedEvents: number;
    readonly breaker: { readonly [Option in keyof BreakerOptions]-?: number } | false;
    readonly failover: boolean;
    readonly failureCooldownMs: number;
    readonly maxCallsPerMinute: number;
    readonly dispatcher: DcsDispatcher | undefined;
  };
}

export const DCS_CLIENT_OPTIONS: Record<keyof DcsClientOptions, true> = {
  orgId: true,
  partner: true,
  segments: true,
  destinations: true,
  dcs: true,
};

const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Checks those options and fills in the defaults.
 * @param given each option read once already, see `group()`
 * @throws {AamError} `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_INVALID_OPTION`
 */
export function resolvedClientOptions(given: DcsClientOptions): ResolvedClientOptions {
  const { segments = {}, destinations = {}, dcs: dcsGroup = {} } = given;
  const dcs = group<DcsOptions>('options.dcs', dcsGroup, {
    timeoutMs: true,
    origins: true,
    defaultOrigin: true,
    segmentIds: true,
    connections: true,
    maxQueuedCalls: true,
    maxQueuedEvents: true,
    breaker: true,
    failover: true,
    failureCooldownMs: true,
    maxCallsPerMinute: true,
    dispatcher: true,
  });
  const partnerHost = partnerHostOf(given.partner);
  const orgId = orgIdOf(given.orgId);
  return {
    orgId,
    names: segmentNames(segments),
    destinations: destinationFormats(destinations),
    dcs: {
      orgId,
      partnerHost,
      timeoutMs: integer('options.dcs.timeoutMs', dcs.timeoutMs, 1, 2_147_483_647, 1_000),
      regions: regionsOf(dcs, partnerHost),
      segmentIds: oneOf('options.dcs.segmentIds', dcs.segmentIds, ['sid', 'legacy', false], 'sid'),
      connections: count('options.dcs.connections', dcs.connections, 64),
      maxQueuedCalls: count('options.dcs.maxQueuedCalls', dcs.maxQueuedCalls, 128),
      maxQueuedEvents: count('options.dcs.maxQueuedEvents', dcs.maxQueuedEvents, 1_000),
      breaker: breakerLimits(dcs.breaker),
      failover: flag('options.dcs.failover', dcs.failover, true),
      failureCooldownMs: ms('options.dcs.failureCooldownMs', dcs.failureCooldownMs, 1_000),
      maxCallsPerMinute: count('options.dcs.maxCallsPerMinute', dcs.maxCallsPerMinute, 20),
      dispatcher: optional('options.dcs.dispatcher', dcs.dispatcher, 'an undici dispatcher', isDispatcher),
    },
  };
}

function breakerLimits(given: BreakerOptions | false = {}): ResolvedClientOptions['dcs']['breaker'] {
  if (given === false) return false;
  const breaker = group<BreakerOptions>('options.dcs.breaker', given, {
    minCalls: true,
    windowMs: true,
    failurePercent: true,
    probeAfterMs: true,
  });
  return {
    minCalls: count('options.dcs.breaker.minCalls', breaker.minCalls, 10),
    windowMs: count('options.dcs.breaker.windowMs', breaker.windowMs, 10_000),
    failurePercent: integer('options.dcs.breaker.failurePercent', breaker.failurePercent, 1, 100, 50),
    probeAfterMs: ms('options.dcs.breaker.probeAfterMs', breaker.probeAfterMs, 5_000),
  };
}

function orgIdOf(given: unknown): string {
  const rule = "an organisation id such as '1FD6776A524453CC0A490D44@AdobeOrg'";
  assert(typeof given === 'string', 'options.orgId', rule, given);
  const orgId = given.includes('@') ? given : `${given}@AdobeOrg`;
  assert(/^[\w-]+@[\w.-]+$/.test(orgId), 'options.orgId', rule, given);
  if (!/^[0-9A-F]{24}@AdobeOrg$/i.test(orgId)) {
    // Legal, but nearly always a slip, and one that would only show as visitors who never have an id.
    process.emitWarning(`the option 'orgId' is ${orgId}; Adobe's are 24 hexadecimal digits and @AdobeOrg`, {
      code: 'WRN_AAM_ORG_ID',
    });
  }
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

function isDispatcher(given: unknown): boolean {
  return typeof given === 'object' && given !== null && typeof (given as DcsDispatcher).dispatch === 'function';
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

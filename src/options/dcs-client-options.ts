/**
 * Owns: the options that the middleware and the standalone client share, their checks and defaults. An option's JSDoc is
 * its documentation. Next: aam-segments-options.ts.
 */
import type { DcsDispatcher } from '../dcs/connections';
import { REGIONAL_ORIGINS, Regions } from '../dcs/protocol/regions';
import type { DcsMethod, SegmentIds } from '../dcs/protocol/request';
import { OPTIONS } from '../diagnosis/option-names';
import { Warnings } from '../diagnosis/warnings';
import { AamError } from '../errors';
import { quoted } from '../handed-over/showing';
import { assert, count, entries, flag, group, integer, isRecord, isText, ms, oneOf, optional } from '../option-checks';
import type { DestinationFormat, ResolvedDestinationFormat } from '../segments/destination-values';
import { type SegmentId, SegmentNames, type Wanted, wantedById } from '../segments/segment-refs';

/** Options of `createDcsClient()`. Durations are integers in milliseconds, counts are integers of at least 1. */
export interface DcsClientOptions<Name extends string = string> {
  /**
   * The organisation id of your Experience Cloud account. `@AdobeOrg` is added to an id without `@`.
   * @example '1FD6776A524453CC0A490D44@AdobeOrg'
   */
  readonly orgId: string;
  /**
   * The alias that Adobe gave your company, with or without `.demdex.net`. It is sent as the `Host` of every call.
   * @example 'acme'
   */
  readonly partner: string;
  /**
   * Names for segment ids (numbers or strings of digits), for use in code. A segment that only a cookie destination has is `{ value }`.
   * @default {}
   * @example { golfFans: 984263, sportsFans: { value: 'sports-fan' } }
   */
  readonly segments?: Readonly<Record<Name, SegmentId>> | undefined;
  /**
   * Cookie destinations whose values are segments: cookie name to format.
   * @default {}
   * @example { aam: { keys: ['seg'], pairSeparator: '&' } }
   */
  readonly destinations?: Readonly<Record<string, DestinationFormat>> | undefined;
  /** How the Data Collection Servers (DCS) are called. */
  readonly dcs?: DcsOptions | undefined;
}

/** How the Data Collection Servers (DCS) are called. */
export interface DcsOptions {
  /**
   * Deadline of one call, in milliseconds. It applies to calls in the background too, and is independent of `maxWaitMs`.
   * @default 1000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * The origin of each region, by region id. It replaces the whole built-in table, and requires `defaultOrigin`.
   * @default Adobe's eight regions
   * @example { 9: 'https://usw2.demdex.net' }
   */
  readonly origins?: Readonly<Record<number, string>> | undefined;
  /**
   * The origin to call for a visitor whose region is unknown. It requires `origins`, of which `{}` sends all calls to it.
   * @default `https://<partner>.demdex.net`
   */
  readonly defaultOrigin?: string | undefined;
  /**
   * Which segment ids to request: `'sid'` segment ids (`d_cts=2`), `'legacy'` legacy ids (`d_cts=1`), `false` none, for
   * accounts that only use cookie destinations. Adobe must enable ids for the account.
   * @default 'sid'
   */
  readonly segmentIds?: SegmentIds | undefined;
  /**
   * How lookups and events are sent: `'get'` with the visitor's ids in the URL, the documented form, or `'post'` as forms, so
   * that no id stands in a URL that a tracing tool or a proxy writes down. Opt-outs are sent by GET. (Audience Manager docs,
   * "DCS API Methods": POST is allowed up to 32 KB. Not seen yet with a real account for lookups without signals.)
   * @default 'get'
   */
  readonly method?: DcsMethod | undefined;
  /**
   * Maximum number of sockets per origin, and so of calls in flight.
   * @default 64
   */
  readonly connections?: number | undefined;
  /**
   * Maximum number of calls per origin that wait for a socket. Beyond it, visitors are `unknown`, reason `overloaded`.
   * @default 128
   */
  readonly maxQueuedCalls?: number | undefined;
  /**
   * Maximum number of events that wait to be sent. Beyond it, events of the visitor with the
   * most waiting ones are dropped (`ERR_AAM_EVENT_DROPPED`), those of unknown visitors first.
   * @default 1000
   */
  readonly maxQueuedEvents?: number | undefined;
  /** When the circuit breaker of an origin opens, and for how long; `false` for no breaker. */
  readonly breaker?: BreakerOptions | false | undefined;
  /**
   * Whether to call the default origin for visitors of a region whose circuit breaker is open. Any DCS can answer for any
   * visitor, only more slowly.
   * @default true
   */
  readonly failover?: boolean | undefined;
  /**
   * Minimum time between a failed call and the next call for the same visitor, in milliseconds. The standalone client also
   * repeats an answer for that long instead of calling again.
   * @default 1000
   */
  readonly failureCooldownMs?: number | undefined;
  /**
   * Maximum number of calls for one visitor within any minute, lookups and events together: Adobe denylists ids that are
   * sent too often, permanently. Beyond it, lookups are served from the cache or are `unknown`, reason `rate-limited`, and
   * events wait.
   * @default 20
   */
  readonly maxCallsPerMinute?: number | undefined;
  /**
   * An undici dispatcher to send calls through, such as a `ProxyAgent`, or an `Agent` with your own CA. `close()` does not
   * close it.
   * @default a pool of sockets per origin
   * @example new ProxyAgent('http://localhost:3128')
   */
  readonly dispatcher?: DcsDispatcher | undefined;
}

/**
 * When the circuit breaker of an origin opens, and for how long. Timeouts, network errors, HTTP errors and unusable answers
 * count as failures.
 */
export interface BreakerOptions {
  /**
   * Minimum calls in the window before the breaker can open.
   * @default 10
   */
  readonly minCalls?: number | undefined;
  /**
   * Length of the window of recent calls, in milliseconds.
   * @default 10000
   */
  readonly windowMs?: number | undefined;
  /**
   * Share of failed calls in the window at which the breaker opens, in percent from 1 to 100.
   * @default 50
   */
  readonly failurePercent?: number | undefined;
  /**
   * How long the breaker stays open before one call probes the origin, in milliseconds. The breaker closes when the probe
   * succeeds.
   * @default 5000
   */
  readonly probeAfterMs?: number | undefined;
}

/** The functions that take these options. */
export type ClientOptionTaker = 'aamSegments()' | 'createDcsClient()';

/** The options, checked, with their defaults. */
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
    readonly method: DcsMethod;
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

/** One for all instances: a site that creates them by mistake in every request is told the same once. */
const warnings = new Warnings();
const WITHOUT_SOURCE =
  "'dcs.segmentIds' is false and the option 'destinations' is empty, so no visitor is in any segment. Configure 'destinations', unless " +
  'you only send events or read raw values.';

const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Checks the options and adds the defaults.
 * @param given a copy made by `group()`, so that each option is read once
 * @param taker whose options they are
 * @throws {AamError} `ERR_AAM_UNKNOWN_OPTION`, `ERR_AAM_INVALID_OPTION`
 */
export function resolvedClientOptions(given: DcsClientOptions, taker: ClientOptionTaker): ResolvedClientOptions {
  const { segments = {}, destinations = {}, dcs: dcsGroup = {} } = given;
  const known = OPTIONS[taker].dcs;
  const dcs = group<DcsOptions>('options.dcs', dcsGroup, known, taker);
  const partnerHost = partnerHostOf(given.partner);
  const orgId = orgIdOf(given.orgId);
  const formats = destinationFormats(destinations, taker);
  const segmentIds = oneOf<SegmentIds>('options.dcs.segmentIds', dcs.segmentIds, ['sid', 'legacy', false], 'sid');
  if (segmentIds === false && formats.size === 0) warnings.warn('WRN_AAM_NO_SEGMENT_SOURCE', WITHOUT_SOURCE);
  return {
    orgId,
    names: segmentNames(segments, formats.size > 0),
    destinations: formats,
    dcs: {
      orgId,
      partnerHost,
      timeoutMs: integer('options.dcs.timeoutMs', dcs.timeoutMs, 1, 2_147_483_647, 1_000),
      regions: regionsOf(dcs, partnerHost),
      segmentIds,
      method: oneOf('options.dcs.method', dcs.method, ['get', 'post'], 'get'),
      connections: count('options.dcs.connections', dcs.connections, 64),
      maxQueuedCalls: count('options.dcs.maxQueuedCalls', dcs.maxQueuedCalls, 128),
      maxQueuedEvents: count('options.dcs.maxQueuedEvents', dcs.maxQueuedEvents, 1_000),
      breaker: breakerLimits(dcs.breaker, taker),
      failover: flag('options.dcs.failover', dcs.failover, true),
      failureCooldownMs: ms('options.dcs.failureCooldownMs', dcs.failureCooldownMs, 1_000),
      maxCallsPerMinute: count('options.dcs.maxCallsPerMinute', dcs.maxCallsPerMinute, 20),
      dispatcher: optional('options.dcs.dispatcher', dcs.dispatcher, 'an undici dispatcher', isDispatcher),
    },
  };
}

function breakerLimits(
  given: BreakerOptions | false = {},
  taker: ClientOptionTaker,
): ResolvedClientOptions['dcs']['breaker'] {
  if (given === false) return false;
  const breaker = group<BreakerOptions>('options.dcs.breaker', given, OPTIONS[taker].dcs.breaker, taker);
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
    // Legal, but nearly always a typo, whose only symptom would be visitors without ids.
    const message = `options.orgId is ${quoted(orgId)}, but Adobe's ids are 24 hexadecimal digits and @AdobeOrg. Check it for typos.`;
    warnings.warn('WRN_AAM_ORG_ID', message);
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

function segmentNames(given: unknown, hasDestinations: boolean): SegmentNames {
  assert(isRecord(given), 'options.segments', 'an object that maps names to segment ids', given);
  const names = new Map<string, Wanted>();
  for (const [name, id] of entries('options.segments', given)) {
    const path = `options.segments[${quoted(name)}]`;
    if (name === '' || name === 'default' || /^\d+$/.test(name) || name in Object.prototype) {
      const rule =
        "must have another name: not empty, not all digits, not 'default', not a property of Object.prototype";
      throw new AamError('ERR_AAM_INVALID_OPTION', `${path} ${rule}`);
    }
    const wanted = wantedById(id);
    assert(wanted !== undefined, path, 'a segment id (a number or a string of digits) or { value: string }', id);
    if (wanted.value !== undefined && !hasDestinations) {
      const rule = "needs the option 'destinations', which says in which cookie destination the value is";
      throw new AamError('ERR_AAM_INVALID_OPTION', `${path} is a { value }, and ${rule}`);
    }
    names.set(name, wanted);
  }
  return new SegmentNames(names, hasDestinations);
}

function destinationFormats(given: unknown, taker: ClientOptionTaker): Map<string, ResolvedDestinationFormat> {
  assert(isRecord(given), 'options.destinations', 'an object that maps cookie names to formats', given);
  const formats = new Map<string, ResolvedDestinationFormat>();
  for (const [name, format] of entries('options.destinations', given)) {
    const path = `options.destinations[${quoted(name)}]`;
    const known = OPTIONS[taker].destinations['*'];
    const { keys, keySeparator, pairSeparator, serialSeparator } = group<DestinationFormat>(path, format, known, taker);
    assert(
      keys === undefined || (Array.isArray(keys) && keys.length > 0 && keys.every(isText)),
      `${path}.keys`,
      'an array of at least one non-empty string',
      keys,
    );
    formats.set(name, {
      keys: keys && new Set(keys),
      keySeparator: optional(`${path}.keySeparator`, keySeparator, 'a non-empty string', isText) ?? '=',
      pairSeparator: optional(`${path}.pairSeparator`, pairSeparator, 'a non-empty string', isText) ?? ',',
      serialSeparator: optional(`${path}.serialSeparator`, serialSeparator, 'a non-empty string', isText),
    });
  }
  return formats;
}

function regionsOf({ origins, defaultOrigin }: DcsOptions, partnerHost: string): Regions {
  if (origins !== undefined) {
    assert(isRecord(origins), 'options.dcs.origins', 'an object that maps region ids to origins', origins);
    assert(
      defaultOrigin !== undefined,
      'options.dcs.defaultOrigin',
      'given together with options.dcs.origins, which replaces the whole table',
      defaultOrigin,
    );
  } else if (defaultOrigin !== undefined) {
    const rule =
      "given together with options.dcs.defaultOrigin, or calls about visitors of a known region go to Adobe's own servers";
    assert(false, 'options.dcs.origins', `${rule} ({} sends all calls to the default origin)`, origins);
  }
  const byRegion = new Map<number, URL>();
  for (const [region, origin] of entries('options.dcs.origins', origins ?? REGIONAL_ORIGINS)) {
    const path = `options.dcs.origins[${quoted(region)}]`;
    assert(/^[1-9]\d{0,3}$/.test(region), path, 'keyed by a region id, an integer from 1 to 9999', region);
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

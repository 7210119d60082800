/**
 * Owns: the standalone client for workers, scripts and other frameworks. It has the calls and the cache of the middleware,
 * without requests and therefore without consent, which its caller has to check.
 */
import { performance } from 'node:perf_hooks';
import { DcsPublisher } from './channels/dcs-publisher';
import type { DcsStats } from './dcs/dcs';
import { createDcs } from './dcs/dcs-calls';
import { encodedSignals, type Signals } from './dcs/protocol/signals';
import { InstanceWatch } from './diagnosis/instances';
import { OPTIONS } from './diagnosis/option-names';
import type { VisitorId } from './identity/visitor';
import { checkedVisitor } from './identity/visitor';
import { AnswerResolver } from './lookup/answer-resolver';
import { type LookupManyOptions, type LookupResult, lookupMany, type ResultRecorder } from './lookup/lookup-many';
import { type LookupOptions, lookupVisitor } from './lookup/lookup-visitor';
import { assert, group, isRecord } from './option-checks';
import { type ClientCacheOptions, resolvedClientCache } from './options/client-cache-options';
import { type DcsClientOptions, resolvedClientOptions } from './options/dcs-client-options';
import { ResponsePrivacy } from './request/response-privacy';
import { type Instance, VisitorSegments } from './segments/visitor-segments';
import { joinFleet } from './shared-tier/create-tier';
import type { SharedStats } from './shared-tier/shared-tier';

/** Counts since construction, and sizes as they are now. No identifiers. */
export interface DcsClientStats extends DcsStats {
  /** What is wrong with the configuration and what to do, as far as answers and requests have shown it. */
  readonly advice: readonly string[];
  /** What became of the commands to the shared store; absent without the option `cache.shared`. */
  readonly shared?: SharedStats | undefined;
}

/** Looks up visitors in the DCS and sends events about them. Does not check consent: that is up to the caller. */
export interface DcsClient<Name extends string = string> {
  /**
   * Resolves with the visitor's segments. An answer is reused for `dcs.failureCooldownMs`, because Adobe denylists ids that
   * many calls are made about, permanently; an answer without segments for 15 seconds; an exclusion (status `excluded`) for
   * as long as it holds.
   * @throws {AamError} by rejection: the `ERR_AAM_DCS_*` code of the failure, `ERR_AAM_DCS_TIMEOUT` also after `maxWaitMs`,
   * `ERR_AAM_CLOSED`; `ERR_AAM_INVALID_OPTION` for an invalid visitor. Rejects with the signal's reason when it aborts.
   */
  lookup(visitor: VisitorId, options?: LookupOptions): Promise<VisitorSegments<Name>>;
  /**
   * Iterates over the segments of many visitors, in the order of the visitors. Reads at most eight times `concurrency` ahead;
   * a visitor who occurs twice within that is looked up once. A visitor whose lookup fails has an `error`, and the iteration
   * continues. Rate limiting (HTTP 429) is waited out; so is a failing DCS, for up to a minute.
   * @throws by rejection of `next()`: the error of the source, after the results of its earlier visitors; the signal's
   * reason; `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
   */
  lookupMany<V extends VisitorId>(
    visitors: AsyncIterable<V> | Iterable<V>,
    options?: LookupManyOptions,
  ): AsyncGenerator<LookupResult<V, Name>, void, undefined>;
  /**
   * Sends an event with these signals, after all earlier calls about the visitor, and resolves with the visitor's segments
   * after it.
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_SIGNAL`, `ERR_AAM_EVENT_TOO_LARGE` (over 32 000 bytes),
   * `ERR_AAM_EVENT_DROPPED` (the queue was full), and as {@link lookup}
   */
  sendEvent(visitor: VisitorId, signals: Signals): Promise<VisitorSegments<Name>>;
  /**
   * Opts the visitor out of the company's Audience Manager account. **This cannot be undone**, not even by Adobe: the DCS
   * no longer answers calls about the visitor. For a customer id, the device last linked to it is opted out too. The visitor
   * must have exactly one id. (Audience Manager docs, "Data Privacy Requests")
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_OPTION` without `{ irreversible: true }` or with more than one id; the
   * `ERR_AAM_DCS_*` code of a failed call; `ERR_AAM_CLOSED`
   */
  optOut(visitor: VisitorId, confirmation: { readonly irreversible: true }): Promise<void>;
  /** Counts since construction and current state, without identifiers. */
  stats(): DcsClientStats;
  /**
   * Aborts lookups and frees sockets and timers. Queued events are sent first, for up to `dcs.timeoutMs`; an opt-out that waits
   * for one of them has as long again. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * A client, and `lookupMany()` in the form that the command line needs. Internal: not exported by the package.
 */
export interface InternalClient<Name extends string> {
  readonly client: DcsClient<Name>;
  /**
   * {@link DcsClient.lookupMany} that has results recorded as soon as they are available, before their turn in the order.
   */
  lookupMany<V extends VisitorId>(
    visitors: AsyncIterable<V> | Iterable<V>,
    options: LookupManyOptions,
    recorder: ResultRecorder<V, Name>,
  ): AsyncGenerator<LookupResult<V, Name>, void, undefined>;
}

/** The cache only prevents calls in rapid succession: room for the answers of about a second. */
const MAX_CACHED_VISITORS = 4_000;
const MAX_CACHED_BYTES = 33_554_432;
const EMPTY_TTL_MS = 15_000;
/** How long invalidations are remembered is up to the processes that serve old answers. These are the defaults of a site. */
const SITE_WINDOWS = { staleWhileRevalidateMs: 600_000, staleIfErrorMs: 3_600_000 };

/** The options of a client. */
type StandaloneOptions<Name extends string = string> = DcsClientOptions<Name> & {
  /** What it shares with the processes of a site. */
  readonly cache?: ClientCacheOptions | undefined;
};
const TAKER = 'createDcsClient()';

/**
 * Creates a client. Create it once and share it: it owns a pool of sockets, and calls about one visitor are kept from
 * overlapping only within one client.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 *
 * @example
 * const client = createDcsClient({ orgId: '1FD6776A524453CC0A490D44@AdobeOrg', partner: 'acme' });
 * const segments = await client.lookup({ ecid: '20265673158980419722735089753036633573' });
 * await client.close();
 */
export function createDcsClient<const Name extends string = never>(options: StandaloneOptions<Name>): DcsClient<Name> {
  return createInternalClient(options).client;
}

/** {@link createDcsClient} for the command line. */
export function createInternalClient<const Name extends string = never>(
  options: StandaloneOptions<Name>,
): InternalClient<Name> {
  const { cache: cacheGroup = {}, ...given } = group<StandaloneOptions>('options', options, OPTIONS[TAKER], TAKER);
  const resolved = resolvedClientOptions(given, TAKER);
  const sharing = resolvedClientCache(cacheGroup, TAKER);
  const publisher = new DcsPublisher(() => client);
  const fleet =
    sharing &&
    joinFleet(
      { ...sharing, ...resolved.dcs, ...SITE_WINDOWS, destinations: resolved.destinations },
      (status, previous) => publisher.sharedStore(status, previous),
    );
  const cache = {
    maxVisitors: MAX_CACHED_VISITORS,
    maxBytes: MAX_CACHED_BYTES,
    // A fleet goes by one ttl: a shorter one would have its pages ask again.
    ttlMs: sharing?.ttlMs ?? resolved.dcs.failureCooldownMs,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    emptyTtlMs: EMPTY_TTL_MS,
    keySecret: fleet?.keySecret,
  };
  const nowMs = () => Math.floor(performance.now());
  const dcs = createDcs({ ...resolved.dcs, noDataCooldownMs: EMPTY_TTL_MS }, publisher, fleet?.tier);
  const resolver = new AnswerResolver({ ...resolved, cache }, dcs, nowMs, fleet?.tier);
  const instance: Instance = { names: resolved.names, privacy: new ResponsePrivacy({ varyCookie: false }) };
  const watch = new InstanceWatch(TAKER, resolved.orgId, resolved.dcs.partnerHost);
  const client: DcsClient<Name> = {
    lookup: (visitor, lookupOptions = {}) => lookupVisitor<Name>(resolver, instance, visitor, lookupOptions),
    lookupMany: (visitors, manyOptions = {}) => lookupMany(resolver, instance, visitors, manyOptions),
    async sendEvent(visitorId, signals) {
      const encoded = encodedSignals(signals);
      const visitor = checkedVisitor(visitorId);
      return new VisitorSegments<Name>(instance, visitor, await resolver.sendEvent(visitor, undefined, encoded));
    },
    async optOut(visitorId, confirmation) {
      const visitor = checkedVisitor(visitorId);
      const isConfirmed = isRecord(confirmation) && confirmation.irreversible === true;
      assert(
        isConfirmed,
        'the second argument',
        '{ irreversible: true }, because an opt-out cannot be undone',
        confirmation,
      );
      const { ecid, uuid, customerIds = [] } = visitor;
      const ids = [ecid, uuid, ...customerIds].filter((id) => id !== undefined).length;
      assert(ids === 1, 'the number of ids of a visitor who opts out', '1', ids);
      await resolver.optOut(visitor);
    },
    stats: () => ({ ...dcs.stats(), ...(fleet && { shared: fleet.tier.stats() }), advice: resolver.advice }),
    async close() {
      watch.closed();
      await dcs.close();
      await fleet?.tier.close();
    },
  };
  return {
    client,
    lookupMany: (visitors, manyOptions, recorder) => lookupMany(resolver, instance, visitors, manyOptions, recorder),
  };
}

/**
 * Owns: the client on its own, for workers, scripts and other frameworks. It is what the middleware is built on (how a
 * visitor is asked about, told of, and remembered), without requests: who calls it has made sure of consent.
 */
import { performance } from 'node:perf_hooks';
import { DcsCalls, type DcsStats } from './dcs/dcs-calls';
import { encodedSignals, type Signals } from './dcs/protocol/signals';
import type { VisitorId } from './identity/visitor';
import { checkedVisitor } from './identity/visitor';
import { AnswerResolver } from './lookup/answer-resolver';
import { type LookupManyOptions, type LookupResult, lookupMany } from './lookup/lookup-many';
import { type LookupOptions, lookupVisitor } from './lookup/lookup-visitor';
import { assert, group, isRecord } from './option-checks';
import { DCS_CLIENT_OPTIONS, type DcsClientOptions, resolvedClientOptions } from './options/dcs-client-options';
import { ResponsePrivacy } from './request/response-privacy';
import { type Instance, VisitorSegments } from './segments/visitor-segments';

/** Counts since construction, and sizes as they are now. No identifiers. */
export interface DcsClientStats extends DcsStats {
  /** What is wrong with the configuration, and what to do: all that was said as the warning `WRN_AAM_DCS`. */
  readonly advice: readonly string[];
}

/** Asks the DCS about visitors, and tells it of them. Applies no consent: whoever calls it has made sure of that. */
export interface DcsClient<Name extends string = string> {
  /**
   * The visitor's segments. Asked again within `dcs.failureCooldownMs`, the same answer is given, since an id that many calls
   * are made for is denylisted for good; an answer without segments for 15 seconds; that the DCS does not serve the
   * visitor (`excluded`) for as long as that holds.
   * @throws {AamError} by rejection: the `ERR_AAM_DCS_*` of the failure, `ERR_AAM_DCS_TIMEOUT` also when `maxWaitMs` is over,
   * `ERR_AAM_CLOSED`; `ERR_AAM_INVALID_OPTION` for what is no visitor; the signal's reason
   */
  lookup(visitor: VisitorId, options?: LookupOptions): Promise<VisitorSegments<Name>>;
  /**
   * The segments of many visitors, in the order in which they are given. Reads no further ahead than eight times its
   * `concurrency`; whoever occurs twice in that is asked about once. A visitor who cannot be answered has an `error` of
   * their own. A 429 is waited out, and so is a server that fails, for a minute.
   * @throws by rejection of `next()`: what the source throws, after the results of all that it gave before; the signal's
   * reason; `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
   */
  lookupMany<V extends VisitorId>(
    visitors: AsyncIterable<V> | Iterable<V>,
    options?: LookupManyOptions<V, Name>,
  ): AsyncGenerator<LookupResult<V, Name>, void, undefined>;
  /**
   * Tells the DCS what the visitor has done, after all that was asked and told of them before, and gives the segments
   * that they are in now.
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_SIGNAL`, `ERR_AAM_EVENT_TOO_LARGE` (over 32 000 bytes),
   * `ERR_AAM_EVENT_DROPPED` (too many were waiting), and as {@link lookup}
   */
  sendEvent(visitor: VisitorId, signals: Signals): Promise<VisitorSegments<Name>>;
  /**
   * Opts the visitor out of the company's Audience Manager account. **It cannot be taken back**, not even by Adobe: the DCS
   * answers no call about them any more. For a customer id it also opts out the device that was linked to it last. The
   * visitor is named by exactly one id. (Audience Manager docs, "Data Privacy Requests")
   * @throws {AamError} by rejection: `ERR_AAM_INVALID_OPTION` without `{ irreversible: true }`, or for more than one id;
   * the `ERR_AAM_DCS_*` of a failed call, `ERR_AAM_CLOSED`
   */
  optOut(visitor: VisitorId, confirmation: { readonly irreversible: true }): Promise<void>;
  stats(): DcsClientStats;
  /** Ends lookups, sockets and timers; events that wait have as long as a call may take. Can be called twice. */
  close(): Promise<void>;
}

/** Answers are only remembered so that nobody is asked about in rapid succession: as many as a second brings. */
const MAX_REMEMBERED = 4_000;
const EMPTY_TTL_MS = 15_000;

/**
 * Creates a client. Create it once: it owns a pool of sockets, and only within one client calls about a visitor never
 * overlap.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 */
export function createDcsClient<const Name extends string = never>(options: DcsClientOptions<Name>): DcsClient<Name> {
  const resolved = resolvedClientOptions(group<DcsClientOptions>('options', options, DCS_CLIENT_OPTIONS));
  const cache = {
    maxVisitors: MAX_REMEMBERED,
    ttlMs: resolved.dcs.failureCooldownMs,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    emptyTtlMs: EMPTY_TTL_MS,
    keySecret: undefined,
  };
  const nowMs = () => Math.floor(performance.now());
  const dcs = new DcsCalls({ ...resolved.dcs, noDataIntervalMs: EMPTY_TTL_MS, nowMs });
  const lookup = new AnswerResolver({ ...resolved, cache }, dcs, nowMs);
  const instance: Instance = { names: resolved.names, privacy: new ResponsePrivacy({ varyCookie: false }) };
  return {
    lookup: (visitor, lookupOptions = {}) => lookupVisitor<Name>(lookup, instance, visitor, lookupOptions),
    lookupMany: (visitors, manyOptions = {}) => lookupMany(lookup, instance, visitors, manyOptions),
    async sendEvent(visitorId, signals) {
      const encoded = encodedSignals(signals);
      const visitor = checkedVisitor(visitorId);
      return new VisitorSegments<Name>(instance, visitor, await lookup.tell(visitor, undefined, encoded));
    },
    async optOut(visitorId, confirmation) {
      const visitor = checkedVisitor(visitorId);
      const isConfirmed = isRecord(confirmation) && confirmation.irreversible === true;
      assert(
        isConfirmed,
        'the second argument',
        '{ irreversible: true }: an opt-out cannot be taken back',
        confirmation,
      );
      const { ecid, uuid, customerIds = [] } = visitor;
      const ids = [ecid, uuid, ...customerIds].filter((id) => id !== undefined).length;
      assert(ids === 1, 'a visitor who opts out', 'named by one id', ids);
      await lookup.optOut(visitor);
    },
    stats: () => ({ ...dcs.stats(), advice: lookup.advice }),
    close: () => dcs.close(),
  };
}

/**
 * Owns: what to serve for a visitor, from the cache and the DCS. Requests are not known here. Next: middleware.ts, which
 * holds a request while an answer is pending.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { AnswerCache, type AnswerCacheConfig, type Flight } from '../cache/answer-cache';
import type { Dcs } from '../dcs/dcs-calls';
import { DcsError, type FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import type { Question } from '../dcs/protocol/request';
import { CacheKeys } from '../identity/cache-keys';
import type { Visitor } from '../identity/visitor';
import { notAsked, type ServedAnswer } from '../segments/served-answer';
import { AnswerLoader, type AnswerLoaderConfig, isExclusion } from './answer-loader';
import type { CachedAnswer } from './cached-answer';

/** A call in flight that a request may wait for. */
export interface PendingAnswer {
  readonly flight: Flight<CachedAnswer>;
  /** What to serve if the call fails or takes too long. */
  readonly fallback: CachedAnswer | undefined;
  /** The call is the probe of a circuit breaker; no request should wait for it. */
  readonly isProbe: boolean;
}

/** The resolved values that the resolver needs. */
export interface AnswerResolverConfig extends AnswerLoaderConfig {
  readonly cache: AnswerLoaderConfig['cache'] &
    Omit<AnswerCacheConfig, 'nowMs'> & {
      /** If given, cache keys are HMACs with this secret. */
      readonly keySecret: string | undefined;
    };
}

export class AnswerResolver {
  /** The monotonic clock of all ages and waits. */
  readonly nowMs: () => number;
  readonly #dcs: Dcs;
  readonly #loader: AnswerLoader;
  readonly #cache: AnswerCache<CachedAnswer>;
  readonly #keys: CacheKeys;
  /** A shared call must not run in the async context of the request that started it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  /** @param nowMs a monotonic clock */
  constructor(config: AnswerResolverConfig, dcs: Dcs, nowMs: () => number) {
    this.nowMs = nowMs;
    this.#dcs = dcs;
    this.#loader = new AnswerLoader(config, dcs);
    this.#cache = new AnswerCache({ ...config.cache, nowMs });
    this.#keys = new CacheKeys(config.cache.keySecret);
  }

  /** Visitors in the cache. */
  get size(): number {
    return this.#cache.size;
  }

  /** What is wrong with the configuration according to the answers so far, and what to do. */
  get advice(): readonly string[] {
    return this.#loader.advice;
  }

  /** Visitors with the same key share one lookup. */
  lookupKeyOf(visitor: Visitor): string {
    return `${this.#keys.keyOf(visitor)} ${this.#keys.variantOf(visitor, false)}`;
  }

  /** Milliseconds until a call about this visitor can be made; 0 for now. */
  retryInMs(visitor: Visitor): number {
    return this.#dcs.retryInMs(this.#keys.keyOf(visitor), visitor);
  }

  /**
   * What can be served at once, without a promise, or the pending answer.
   * @param tcString the TC string to send along as the visitor's consent
   * @param mayCall `false` serves from the cache only
   * @param signalsOf the encoded signals to send along; called only when a lookup is made
   */
  begin(
    visitor: Visitor,
    tcString: string | undefined,
    mayCall: boolean,
    nowMs: number,
    signalsOf: () => string = NO_SIGNALS,
  ): ServedAnswer | PendingAnswer {
    const key = this.#keys.keyOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const known = this.#cache.get(key, variant);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    if (known !== undefined) {
      if (visitor.region !== undefined) known.cookieRegion = visitor.region;
    }
    const renewal = mayCall ? this.#cache.renewalOf(key, variant) : undefined;
    const isRenewing = renewal !== undefined && this.#dcs.unavailableReason(key, visitor) === undefined;
    if (known !== undefined && freshness === 'fresh' && !isRenewing) return fromCache(known, nowMs);
    const fallback = freshness === 'expired' ? undefined : known;
    if (!mayCall) return fallback === undefined ? SKIPPED : stale(fallback, nowMs, 'skipped', undefined);
    // An event of the visitor is in flight: the next page shows its answer.
    if (isRenewing) return { flight: renewal, fallback, isProbe: this.#dcs.isProbe(visitor) };
    const question = { visitor: { ...visitor, region: visitor.region ?? known?.cookieRegion }, tcString, variant };
    const answer = this.#load(key, question, signalsOf, fallback, nowMs);
    // Refreshed in the background.
    return freshness === 'stale' && 'flight' in answer ? this.pending(known, nowMs) : answer;
  }

  /** Removes a visitor from the cache. A call in flight continues, and its answer is not cached. */
  forget(visitor: Visitor): void {
    for (const key of this.#keys.allKeysOf(visitor)) this.#cache.forget(key);
  }

  /** Opts the visitor out in Audience Manager, irreversibly. */
  async optOut(visitor: Visitor): Promise<void> {
    this.forget(visitor);
    await this.#dcs.optOut(this.#keys.keyOf(visitor), visitor);
    this.forget(visitor);
  }

  /** The visitor refused or withdrew consent: removes them from the cache and aborts their calls. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    for (const key of this.#keys.allKeysOf(visitor)) {
      this.#cache.forget(key);
      this.#dcs.abandon(key, reason);
    }
  }

  /**
   * Sends an event about the visitor. Its answer replaces the cached one.
   * @param signals as `encodedSignals()` returns them
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  async sendEvent(visitor: Visitor, tcString: string | undefined, signals: string): Promise<ServedAnswer> {
    const key = this.#keys.keyOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const region = visitor.region ?? this.#cache.get(key, variant)?.cookieRegion;
    const question = { visitor: { ...visitor, region }, tcString, signals, variant };
    const flight = this.#outsideOfRequests(() =>
      this.#cache.renew(key, variant, (storedKey) => this.#loader.sendEvent(storedKey, question)),
    );
    return this.arrived(await flight.promise);
  }

  /** What is served when the call has been answered. */
  arrived(answer: CachedAnswer): ServedAnswer {
    if (answer.excluded !== undefined) return excluded(answer.excluded, answer);
    return { status: 'fresh', reason: undefined, answer, ageMs: 0, failure: undefined };
  }

  /** What is served while the call is still pending. */
  pending(known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    return known === undefined ? STILL_PENDING : this.#known(known, nowMs, 'revalidating', undefined);
  }

  /** What is served when the call has failed: a failed refresh never takes known segments away. */
  failed(failure: DcsError, known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    if (isExclusion(failure.reason)) return excluded(failure.reason, undefined);
    if (known !== undefined) return this.#known(known, nowMs, failure.reason, failure);
    return { status: 'unknown', reason: failure.reason, answer: undefined, ageMs: undefined, failure };
  }

  /** What is served from the cache instead of a new answer; it may still be fresh. */
  #known(
    known: CachedAnswer,
    nowMs: number,
    reason: FailureReason | 'revalidating',
    failure: DcsError | undefined,
  ): ServedAnswer {
    const isFresh = this.#cache.freshness(known, nowMs) === 'fresh';
    return isFresh ? fromCache(known, nowMs) : stale(known, nowMs, reason, failure);
  }

  #load(
    key: string,
    lookup: Omit<Question, 'signals'>,
    signalsOf: () => string,
    fallback: CachedAnswer | undefined,
    nowMs: number,
  ): ServedAnswer | PendingAnswer {
    const { visitor, variant } = lookup;
    const unavailable = this.#dcs.unavailableReason(key, visitor);
    if (unavailable !== undefined) return this.failed(unavailable, fallback, nowMs);
    const isProbe = this.#dcs.isProbe(visitor);
    const inFlight = this.#cache.flightOf(key, variant);
    if (inFlight !== undefined) return { flight: inFlight, fallback, isProbe };
    // Calls the site's function, which must run in the context of its request.
    const question = { ...lookup, signals: signalsOf() };
    const flight = this.#outsideOfRequests(() =>
      this.#cache.load(key, variant, (storedKey) => this.#loader.lookup(storedKey, question)),
    );
    return { flight, fallback, isProbe };
  }
}

const NO_SIGNALS = () => '';

const STILL_PENDING: ServedAnswer = {
  status: 'unknown',
  reason: 'pending',
  answer: undefined,
  ageMs: undefined,
  failure: undefined,
};

const SKIPPED = notAsked('excluded', 'skipped');

/** Calls reject only with a {@link DcsError}; any other error is one of ours while reading the reply. */
export function asDcsError(error: unknown): DcsError {
  return error instanceof DcsError ? error : new DcsError('bad-reply', 'The answer of the DCS could not be used.');
}

function fromCache(known: CachedAnswer, nowMs: number): ServedAnswer {
  if (known.excluded !== undefined) return excluded(known.excluded, known);
  const ageMs = nowMs - known.storedAtMs;
  return { status: 'cached', reason: undefined, answer: known, ageMs, failure: undefined };
}

function stale(
  known: CachedAnswer,
  nowMs: number,
  reason: FailureReason | 'revalidating' | 'skipped',
  failure: DcsError | undefined,
): ServedAnswer {
  return { status: 'stale', reason, answer: known, ageMs: nowMs - known.storedAtMs, failure };
}

function excluded(reason: Exclusion, answer: CachedAnswer | undefined): ServedAnswer {
  return { status: 'excluded', reason, answer, ageMs: undefined, failure: undefined };
}

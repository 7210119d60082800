/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { AnswerCache, type AnswerCacheConfig } from '../cache/answer-cache';
import type { Dcs } from '../dcs/dcs';
import type { DcsFailure, FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import { CacheKeys } from '../identity/cache-keys';
import type { Visitor } from '../identity/visitor';
import { notAsked, type ServedAnswer } from '../segments/served-answer';
import {
  AnswerLoader,
  type AnswerLoaderConfig,
  errorOf,
  type Flight,
  isExclusion,
  type NoAnswer,
} from './answer-loader';
import type { CachedAnswer } from './cached-answer';
import { Generations } from './generations';

/** A call is in flight that a request may wait for. */
export interface PendingAnswer {
  readonly flight: Flight;
  /** What to serve when it fails or is late. */
  readonly fallback: CachedAnswer | undefined;
}

/** The resolved values that it needs. */
export interface AnswerResolverConfig extends AnswerLoaderConfig {
  readonly cache: AnswerLoaderConfig['cache'] &
    Omit<AnswerCacheConfig, 'nowMs'> & {
      /** With it, visitors are remembered under HMACs. */
      readonly keySecret: string | undefined;
    };
}

export class AnswerResolver {
  /** The monotonic clock that everything in here goes by. */
  readonly nowMs: () => number;
  readonly #dcs: Dcs;
  readonly #cache: AnswerCache<CachedAnswer>;
  readonly #generations = new Generations();
  readonly #loader: AnswerLoader;
  readonly #keys: CacheKeys;
  /** What is shared must not run in the async context of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  /** @param nowMs a monotonic clock */
  constructor(config: AnswerResolverConfig, dcs: Dcs, nowMs: () => number) {
    this.nowMs = nowMs;
    this.#dcs = dcs;
    this.#cache = new AnswerCache({ ...config.cache, nowMs });
    this.#loader = new AnswerLoader(config, dcs, this.#cache, this.#generations);
    this.#keys = new CacheKeys(config.cache.keySecret);
  }

  /** Visitors remembered. */
  get size(): number {
    return this.#cache.size;
  }

  /** What is wrong with the configuration, as far as the answers show it. */
  get advice(): readonly string[] {
    return this.#loader.advice;
  }

  /** The moment, for {@link hasWithdrawnSince} and {@link sendEvent}. */
  get moment(): number {
    return this.#generations.now;
  }

  /** Whether a visitor has withdrawn consent since a request came: then it must not ask or tell anything any more. */
  hasWithdrawnSince(requestedAt: number, visitor: Visitor): boolean {
    return this.#generations.isWithdrawn(this.#keys.allKeysOf(visitor), requestedAt);
  }

  /** Two visitors with the same one are asked about by the same call. */
  lookupKeyOf(visitor: Visitor): string {
    return `${this.#keys.keyOf(visitor)} ${this.#keys.variantOf(visitor, false)}`;
  }

  /** Milliseconds after which to try again to look this visitor up; 0 if it can be tried now. */
  retryInMs(visitor: Visitor): number {
    return this.#dcs.retryInMs(this.#keys.keyOf(visitor), visitor);
  }

  /**
   * What can be served at once, without a promise, or the call that would have to be waited for.
   * @param tcString by which the visitor consents: goes along with the call
   * @param mayCall without it what is known is served, and nobody is asked
   * @param signalsOf what is to be told along with the call, encoded; asked only where a call is made
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
    const known = this.#known(key, variant, visitor);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    if (known !== undefined && visitor.region !== undefined) known.cookieRegion = visitor.region;
    // The visitor has done something: the answer to that is what the next page goes by.
    const event = mayCall ? this.#loader.imminentEventOf(key, variant) : undefined;
    if (known !== undefined && freshness === 'fresh' && event === undefined) return fromCache(known, nowMs);
    const fallback = freshness === 'expired' ? undefined : known;
    if (!mayCall) return fallback === undefined ? SKIPPED : stale(fallback, nowMs, 'skipped', undefined);
    if (event !== undefined) return { flight: event, fallback };
    // Whoever asks the same joins, before anything is refused.
    const running = this.#loader.lookupOf(key, variant);
    const found = running ?? this.#lookup(key, variant, visitor, tcString, signalsOf, known?.cookieRegion);
    // Behind the visitor's back.
    if (freshness === 'stale' && 'promise' in found) return this.pending(known, nowMs);
    return 'promise' in found ? { flight: found, fallback } : this.failed({ failure: found }, fallback, nowMs);
  }

  /** Forgets all about a visitor. What a call in flight brings is not remembered. */
  forget(visitor: Visitor): void {
    for (const key of this.#keys.allKeysOf(visitor)) {
      this.#generations.renew(key);
      this.#cache.forget(key);
    }
  }

  /** Has the DCS opt the visitor out, for good. */
  async optOut(visitor: Visitor): Promise<void> {
    const keys = this.#keys.allKeysOf(visitor);
    for (const key of keys) {
      this.#generations.withdraw(key);
      this.#cache.withdraw(key);
    }
    const done = this.#outsideOfRequests(() => this.#loader.optOut(keys, visitor));
    await done.finally(() => {
      for (const key of keys) {
        this.#generations.renew(key);
        this.#cache.withdraw(key);
      }
    });
  }

  /** A visitor does not agree, or not any more: their segments are forgotten, and nothing more is asked or told. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    const keys = this.#keys.allKeysOf(visitor);
    for (const key of keys) {
      this.#generations.withdraw(key);
      this.#cache.withdraw(key);
    }
    this.#outsideOfRequests(() => this.#loader.abandon(keys, reason));
  }

  /**
   * Tells the DCS of the visitor's region what has happened. Its answer replaces what is remembered.
   * @param signals as `encodedSignals` writes them
   * @param isAwaited whether the visitor's next page waits for the answer
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  async sendEvent(
    visitor: Visitor,
    tcString: string | undefined,
    signals: string,
    isAwaited = true,
  ): Promise<ServedAnswer> {
    const keys = this.#keys.allKeysOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const region = visitor.region ?? this.#cache.get(keys[0], variant)?.cookieRegion;
    const question = { visitor: { ...visitor, region }, tcString, signals, variant };
    const flight = this.#outsideOfRequests(() => this.#loader.sendEvent(keys, question, isAwaited));
    try {
      return this.arrived(await flight.promise);
    } catch (why) {
      throw errorOf(why as NoAnswer);
    }
  }

  /** What to serve when the call that was waited for has brought something. */
  arrived(answer: CachedAnswer): ServedAnswer {
    if (answer.excluded !== undefined) return excluded(answer.excluded, answer);
    return { status: 'fresh', reason: undefined, answer, ageMs: 0, failure: undefined };
  }

  /** What to serve when it was not waited for any longer. */
  pending(known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    return known === undefined ? STILL_PENDING : this.#asGoodAsBefore(known, nowMs, 'revalidating', undefined);
  }

  /** What to serve when it failed: a failing refresh never takes known segments away. */
  failed(why: NoAnswer, known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    // Of an event that was dropped the page learns nothing, as if it were still waiting.
    if (!('failure' in why)) return this.pending(known, nowMs);
    const { failure } = why;
    if (isExclusion(failure.reason)) return excluded(failure.reason, undefined);
    if (known !== undefined) return this.#asGoodAsBefore(known, nowMs, failure.reason, failure);
    return { status: 'unknown', reason: failure.reason, answer: undefined, ageMs: undefined, failure };
  }

  /** What is remembered, unless the visitor has withdrawn or was forgotten under another of their ids since. */
  #known(key: string, variant: string, visitor: Visitor): CachedAnswer | undefined {
    const known = this.#cache.get(key, variant);
    if (known === undefined || known.outlivesWithdrawal || visitor.customerIds === undefined) return known;
    return this.#generations.isOutdated(this.#keys.allKeysOf(visitor), known.validAt) ? undefined : known;
  }

  /** What was to be replaced: it may be as good as before. */
  #asGoodAsBefore(
    known: CachedAnswer,
    nowMs: number,
    reason: FailureReason | 'revalidating',
    failure: DcsFailure | undefined,
  ): ServedAnswer {
    // An exclusion is never stale: it held when the request came.
    const isFresh = known.excluded !== undefined || this.#cache.freshness(known, nowMs) === 'fresh';
    return isFresh ? fromCache(known, nowMs) : stale(known, nowMs, reason, failure);
  }

  #lookup(
    key: string,
    variant: string,
    visitor: Visitor,
    tcString: string | undefined,
    signalsOf: () => string,
    knownRegion: number | undefined,
  ): Flight | DcsFailure {
    const located = { ...visitor, region: visitor.region ?? knownRegion };
    const unavailable = this.#dcs.unavailable(key, located);
    if (unavailable !== undefined) return unavailable;
    // The site's function, in the context of its request.
    const question = { visitor: located, tcString, signals: signalsOf(), variant };
    return this.#outsideOfRequests(() => this.#loader.lookup(this.#keys.allKeysOf(visitor), question));
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

function fromCache(known: CachedAnswer, nowMs: number): ServedAnswer {
  if (known.excluded !== undefined) return excluded(known.excluded, known);
  const ageMs = nowMs - known.storedAtMs;
  return { status: 'cached', reason: undefined, answer: known, ageMs, failure: undefined };
}

function stale(
  known: CachedAnswer,
  nowMs: number,
  reason: FailureReason | 'revalidating' | 'skipped',
  failure: DcsFailure | undefined,
): ServedAnswer {
  return { status: 'stale', reason, answer: known, ageMs: nowMs - known.storedAtMs, failure };
}

function excluded(reason: Exclusion, answer: CachedAnswer | undefined): ServedAnswer {
  return { status: 'excluded', reason, answer, ageMs: undefined, failure: undefined };
}

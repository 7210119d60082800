/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { AnswerCache, type AnswerCacheConfig } from '../cache/answer-cache';
import { isFinal, storedAtMsOf, validAtOf } from '../cache/stamps';
import type { Dcs } from '../dcs/dcs';
import type { DcsFailure, FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import { CacheKeys } from '../identity/cache-keys';
import type { Visitor } from '../identity/visitor';
import {
  cookieRegionOf,
  exclusionOf,
  type PackedAnswer,
  regionKept,
  withCookieRegion,
} from '../segments/packed-answer';
import { cached, excluded, fresh, PENDING, type ServedAnswer, stale, unknown } from '../segments/served-answer';
import {
  AnswerLoader,
  type AnswerLoaderConfig,
  errorOf,
  type Flight,
  isExclusion,
  type NoAnswer,
} from './answer-loader';
import { Generations } from './generations';

/** An answer from the cache, with the cache's stamps behind it. */
type CachedEntry = PackedAnswer;

/** A call is in flight that a request may wait for. */
export interface PendingAnswer {
  readonly flight: Flight;
  /** What to serve when it fails or is late. */
  readonly fallback: CachedEntry | undefined;
}

/** What is asked of a request where it matters, and only there. */
export interface Asker {
  /** Whether the DCS may be asked now. If not, what is known is served. */
  readonly mayCall: boolean;
  /** What is to be told along with the call, encoded; called where a call is made. */
  signals(): string;
}

/** Where there is no request: nothing speaks against a call, and nothing is told along with it. */
export const WITHOUT_REQUEST: Asker = { mayCall: true, signals: () => '' };

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
  readonly #cache: AnswerCache;
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
   */
  begin(visitor: Visitor, tcString: string | undefined, asker: Asker, nowMs: number): ServedAnswer | PendingAnswer {
    const key = this.#keys.keyOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const known = this.#known(key, variant, visitor);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    // The visitor has done something: the answer to that is what the next page goes by.
    const event = this.#loader.imminentEventOf(key, variant);
    const isFresh = known !== undefined && freshness === 'fresh';
    if (isFresh && (event === undefined || !asker.mayCall)) return fromCache(known, nowMs);
    const fallback = freshness === 'expired' ? undefined : known;
    if (!asker.mayCall) return fallback === undefined ? SKIPPED : staleFrom(fallback, nowMs, 'skipped', undefined);
    if (event !== undefined) return { flight: event, fallback };
    // Whoever asks the same joins, before anything is refused.
    const running = this.#loader.lookupOf(key, variant);
    const found = running ?? this.#lookup(key, variant, visitor, tcString, asker, known);
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
    const known = this.#cache.get(keys[0], variant);
    const region = visitor.region ?? regionKnownOf(known);
    const question = { visitor: { ...visitor, region }, tcString, signals, variant };
    const flight = this.#outsideOfRequests(() => this.#loader.sendEvent(keys, question, isAwaited));
    try {
      return this.arrived(await flight.promise);
    } catch (why) {
      throw errorOf(why as NoAnswer);
    }
  }

  /** What to serve when the call that was waited for has brought something. */
  arrived(answer: PackedAnswer): ServedAnswer {
    const exclusion = exclusionOf(answer);
    return exclusion === undefined ? fresh(answer) : excluded(exclusion, answer);
  }

  /** What to serve when it was not waited for any longer. */
  pending(known: CachedEntry | undefined, nowMs: number): ServedAnswer {
    return known === undefined ? PENDING : this.#asGoodAsBefore(known, nowMs, 'revalidating', undefined);
  }

  /** What to serve when it failed: a failing refresh never takes known segments away. */
  failed(why: NoAnswer, known: CachedEntry | undefined, nowMs: number): ServedAnswer {
    // Of an event that was dropped the page learns nothing, as if it were still waiting.
    if (!('failure' in why)) return this.pending(known, nowMs);
    const { failure } = why;
    if (isExclusion(failure.reason)) return excluded(failure.reason);
    if (known !== undefined) return this.#asGoodAsBefore(known, nowMs, failure.reason, failure);
    return unknown(failure.reason, failure);
  }

  /** What is remembered, unless the visitor has withdrawn or was forgotten under another of their ids since. */
  #known(key: string, variant: string, visitor: Visitor): CachedEntry | undefined {
    const known = this.#cache.get(key, variant);
    if (known === undefined) return undefined;
    if (visitor.customerIds !== undefined && !isFinal(known)) {
      if (this.#generations.isOutdated(this.#keys.allKeysOf(visitor), validAtOf(known))) return undefined;
    }
    const region = regionKept(visitor.region);
    if (region === undefined || region === cookieRegionOf(known)) return known;
    const moved = withCookieRegion(known, region);
    this.#cache.replace(key, known, moved);
    return moved;
  }

  /** What was to be replaced: it may be as good as before. */
  #asGoodAsBefore(
    known: CachedEntry,
    nowMs: number,
    reason: FailureReason | 'revalidating',
    failure: DcsFailure | undefined,
  ): ServedAnswer {
    // An exclusion is never stale: it held when the request came.
    const isFresh = isFinal(known) || this.#cache.freshness(known, nowMs) === 'fresh';
    return isFresh ? fromCache(known, nowMs) : staleFrom(known, nowMs, reason, failure);
  }

  #lookup(
    key: string,
    variant: string,
    visitor: Visitor,
    tcString: string | undefined,
    asker: Asker,
    known: CachedEntry | undefined,
  ): Flight | DcsFailure {
    const located = { ...visitor, region: visitor.region ?? regionKnownOf(known) };
    const unavailable = this.#dcs.unavailable(key, located);
    if (unavailable !== undefined) return unavailable;
    // The site's function, in the context of its request.
    const question = { visitor: located, tcString, signals: asker.signals(), variant };
    return this.#outsideOfRequests(() => this.#loader.lookup(this.#keys.allKeysOf(visitor), question));
  }
}

const SKIPPED = excluded('skipped');

function regionKnownOf(known: CachedEntry | undefined): number | undefined {
  return known === undefined ? undefined : cookieRegionOf(known);
}

function fromCache(known: CachedEntry, nowMs: number): ServedAnswer {
  const exclusion = exclusionOf(known);
  return exclusion === undefined ? cached(known, nowMs - storedAtMsOf(known)) : excluded(exclusion, known);
}

function staleFrom(
  known: CachedEntry,
  nowMs: number,
  reason: FailureReason | 'revalidating' | 'skipped',
  failure: DcsFailure | undefined,
): ServedAnswer {
  return stale(known, nowMs - storedAtMsOf(known), reason, failure);
}

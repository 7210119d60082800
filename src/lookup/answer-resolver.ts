/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { AnswerCache, type AnswerCacheConfig, type Freshness } from '../cache/answer-cache';
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
import type { SharedTier } from '../shared-tier/shared-tier';
import {
  AnswerLoader,
  type AnswerLoaderConfig,
  errorOf,
  type Flight,
  isExclusion,
  type NoAnswer,
} from './answer-loader';
import { Generations } from './generations';
import { SharedAnswers } from './shared-answers';

/** An answer from the cache, with the cache's stamps behind it. */
type CachedEntry = PackedAnswer;

/** A call is in flight that a request may wait for. */
export interface PendingAnswer {
  readonly flight: Flight;
  /** What to serve when it fails or is late. */
  readonly fallback: CachedEntry | undefined;
}

/** The fleet is asked what it knows: that decides how to go on. */
export interface PendingLook {
  /** Never rejects. */
  readonly look: Promise<ServedAnswer | PendingAnswer>;
  /** What to serve if it is late. */
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
  /** `undefined` without a fleet. */
  readonly #shared: SharedAnswers | undefined;
  /** What is shared must not run in the async context of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  /**
   * @param nowMs a monotonic clock
   * @param tier of the fleet that this process belongs to
   */
  constructor(config: AnswerResolverConfig, dcs: Dcs, nowMs: () => number, tier?: SharedTier) {
    this.nowMs = nowMs;
    this.#dcs = dcs;
    this.#cache = new AnswerCache({ ...config.cache, nowMs });
    const { keySecret, ttlMs } = config.cache;
    this.#keys = new CacheKeys(keySecret);
    const shared: SharedAnswers | undefined =
      tier &&
      new SharedAnswers(tier, this.#cache, this.#generations, nowMs, ttlMs, (keys, reason) => {
        this.#outsideOfRequests(() => this.#loader.abandon(keys, reason));
      });
    this.#shared = shared;
    this.#loader = new AnswerLoader(config, dcs, this.#cache, this.#generations, (keys) => shared?.link(keys));
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
   * What can be served at once, without a promise, or the call or the look into the fleet's memory that would have to be
   * waited for. Whether anybody waits or not, they go on.
   * @param tcString by which the visitor consents: goes along with the call
   */
  begin(
    visitor: Visitor,
    tcString: string | undefined,
    asker: Asker,
    nowMs: number,
  ): ServedAnswer | PendingAnswer | PendingLook {
    const key = this.#keys.keyOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const known = this.#known(key, variant, visitor);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    const shared = this.#shared;
    const isFresh = known !== undefined && freshness === 'fresh';
    // Nearly every page, which costs the same with a fleet.
    const isCertain =
      shared === undefined || (isFresh && shared.isCertain(known, nowMs) && !shared.hasEvent(key, nowMs));
    if (isFresh && isCertain && this.#loader.imminentEventOf(key, variant) === undefined)
      return fromCache(known, nowMs);
    const question = { key, variant, visitor, tcString, consentedAtMs: nowMs };
    if (shared === undefined) return this.#answer(question, known, freshness, asker, nowMs);
    return this.#answerInFleet(shared, question, known, freshness, asker, nowMs);
  }

  #answer(
    { key, variant, visitor, tcString, consentedAtMs }: Asked,
    known: CachedEntry | undefined,
    freshness: Freshness,
    asker: Asker,
    nowMs: number,
  ): ServedAnswer | PendingAnswer {
    // The visitor has done something: the answer to that is what the next page goes by.
    const event = this.#loader.imminentEventOf(key, variant);
    const isFresh = known !== undefined && freshness === 'fresh';
    if (isFresh && (event === undefined || !asker.mayCall)) return fromCache(known, nowMs);
    const fallback = freshness === 'expired' ? undefined : known;
    if (!asker.mayCall) return fallback === undefined ? SKIPPED : staleFrom(fallback, nowMs, 'skipped', undefined);
    if (event !== undefined) return { flight: event, fallback };
    // Whoever asks the same joins, before anything is refused.
    const running = this.#loader.lookupOf(key, variant);
    const found = running ?? this.#lookup(key, variant, visitor, tcString, consentedAtMs, asker, known);
    // Behind the visitor's back.
    if (freshness === 'stale' && 'promise' in found) return this.pending(known, nowMs);
    return 'promise' in found ? { flight: found, fallback } : this.failed({ failure: found }, fallback, nowMs);
  }

  /** Goes by memory alone where that is certain, and else looks into the fleet's first. */
  #answerInFleet(
    shared: SharedAnswers,
    question: Asked,
    known: CachedEntry | undefined,
    freshness: Freshness,
    asker: Asker,
    nowMs: number,
  ): ServedAnswer | PendingAnswer | PendingLook {
    const { key, variant } = question;
    const isServable = freshness === 'fresh' || freshness === 'stale';
    if (known !== undefined && isServable && shared.isCertain(known, nowMs)) {
      return this.#answer(question, known, this.#inFleet(shared, key, freshness, nowMs), asker, nowMs);
    }
    const isDoubtful = known !== undefined && shared.isFromBeforeGap(known);
    // The same question is on its way to the DCS.
    const isAsked = !isServable && this.#loader.lookupOf(key, variant) !== undefined;
    if (isAsked || !shared.isUp) {
      const usable = isDoubtful && freshness !== 'fresh' ? 'expired' : freshness;
      return this.#answer(question, known, this.#inFleet(shared, key, usable, nowMs), asker, nowMs);
    }
    const moment = this.moment;
    const isUsable = freshness === 'fresh' || (freshness !== 'expired' && !isDoubtful);
    const look = shared
      .look(this.#keys.allKeysOf(question.visitor), variant)
      .then((hasLooked) => this.#afterLook(shared, question, moment, hasLooked, asker));
    return { look, fallback: isUsable ? known : undefined };
  }

  /** Memory has what the fleet knows, if that could be had. */
  #afterLook(
    shared: SharedAnswers,
    question: Asked,
    moment: number,
    hasLooked: boolean,
    asker: Asker,
  ): ServedAnswer | PendingAnswer {
    const { key, variant, visitor } = question;
    if (this.hasWithdrawnSince(moment, visitor)) return excluded('no-consent');
    const nowMs = this.nowMs();
    const known = this.#known(key, variant, visitor);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    const isDoubtful = !hasLooked && known !== undefined && shared.isFromBeforeGap(known);
    const usable = isDoubtful && freshness !== 'fresh' ? 'expired' : freshness;
    return this.#answer(question, known, this.#inFleet(shared, key, usable, nowMs), asker, nowMs);
  }

  /** While another process tells the DCS something, what is known will not do if the answer comes in time. */
  #inFleet(shared: SharedAnswers, key: string, freshness: Freshness, nowMs: number): Freshness {
    return freshness !== 'expired' && shared.hasEvent(key, nowMs) ? 'late' : freshness;
  }

  /** Forgets all about a visitor. What a call in flight brings is not remembered. */
  forget(visitor: Visitor): void {
    const keys = this.#keys.allKeysOf(visitor);
    for (const key of keys) {
      this.#generations.renew(key);
      this.#cache.forget(key);
    }
    this.#shared?.invalidate(keys, 'forgotten');
  }

  /** Has the DCS opt the visitor out, for good. */
  async optOut(visitor: Visitor): Promise<void> {
    const keys = this.#keys.allKeysOf(visitor);
    for (const key of keys) {
      this.#generations.withdraw(key);
      this.#cache.withdraw(key);
    }
    this.#shared?.invalidate(keys, 'opted-out');
    const done = this.#outsideOfRequests(() => this.#loader.optOut(keys, visitor));
    await done.finally(() => {
      this.#shared?.invalidate(keys, 'opted-out');
      for (const key of keys) {
        this.#generations.renew(key);
        this.#cache.withdraw(key);
      }
    });
  }

  /** A visitor does not agree, or not any more: their segments are forgotten, and nothing more is asked or told. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    const keys = this.#keys.allKeysOf(visitor);
    const holdsSomething = this.#shared !== undefined && this.#holdsSomething(keys);
    for (const key of keys) {
      this.#generations.withdraw(key);
      this.#cache.withdraw(key);
    }
    this.#outsideOfRequests(() => this.#loader.abandon(keys, reason));
    this.#shared?.withdraw(keys, reason === 'opted-out', holdsSomething);
  }

  /** Whether there is something about a visitor that a withdrawal takes away. */
  #holdsSomething(keys: readonly string[]): boolean {
    return keys.some((key) => this.#cache.hasRevocable(key) || this.#loader.isAsking(key));
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
    const question = { visitor: { ...visitor, region }, tcString, signals, variant, consentedAtMs: this.nowMs() };
    const flight = this.#outsideOfRequests(() => this.#loader.sendEvent(keys, question, isAwaited));
    try {
      const answer = await flight.promise;
      return this.arrived(answer, flight.sharedAgeMs);
    } catch (why) {
      throw errorOf(why as NoAnswer);
    }
  }

  /**
   * What to serve when the call that was waited for has brought something.
   * @param sharedAgeMs the age of an answer that another process had asked for
   */
  arrived(answer: PackedAnswer, sharedAgeMs?: number): ServedAnswer {
    const exclusion = exclusionOf(answer);
    if (exclusion !== undefined) return excluded(exclusion, answer);
    return sharedAgeMs === undefined ? fresh(answer) : cached(answer, Math.floor(sharedAgeMs));
  }

  /** What to serve in the end, however long it takes. Never rejects. */
  async settled(answer: ServedAnswer | PendingAnswer | PendingLook): Promise<ServedAnswer> {
    if ('status' in answer) return answer;
    if ('look' in answer) return this.settled(await answer.look);
    const { flight, fallback } = answer;
    try {
      const arrived = await flight.promise;
      return this.arrived(arrived, flight.sharedAgeMs);
    } catch (why) {
      return this.failed(why as NoAnswer, fallback, this.nowMs());
    }
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
    consentedAtMs: number,
    asker: Asker,
    known: CachedEntry | undefined,
  ): Flight | DcsFailure {
    const located = { ...visitor, region: visitor.region ?? regionKnownOf(known) };
    const unavailable = this.#dcs.unavailable(key, located);
    if (unavailable !== undefined) return unavailable;
    // The site's function, in the context of its request.
    const question = { visitor: located, tcString, signals: asker.signals(), variant, consentedAtMs };
    return this.#outsideOfRequests(() => this.#loader.lookup(this.#keys.allKeysOf(visitor), question));
  }
}

/** A question about a visitor. */
interface Asked {
  readonly key: string;
  readonly variant: string;
  readonly visitor: Visitor;
  readonly tcString: string | undefined;
  /** When the visitor was found to consent. */
  readonly consentedAtMs: number;
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

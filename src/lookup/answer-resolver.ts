/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
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

/** A call is on its way that a request may wait for. */
export interface PendingAnswer {
  readonly flight: Flight<CachedAnswer>;
  /** What to serve when it fails or is late. */
  readonly instead: CachedAnswer | undefined;
  /** It tries a server that was not well: no page should pay for that. */
  readonly isProbe: boolean;
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
  readonly #loader: AnswerLoader;
  readonly #cache: AnswerCache<CachedAnswer>;
  readonly #keys: CacheKeys;
  /** A shared call must not run in the async context of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  /** @param nowMs a monotonic clock */
  constructor(config: AnswerResolverConfig, dcs: Dcs, nowMs: () => number) {
    this.nowMs = nowMs;
    this.#dcs = dcs;
    this.#loader = new AnswerLoader(config, dcs);
    this.#cache = new AnswerCache({ ...config.cache, nowMs });
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

  /** Two visitors with the same one are asked about by the same call. */
  questionKeyOf(visitor: Visitor): string {
    return `${this.#keys.keyOf(visitor)} ${this.#keys.variantOf(visitor, false)}`;
  }

  /** Milliseconds until a call about this visitor may be made; 0 if one may be made now. */
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
    const known = this.#cache.get(key, variant);
    const freshness = known === undefined ? 'expired' : this.#cache.freshness(known, nowMs);
    if (known !== undefined) {
      if (visitor.region !== undefined) known.cookieRegion = visitor.region;
    }
    const renewal = mayCall ? this.#cache.renewalOf(key, variant) : undefined;
    const isWorthwhile = renewal !== undefined && this.#dcs.unavailableReason(key, visitor) === undefined;
    if (known !== undefined && freshness === 'fresh' && !isWorthwhile) return fromCache(known, nowMs);
    const instead = freshness === 'expired' ? undefined : known;
    if (!mayCall) return instead === undefined ? SKIPPED : stale(instead, nowMs, 'skipped', undefined);
    // The visitor has done something: the answer to that is what the next page goes by.
    if (isWorthwhile) return { flight: renewal, instead, isProbe: this.#dcs.isProbe(visitor) };
    const question = { visitor: { ...visitor, region: visitor.region ?? known?.cookieRegion }, tcString, variant };
    const found = this.#load(key, question, signalsOf, instead, nowMs);
    // Behind the visitor's back.
    return freshness === 'stale' && 'flight' in found ? this.pending(known, nowMs) : found;
  }

  /** Forgets all about a visitor. A call that is on its way goes on, and what it brings is not remembered. */
  forget(visitor: Visitor): void {
    for (const key of this.#keys.allKeysOf(visitor)) this.#cache.forget(key);
  }

  /** Has the DCS opt the visitor out, for good. */
  async optOut(visitor: Visitor): Promise<void> {
    this.forget(visitor);
    await this.#dcs.optOut(this.#keys.keyOf(visitor), visitor);
    this.forget(visitor);
  }

  /** A visitor does not agree, or not any more: nothing is remembered of them, and nothing more is asked. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    for (const key of this.#keys.allKeysOf(visitor)) {
      this.#cache.forget(key);
      this.#dcs.abandon(key, reason);
    }
  }

  /**
   * Tells the DCS of the visitor's region what has happened. Its answer replaces what is remembered.
   * @param signals as `encodedSignals` writes them
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  async tell(visitor: Visitor, tcString: string | undefined, signals: string): Promise<ServedAnswer> {
    const key = this.#keys.keyOf(visitor);
    const variant = this.#keys.variantOf(visitor, tcString !== undefined);
    const region = visitor.region ?? this.#cache.get(key, variant)?.cookieRegion;
    const question = { visitor: { ...visitor, region }, tcString, signals, variant };
    const flight = this.#outsideOfRequests(() =>
      this.#cache.renew(key, variant, (ownKey) => this.#loader.tell(ownKey, question)),
    );
    return this.arrived(await flight.promise);
  }

  /** The verdict when the call that was waited for has brought something. */
  arrived(remembered: CachedAnswer): ServedAnswer {
    if (remembered.excluded !== undefined) return excluded(remembered.excluded, remembered);
    return { status: 'fresh', reason: undefined, answer: remembered, ageMs: 0, failure: undefined };
  }

  /** The verdict when it was not waited for any longer. */
  pending(known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    return known === undefined ? STILL_PENDING : this.#known(known, nowMs, 'revalidating', undefined);
  }

  /** The verdict when it failed: a failing refresh never takes known segments away. */
  failed(failure: DcsError, known: CachedAnswer | undefined, nowMs: number): ServedAnswer {
    if (isExclusion(failure.reason)) return excluded(failure.reason, undefined);
    if (known !== undefined) return this.#known(known, nowMs, failure.reason, failure);
    return { status: 'unknown', reason: failure.reason, answer: undefined, ageMs: undefined, failure };
  }

  /** What was to be replaced: it may be as good as before. */
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
    about: Omit<Question, 'signals'>,
    signalsOf: () => string,
    instead: CachedAnswer | undefined,
    nowMs: number,
  ): ServedAnswer | PendingAnswer {
    const { visitor, variant } = about;
    const unavailable = this.#dcs.unavailableReason(key, visitor);
    if (unavailable !== undefined) return this.failed(unavailable, instead, nowMs);
    const isProbe = this.#dcs.isProbe(visitor);
    const onItsWay = this.#cache.flightOf(key, variant);
    if (onItsWay !== undefined) return { flight: onItsWay, instead, isProbe };
    // The site's function, in the context of its request.
    const question = { ...about, signals: signalsOf() };
    const flight = this.#outsideOfRequests(() =>
      this.#cache.load(key, variant, (ownKey) => this.#loader.ask(ownKey, question)),
    );
    return { flight, instead, isProbe };
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

/** Nothing but a {@link DcsError} should come out of a call; what does all the same is a reply that we could not read. */
export function asDcsError(error: unknown): DcsError {
  return error instanceof DcsError ? error : new DcsError('bad-reply', 'the answer of the DCS could not be used');
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

function excluded(reason: Exclusion, remembered: CachedAnswer | undefined): ServedAnswer {
  return { status: 'excluded', reason, answer: remembered, ageMs: undefined, failure: undefined };
}

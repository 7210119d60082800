/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Flight, SegmentCache, type SegmentCacheConfig } from '../cache/answer-cache';
import { DcsError, type FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import type { Question } from '../dcs/protocol/request';
import type { Visitor } from '../identity/identity-reader';
import type { Verdict } from '../segments/visitor-segments';
import { isExclusion, SegmentClient, type SegmentClientConfig } from './answer-loader';
import type { Remembered } from './cached-answer';

/** A call is on its way that a request may wait for. */
export interface OnItsWay {
  readonly flight: Flight<Remembered>;
  /** What to serve when it fails or is late. */
  readonly instead: Remembered | undefined;
  /** It tries a server that was not well: no page should pay for that. */
  readonly isProbe: boolean;
}

/** The resolved values that it needs. */
export interface SegmentLookupConfig extends SegmentClientConfig {
  readonly cache: SegmentClientConfig['cache'] & Omit<SegmentCacheConfig, 'nowMs'>;
}

export class SegmentLookup {
  readonly client: SegmentClient;
  readonly cache: SegmentCache<Remembered>;
  /** The monotonic clock that everything in here goes by. */
  readonly nowMs: () => number;
  /** A shared call must not run in the async context of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  /** @param nowMs a monotonic clock */
  constructor(config: SegmentLookupConfig, nowMs: () => number) {
    this.nowMs = nowMs;
    this.cache = new SegmentCache({ ...config.cache, nowMs });
    this.client = new SegmentClient(config, nowMs);
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
  ): Verdict | OnItsWay {
    const key = this.client.keys.keyOf(visitor);
    const variant = this.client.keys.variantOf(visitor, tcString !== undefined);
    const known = this.cache.get(key, variant);
    const freshness = known === undefined ? 'expired' : this.cache.freshness(known, nowMs);
    if (known !== undefined) {
      if (visitor.region !== undefined) known.cookieRegion = visitor.region;
    }
    const renewal = mayCall ? this.cache.renewalOf(key, variant) : undefined;
    const isWorthwhile = renewal !== undefined && this.client.caller.refusal(key, visitor) === undefined;
    if (known !== undefined && freshness === 'fresh' && !isWorthwhile) return fromCache(known, nowMs);
    const instead = freshness === 'expired' ? undefined : known;
    if (!mayCall) return instead === undefined ? SKIPPED : stale(instead, nowMs, 'skipped', undefined);
    // The visitor has done something: the answer to that is what the next page goes by.
    if (isWorthwhile) return { flight: renewal, instead, isProbe: this.client.caller.isProbe(visitor) };
    const question = { visitor: { ...visitor, region: visitor.region ?? known?.cookieRegion }, tcString, variant };
    const found = this.#load(key, question, signalsOf, instead, nowMs);
    // Behind the visitor's back.
    return freshness === 'stale' && 'flight' in found ? this.pending(known, nowMs) : found;
  }

  /** Forgets all about a visitor. A call that is on its way goes on, and what it brings is not remembered. */
  forget(visitor: Visitor): void {
    for (const key of this.client.keys.allKeysOf(visitor)) this.cache.forget(key);
  }

  /** Has the DCS opt the visitor out, for good. */
  async optOut(visitor: Visitor): Promise<void> {
    this.forget(visitor);
    await this.client.caller.optOut(this.client.keys.keyOf(visitor), visitor);
    this.forget(visitor);
  }

  /** A visitor does not agree, or not any more: nothing is remembered of them, and nothing more is asked. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    for (const key of this.client.keys.allKeysOf(visitor)) {
      this.cache.forget(key);
      this.client.caller.abandon(key, reason);
    }
  }

  /**
   * Tells the DCS of the visitor's region what has happened. Its answer replaces what is remembered.
   * @param signals as `encodedSignals` writes them
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  async tell(visitor: Visitor, tcString: string | undefined, signals: string): Promise<Verdict> {
    const key = this.client.keys.keyOf(visitor);
    const variant = this.client.keys.variantOf(visitor, tcString !== undefined);
    const region = visitor.region ?? this.cache.get(key, variant)?.cookieRegion;
    const question = { visitor: { ...visitor, region }, tcString, signals, variant };
    const flight = this.#outsideOfRequests(() =>
      this.cache.renew(key, variant, (ownKey) => this.client.tell(ownKey, question)),
    );
    return this.arrived(await flight.promise);
  }

  /** The verdict when the call that was waited for has brought something. */
  arrived(remembered: Remembered): Verdict {
    if (remembered.excluded !== undefined) return excluded(remembered.excluded, remembered);
    return { status: 'fresh', reason: undefined, remembered, ageMs: 0, failure: undefined };
  }

  /** The verdict when it was not waited for any longer. */
  pending(known: Remembered | undefined, nowMs: number): Verdict {
    return known === undefined ? STILL_PENDING : this.#known(known, nowMs, 'revalidating', undefined);
  }

  /** The verdict when it failed: a failing refresh never takes known segments away. */
  failed(failure: DcsError, known: Remembered | undefined, nowMs: number): Verdict {
    if (isExclusion(failure.reason)) return excluded(failure.reason, undefined);
    if (known !== undefined) return this.#known(known, nowMs, failure.reason, failure);
    return { status: 'unknown', reason: failure.reason, remembered: undefined, ageMs: undefined, failure };
  }

  /** What was to be replaced: it may be as good as before. */
  #known(
    known: Remembered,
    nowMs: number,
    reason: FailureReason | 'revalidating',
    failure: DcsError | undefined,
  ): Verdict {
    const isFresh = this.cache.freshness(known, nowMs) === 'fresh';
    return isFresh ? fromCache(known, nowMs) : stale(known, nowMs, reason, failure);
  }

  #load(
    key: string,
    about: Omit<Question, 'signals'>,
    signalsOf: () => string,
    instead: Remembered | undefined,
    nowMs: number,
  ): Verdict | OnItsWay {
    const { visitor, variant } = about;
    const refusal = this.client.caller.refusal(key, visitor);
    if (refusal !== undefined) return this.failed(refusal, instead, nowMs);
    const isProbe = this.client.caller.isProbe(visitor);
    const onItsWay = this.cache.flightOf(key, variant);
    if (onItsWay !== undefined) return { flight: onItsWay, instead, isProbe };
    // The site's function, in the context of its request.
    const question = { ...about, signals: signalsOf() };
    const flight = this.#outsideOfRequests(() =>
      this.cache.load(key, variant, (ownKey) => this.client.ask(ownKey, question)),
    );
    return { flight, instead, isProbe };
  }
}

const NO_SIGNALS = () => '';

const STILL_PENDING: Verdict = {
  status: 'unknown',
  reason: 'pending',
  remembered: undefined,
  ageMs: undefined,
  failure: undefined,
};

const SKIPPED: Verdict = {
  status: 'excluded',
  reason: 'skipped',
  remembered: undefined,
  ageMs: undefined,
  failure: undefined,
};

/** Nothing but a {@link DcsError} should come out of a call; what does all the same is a reply that we could not read. */
export function asDcsError(error: unknown): DcsError {
  return error instanceof DcsError ? error : new DcsError('bad-reply', 'the answer of the DCS could not be used');
}

function fromCache(known: Remembered, nowMs: number): Verdict {
  if (known.excluded !== undefined) return excluded(known.excluded, known);
  const ageMs = nowMs - known.storedAtMs;
  return { status: 'cached', reason: undefined, remembered: known, ageMs, failure: undefined };
}

function stale(
  known: Remembered,
  nowMs: number,
  reason: FailureReason | 'revalidating' | 'skipped',
  failure: DcsError | undefined,
): Verdict {
  return { status: 'stale', reason, remembered: known, ageMs: nowMs - known.storedAtMs, failure };
}

function excluded(reason: Exclusion, remembered: Remembered | undefined): Verdict {
  return { status: 'excluded', reason, remembered, ageMs: undefined, failure: undefined };
}

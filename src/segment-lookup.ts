/**
 * Owns: what to serve for a visitor, from what is remembered and what the DCS says. It knows nothing of requests.
 * Next: middleware.ts, which holds a request for as long as it may be held.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Flight, SegmentCache } from './cache/segment-cache';
import { DcsError, type FailureReason } from './dcs/dcs-error';
import type { Exclusion } from './dcs/error-codes';
import type { Question } from './dcs/request';
import type { Visitor } from './identity/visitor';
import type { ResolvedOptions } from './options';
import type { Remembered } from './remembered';
import { isExclusion, SegmentClient } from './segment-client';
import type { Verdict } from './visitor-segments';

/** A call is on its way that a request may wait for. */
export interface OnItsWay {
  readonly flight: Flight<Remembered>;
  /** What to serve when it fails or is late. */
  readonly instead: Remembered | undefined;
  /** It tries a server that was not well: no page should pay for that. */
  readonly isProbe: boolean;
}

export class SegmentLookup {
  readonly client: SegmentClient;
  readonly cache: SegmentCache<Remembered>;
  /** The monotonic clock that everything in here goes by. */
  readonly nowMs: () => number;
  /** A shared call must not run in the async context of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();

  constructor(options: ResolvedOptions, nowMs: () => number) {
    this.nowMs = nowMs;
    this.cache = new SegmentCache({ ...options.cache, nowMs });
    this.client = new SegmentClient(options, nowMs);
  }

  /**
   * What can be served at once, without a promise, or the call that would have to be waited for.
   * @param tcString by which the visitor consents: goes along with the call
   * @param mayCall without it what is known is served, and nobody is asked
   */
  begin(visitor: Visitor, tcString: string | undefined, mayCall: boolean, nowMs: number): Verdict | OnItsWay {
    const key = this.client.keys.keyOf(visitor);
    const variant = this.client.keys.variantOf(visitor, tcString !== undefined);
    const known = this.cache.get(key, variant);
    const freshness = known === undefined ? 'expired' : this.cache.freshness(known, nowMs);
    if (known !== undefined) {
      if (visitor.region !== undefined) known.cookieRegion = visitor.region;
      if (freshness === 'fresh') return fromCache(known, nowMs - known.storedAtMs);
    }
    const instead = freshness === 'expired' ? undefined : known;
    if (!mayCall) return instead === undefined ? SKIPPED : stale(instead, nowMs, 'skipped', undefined);
    const question = {
      visitor: { ...visitor, region: visitor.region ?? known?.cookieRegion },
      tcString,
      variant,
      signals: '',
    };
    const found = this.#load(key, question, instead, nowMs);
    // Behind the visitor's back.
    return freshness === 'stale' && 'flight' in found ? this.pending(known, nowMs) : found;
  }

  /** Forgets all about a visitor. A call that is on its way goes on, and what it brings is not remembered. */
  forget(visitor: Visitor): void {
    for (const key of this.client.keys.allKeysOf(visitor)) this.cache.forget(key);
  }

  /** A visitor does not agree, or not any more: nothing is remembered of them, and nothing more is asked. */
  withdraw(visitor: Visitor, reason: Exclusion): void {
    for (const key of this.client.keys.allKeysOf(visitor)) {
      this.cache.forget(key);
      this.client.caller.abandon(key, reason);
    }
  }

  /** The verdict when the call that was waited for has brought something. */
  arrived(remembered: Remembered): Verdict {
    if (remembered.excluded !== undefined) return excluded(remembered.excluded, remembered);
    return { status: 'fresh', reason: undefined, remembered, ageMs: 0, failure: undefined };
  }

  /** The verdict when it was not waited for any longer. */
  pending(known: Remembered | undefined, nowMs: number): Verdict {
    return known === undefined ? STILL_PENDING : stale(known, nowMs, 'revalidating', undefined);
  }

  /** The verdict when it failed: a failing refresh never takes known segments away. */
  failed(failure: DcsError, known: Remembered | undefined, nowMs: number): Verdict {
    if (isExclusion(failure.reason)) return excluded(failure.reason, undefined);
    if (known !== undefined) return stale(known, nowMs, failure.reason, failure);
    return { status: 'unknown', reason: failure.reason, remembered: undefined, ageMs: undefined, failure };
  }

  #load(key: string, question: Question, instead: Remembered | undefined, nowMs: number): Verdict | OnItsWay {
    const { visitor, variant } = question;
    const refusal = this.client.caller.refusal(key, visitor);
    if (refusal !== undefined) return this.failed(refusal, instead, nowMs);
    const isProbe = this.client.caller.isProbe(visitor);
    const flight = this.#outsideOfRequests(() =>
      this.cache.load(key, variant, (ownKey) => this.client.ask(ownKey, question)),
    );
    return { flight, instead, isProbe };
  }
}

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

function fromCache(known: Remembered, ageMs: number): Verdict {
  if (known.excluded !== undefined) return excluded(known.excluded, known);
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

/**
 * Owns: what is served to one request: a status, its reason, and the DCS's answer if there is one. Made by lookup/. Next:
 * visitor-segments.ts, which shows it.
 */
import type { DcsFailure, FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import type { SegmentSet } from './segment-set';

/**
 * - `fresh`: the DCS answered during this request;
 * - `cached`: from the cache, within its ttl;
 * - `stale`: from the cache, older than its ttl;
 * - `unknown`: no answer to serve;
 * - `anonymous`: no usable visitor id;
 * - `excluded`: deliberately not asked.
 */
export type SegmentStatus = 'fresh' | 'cached' | 'stale' | 'unknown' | 'anonymous' | 'excluded';

/**
 * The reason behind a {@link SegmentStatus}; `fresh` and `cached` have none.
 * - `stale`: `revalidating`, `skipped` (a prefetch, which refreshes nothing), or why the refresh failed;
 * - `unknown`: `pending` (the call is in flight; the next view has its answer), or why the call failed;
 * - `anonymous`: `no-id`, `bad-id`;
 * - `excluded`: `opted-out`, `no-consent`, `bot`, `denylisted`, `invalid-id`, `refused` (by the DCS), `skipped` (by the
 *   option `skip`, or a prefetch without a cached answer).
 */
export type SegmentReason =
  | 'revalidating'
  | 'pending'
  | 'no-id'
  | 'bad-id'
  | 'skipped'
  | 'bot'
  | FailureReason
  | Exclusion;

/** The parts of a DCS answer that are shown. */
export interface ShownAnswer extends SegmentSet {
  /** The data centre that answered. */
  readonly region: number | undefined;
  readonly transactionId: string | undefined;
}

/** What is served to one request. */
export interface ServedAnswer {
  readonly status: SegmentStatus;
  readonly reason: SegmentReason | undefined;
  readonly answer: ShownAnswer | undefined;
  readonly ageMs: number | undefined;
  /** The failure behind `stale` and `unknown`, for callers that throw it. */
  readonly failure: DcsFailure | undefined;
}

/** The answer to a request for which no call is made. */
export function notAsked(status: 'anonymous' | 'excluded', reason: SegmentReason): ServedAnswer {
  return { status, reason, answer: undefined, ageMs: undefined, failure: undefined };
}

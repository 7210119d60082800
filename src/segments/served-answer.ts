/**
 * Owns: what is served to one request: a status, with the reason and the answer that go with it. Made by lookup/ through the
 * functions below. Next: visitor-segments.ts, which shows it.
 */
import type { DcsFailure, FailureReason } from '../dcs/protocol/dcs-error';
import type { Exclusion } from '../dcs/protocol/error-codes';
import type { PackedAnswer } from './packed-answer';

/** What is served to one request. All have the same fields, so that reading them is fast whatever the status. */
export type ServedAnswer =
  | Served<'fresh' | 'cached', undefined, PackedAnswer, number>
  | Served<'stale', StaleReason, PackedAnswer, number>
  | Served<'unknown', 'pending' | FailureReason, undefined, undefined>
  | Served<'anonymous', 'no-id' | 'bad-id', undefined, undefined>
  | Served<'excluded', ExclusionReason, PackedAnswer | undefined, undefined>
  | (Served<'preview', undefined, PackedAnswer, undefined> & { readonly preview?: ActivePreview | undefined });

interface Served<Status, Reason, Answer, AgeMs> {
  readonly status: Status;
  readonly reason: Reason;
  /** The DCS's answer; for `excluded` it holds no segments. */
  readonly answer: Answer;
  /** Since the DCS gave it. */
  readonly ageMs: AgeMs;
  /** The failure behind `stale` and `unknown`, for callers that throw it. */
  readonly failure: DcsFailure | undefined;
}

/** What a preview shows, and for how long: `res.locals.aamPreview`, for a badge on its pages. */
export interface ActivePreview {
  /** The segments, by name, id or value. */
  readonly segments: readonly string[];
  /** The variants, by the name of their experiment. */
  readonly variants: Readonly<Record<string, string>>;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** From the request until then, in milliseconds. */
  readonly remainingMs: number;
  /** A link that ends the preview and leads back to this page, beginning with `/`. */
  readonly endUrl: string;
}

type StaleReason = 'revalidating' | 'skipped' | FailureReason;
type ExclusionReason = 'skipped' | 'bot' | Exclusion;

/**
 * - `fresh`: the DCS answered during this request;
 * - `cached`: from the cache, within its ttl;
 * - `stale`: from the cache, older than its ttl;
 * - `unknown`: no answer to serve;
 * - `anonymous`: no usable visitor id;
 * - `excluded`: deliberately not asked;
 * - `preview`: a signed preview decides, not the visitor: see the option `preview`.
 */
export type SegmentStatus = ServedAnswer['status'];

/**
 * The reason behind a {@link SegmentStatus}; `fresh`, `cached` and `preview` have none.
 * - `stale`: `revalidating`, `skipped` (a prefetch, which refreshes nothing), or why the refresh failed;
 * - `unknown`: `pending` (the call is in flight; the next view has its answer), or why the call failed;
 * - `anonymous`: `no-id`, `bad-id`;
 * - `excluded`: `opted-out`, `no-consent`, `bot`, `denylisted`, `invalid-id`, `refused` (by the DCS), `skipped` (by the
 *   option `skip`, or a prefetch without a cached answer).
 */
export type SegmentReason = NonNullable<ServedAnswer['reason']>;

/**
 * A class, and no object literal: where many requests are held at a time, V8 takes a literal's objects for long-lived ones,
 * and from then on makes each of them where it costs most.
 */
class ServedOnce {
  readonly status: SegmentStatus;
  readonly reason: SegmentReason | undefined;
  readonly answer: PackedAnswer | undefined;
  readonly ageMs: number | undefined;
  readonly failure: DcsFailure | undefined;

  constructor(
    status: SegmentStatus,
    reason?: SegmentReason,
    answer?: PackedAnswer,
    ageMs?: number,
    failure?: DcsFailure,
  ) {
    this.status = status;
    this.reason = reason;
    this.answer = answer;
    this.ageMs = ageMs;
    this.failure = failure;
  }
}

export function fresh(answer: PackedAnswer): ServedAnswer {
  return new ServedOnce('fresh', undefined, answer, 0) as ServedAnswer;
}

export function cached(answer: PackedAnswer, ageMs: number): ServedAnswer {
  return new ServedOnce('cached', undefined, answer, ageMs) as ServedAnswer;
}

export function stale(answer: PackedAnswer, ageMs: number, reason: StaleReason, failure?: DcsFailure): ServedAnswer {
  return new ServedOnce('stale', reason, answer, ageMs, failure) as ServedAnswer;
}

export function unknown(reason: FailureReason, failure: DcsFailure): ServedAnswer {
  return new ServedOnce('unknown', reason, undefined, undefined, failure) as ServedAnswer;
}

/** The call is still in flight. */
export const PENDING = new ServedOnce('unknown', 'pending') as ServedAnswer;

export function anonymous(reason: 'no-id' | 'bad-id'): ServedAnswer {
  return new ServedOnce('anonymous', reason) as ServedAnswer;
}

/** @param answer in which the DCS said so */
export function excluded(reason: ExclusionReason, answer?: PackedAnswer): ServedAnswer {
  return new ServedOnce('excluded', reason, answer) as ServedAnswer;
}

/** Of its own, so that the others need no place for it. */
class ServedPreview extends ServedOnce {
  readonly preview: ActivePreview;

  constructor(answer: PackedAnswer, active: ActivePreview) {
    super('preview', undefined, answer);
    this.preview = active;
  }
}

export function preview(answer: PackedAnswer, active: ActivePreview): ServedAnswer {
  return new ServedPreview(answer, active) as ServedAnswer;
}

/** Owns: the error that a guard passes to `next(err)` when it refuses a visitor. */
import { AamError } from '../errors';
import type { SegmentReason, SegmentStatus } from '../segments/served-answer';
import type { VisitorSegments } from '../segments/visitor-segments';

/**
 * The error that {@link requireSegment} passes to `next(err)` for a visitor who is refused. Express's own error handler
 * answers it with 403.
 */
export interface SegmentRequiredError extends AamError {
  readonly code: 'ERR_AAM_SEGMENT_REQUIRED';
  readonly status: 403;
  readonly statusCode: 403;
  /** The message may be shown to the visitor. */
  readonly expose: true;
  /** The status of the segments that the guard decided by; `unknown` if there was no answer from Audience Manager. */
  readonly segmentsStatus: SegmentStatus;
  /** The reason behind the status, if it has one. */
  readonly segmentsReason: SegmentReason | undefined;
}

export function segmentRequired({ status, reason }: VisitorSegments): SegmentRequiredError {
  const why = reason === undefined ? `status: ${status}` : `status: ${status}, reason: ${reason}`;
  const error = new AamError('ERR_AAM_SEGMENT_REQUIRED', `The visitor is not in a required segment (${why}).`);
  // Refusals are routine, and a trace into this package helps nobody. V8 formats a trace when it is first read, so
  // replacing it before that also saves the time.
  error.stack = `${error.name}: ${error.message}`;
  return Object.assign(error, {
    code: 'ERR_AAM_SEGMENT_REQUIRED',
    status: 403,
    statusCode: 403,
    expose: true,
    segmentsStatus: status,
    segmentsReason: reason,
  } as const);
}

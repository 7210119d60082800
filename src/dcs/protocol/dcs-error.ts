import { AamError, type AamErrorCode } from '../../errors';
import type { Exclusion } from './error-codes';

/** Why a call brought no usable answer. It is also the reason of `unknown`, and of `stale` after a failed refresh. */
export type FailureReason =
  | 'timeout'
  | 'network'
  | 'http-status'
  | 'bad-reply'
  | 'rate-limited'
  | 'circuit-open'
  | 'overloaded'
  | 'dcs-error'
  | 'closed';

const CODES: Readonly<Record<FailureReason | Exclusion, AamErrorCode>> = {
  timeout: 'ERR_AAM_DCS_TIMEOUT',
  network: 'ERR_AAM_DCS_NETWORK',
  'http-status': 'ERR_AAM_DCS_STATUS',
  'bad-reply': 'ERR_AAM_DCS_REPLY',
  'rate-limited': 'ERR_AAM_DCS_RATE_LIMITED',
  'circuit-open': 'ERR_AAM_DCS_CIRCUIT_OPEN',
  overloaded: 'ERR_AAM_DCS_OVERLOADED',
  'dcs-error': 'ERR_AAM_DCS_REJECTED',
  closed: 'ERR_AAM_CLOSED',
  'opted-out': 'ERR_AAM_DCS_REJECTED',
  'no-consent': 'ERR_AAM_DCS_REJECTED',
  denylisted: 'ERR_AAM_DCS_REJECTED',
  'invalid-id': 'ERR_AAM_DCS_REJECTED',
  refused: 'ERR_AAM_DCS_REJECTED',
};

interface Details {
  readonly dcsCode?: number | undefined;
  readonly optOutTtlMs?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly noData?: boolean | undefined;
}

/**
 * Why a call brought no usable answer, as plain data: an error, and the cost of its stack, is made only for callers that
 * get one thrown.
 */
export interface DcsFailure extends Details {
  readonly reason: FailureReason | Exclusion;
  readonly message: string;
}

/**
 * A call failed, was not made, or was answered with an error. The message names codes, statuses and sizes, never an
 * identifier or a body. There is no `cause` for the same reason: the HTTP client's parse errors hold a part of the body.
 */
export class DcsError extends AamError implements DcsFailure {
  readonly reason: FailureReason | Exclusion;
  /** The error code in the DCS's answer, if it had one. */
  readonly dcsCode: number | undefined;
  /** For `opted-out`: how long the opt-out holds according to the DCS. */
  readonly optOutTtlMs: number | undefined;
  /** For `rate-limited`: the delay that the DCS asked for in `Retry-After`, if any. */
  readonly retryAfterMs: number | undefined;
  /** The DCS is healthy but had no data for this visitor at the moment. */
  readonly noData: boolean;

  constructor(reason: FailureReason | Exclusion, message: string, details: Details = {}) {
    super(CODES[reason], message);
    this.reason = reason;
    this.dcsCode = details.dcsCode;
    this.optOutTtlMs = details.optOutTtlMs;
    this.retryAfterMs = details.retryAfterMs;
    this.noData = details.noData ?? false;
  }

  /** An error of its own for each caller: whoever changes it or adds to its stack changes nobody else's. */
  static from(failure: DcsFailure): DcsError {
    return new DcsError(failure.reason, failure.message, failure);
  }
}

import { AamError, type AamErrorCode } from '../../errors';
import type { Exclusion } from './error-codes';

/** Why a call brought no usable answer. What a visitor's status says when nothing else is known. */
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
 * A call that brought no usable answer. Names regions, codes and sizes; never an identifier or a body. For the same
 * reason it carries no `cause`: the HTTP client's parse errors hold the bytes that they stumbled over.
 */
export class DcsError extends AamError implements DcsFailure {
  readonly reason: FailureReason | Exclusion;
  /** The code in the DCS's own answer, where it gave one. */
  readonly dcsCode: number | undefined;
  /** For `opted-out`: how long the DCS says that this holds. */
  readonly optOutTtlMs: number | undefined;
  /** For `rate-limited`: how long the DCS wants to be left alone, where it says so. */
  readonly retryAfterMs: number | undefined;
  /** The DCS is well and had nothing to say about this visitor just now. */
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

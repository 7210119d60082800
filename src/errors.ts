import { helpFor } from './diagnosis/help';

/**
 * Every code that an {@link AamError} can carry. The code is the contract: compare `error.code`,
 * not the message and not the class (two copies of the package have two classes).
 */
export type AamErrorCode =
  | 'ERR_AAM_INVALID_OPTION'
  | 'ERR_AAM_UNKNOWN_OPTION'
  | 'ERR_AAM_MIDDLEWARE_MISSING'
  | 'ERR_AAM_SEGMENT_REQUIRED'
  | 'ERR_AAM_UNKNOWN_SEGMENT'
  | 'ERR_AAM_DCS_TIMEOUT'
  | 'ERR_AAM_DCS_NETWORK'
  | 'ERR_AAM_DCS_STATUS'
  | 'ERR_AAM_DCS_REPLY'
  | 'ERR_AAM_DCS_REJECTED'
  | 'ERR_AAM_DCS_RATE_LIMITED'
  | 'ERR_AAM_DCS_CIRCUIT_OPEN'
  | 'ERR_AAM_DCS_OVERLOADED'
  | 'ERR_AAM_CLOSED'
  | 'ERR_AAM_INVALID_SIGNAL'
  | 'ERR_AAM_EVENT_TOO_LARGE'
  | 'ERR_AAM_EVENT_DROPPED';

/** The only error class of this package. Its message never holds an identifier, a cookie or a body. */
export class AamError extends Error {
  // A field, which is defined and not assigned: assigning fails where Error.prototype is frozen.
  override readonly name: string = 'AamError';
  readonly code: AamErrorCode;
  /** Where the code is explained. */
  readonly help: string;

  constructor(code: AamErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.help = helpFor(code);
  }
}

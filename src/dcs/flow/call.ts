import type { DcsFailure } from '../protocol/dcs-error';
import type { DcsReply } from '../protocol/reply';
import type { DcsRequest } from '../protocol/request';
import type { QueuePlace } from './linked-queue';
import type { AnswerBrought, AnswerFound } from './shared-answer';

export type CallKind = 'lookup' | 'event' | 'opt-out';

/**
 * How a call ended: with an answer, with a failure, unsent because another process has the answer, or, for an event, dropped
 * because too many were waiting.
 */
export type CallResult =
  | { readonly reply: DcsReply }
  | { readonly failure: DcsFailure }
  | { readonly found: AnswerFound }
  | { readonly isDropped: true };

/** Whoever made a call is told of what becomes of it. Neither may throw. */
export interface CallObserver {
  /** It is sent now, or another process's answer to it is asked for. Until then it was waiting. Can be called again. */
  began(): void;
  /** Once, and last. */
  ended(result: CallResult): void;
}

/**
 * - `waiting` for its turn among the calls about its visitor;
 * - `queued`: its turn has come in this process, and it waits for its turn in the fleet, or for a free connection;
 * - `running`: it has been sent; for an aborted one, until its socket has closed;
 * - `over`.
 */
export type CallPhase = 'waiting' | 'queued' | 'running' | 'over';

/** One call about one visitor, from being asked for to its end. It moves in one direction through its phases. */
export class Call {
  readonly kind: CallKind;
  /** Tells the visitor from all others. */
  readonly key: string;
  /** Whose region is called; of nobody: the default origin. */
  readonly region: number | undefined;
  readonly request: DcsRequest;
  /** Whether it does no harm when the DCS gets it twice. */
  readonly isRepeatable: boolean;
  readonly observer: CallObserver;
  /** Tells apart the questions about one visitor. */
  readonly variant: string;
  /** When the consent was given by which the visitor is asked about, by the clock of the calls. */
  readonly consentedAtMs: number;
  /** What it has brought, for the fleet. Set by its observer. */
  brought: AnswerBrought | undefined;
  phase: CallPhase = 'waiting';
  /** Whether it tries a server whose breaker is open. */
  isProbe = false;
  /** Of an event: whether nothing was ever answered about its visitor, whose id may be invented. */
  isStranger = false;
  /** Whether its observer has been told of its end, which for an aborted call comes before it is over. */
  hasEnded = false;
  /** Its place in its visitor's lane. */
  turn: QueuePlace<Call> | undefined;
  /** Its place in the queue of a gate, or of an event among those that wait for one. */
  place: QueuePlace<Call> | undefined;

  constructor(
    what: Pick<Call, 'kind' | 'key' | 'region' | 'request' | 'isRepeatable' | 'observer'> &
      Partial<Pick<Call, 'variant' | 'consentedAtMs'>>,
  ) {
    this.kind = what.kind;
    this.key = what.key;
    this.region = what.region;
    this.request = what.request;
    this.isRepeatable = what.isRepeatable;
    this.observer = what.observer;
    this.variant = what.variant ?? '';
    this.consentedAtMs = what.consentedAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** Tells its observer how it ended, the first time only. */
  end(result: CallResult): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.observer.ended(result);
  }
}

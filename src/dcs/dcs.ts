/** Owns: what the rest of the package needs of the DCS, and no more. Next: dcs-calls.ts, which is it. */
import type { Visitor } from '../identity/visitor';
import type { Call, CallObserver } from './flow/call';
import type { EventStats } from './flow/event-queue';
import type { OriginStats } from './flow/origin-gate';
import type { DcsFailure } from './protocol/dcs-error';
import type { Exclusion } from './protocol/error-codes';
import type { Question } from './protocol/request';

/** What became of the calls, and how the servers are. No identifiers. */
export interface DcsStats {
  /** Requests sent to the DCS. */
  readonly calls: number;
  /** Calls that are running or waiting. */
  readonly inFlight: number;
  /** The state of each server that was asked, by origin. */
  readonly origins: Readonly<Record<string, OriginStats>>;
  /** What became of the events. */
  readonly events: EventStats;
}

/** All that anybody needs of the DCS. Visitors are told apart by their cache key. */
export interface Dcs {
  /** Asks the DCS of the visitor's region. May end before it returns. */
  lookup(key: string, question: Question, observer: CallObserver): Call;
  /**
   * Tells the DCS of the visitor's region something, after all that was asked and told before, once.
   * @param isStranger whether nothing is known about the visitor: such events are dropped first
   * @throws {AamError} `ERR_AAM_EVENT_TOO_LARGE`
   */
  sendEvent(key: string, question: Question, isStranger: boolean, observer: CallObserver): Call;
  /**
   * Has the DCS opt the visitor out, for good. Nothing holds it but a running call about the visitor; what else waits to be
   * asked and told of them is not.
   */
  optOut(key: string, visitor: Visitor, observer: CallObserver): Call;
  /** Ends lookups and events with this reason: none of them is sent any more. */
  abandon(calls: Iterable<Call>, reason: Exclusion): void;
  /** Why a lookup of this visitor would fail at once, without a call. */
  unavailable(key: string, visitor: Visitor): DcsFailure | undefined;
  /** Milliseconds after which to try again to look this visitor up; 0 if it can be tried now. */
  retryInMs(key: string, visitor: Visitor): number;
  /** Whether an event is running, or is the next call about its visitor and nothing holds it back. */
  isImminent(event: Call): boolean;
  stats(): DcsStats;
  /**
   * Ends lookups with `closed` and frees sockets and timers. Events have as long as one call may take; an opt-out that has
   * to wait for one has as long again. Can be called twice.
   */
  close(): Promise<void>;
}

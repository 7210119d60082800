/**
 * Owns: the queued events. No page waits for them, so they wait as long as necessary: for earlier calls about the visitor,
 * for a pause or an open breaker of the origin to end, for a free place among the calls. The queue is bounded; when it is
 * full, the oldest events are dropped and counted. Next: visitor-lane.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bulkhead } from 'cockatiel';
import { AamError } from '../../errors';
import { DcsError } from '../protocol/dcs-error';
import type { DcsReply } from '../protocol/reply';
import type { Call, Turn, VisitorLane } from './visitor-lane';

export interface EventQueueConfig {
  /** The most events that are queued; beyond it the oldest are dropped. */
  readonly maxQueuedEvents: number;
  /** Concurrent calls to one origin. */
  readonly connections: number;
}

/** Counts of events since construction, and how many are queued now. */
export interface EventStats {
  /** Waiting or in flight. */
  readonly queued: number;
  /** Answered by the DCS. */
  readonly sent: number;
  /** Without a usable answer of the DCS. */
  readonly failed: number;
  /** Never sent, because newer events filled the queue. */
  readonly dropped: number;
}

/** One visitor's flood must not displace the events of others. */
const MAX_QUEUED_PER_VISITOR = 50;

interface QueuedEvent {
  readonly key: string;
  readonly turn: Turn;
}

export class EventQueue {
  readonly #config: EventQueueConfig;
  readonly #lane: VisitorLane;
  /** Half of the sockets of an origin: pages are waiting for lookups. */
  readonly #bulkhead;
  /** Oldest first. */
  readonly #queued = new Map<Call, QueuedEvent>();
  readonly #pending = new Set<Promise<unknown>>();
  #sent = 0;
  #failed = 0;
  #dropped = 0;

  constructor(config: EventQueueConfig, lane: VisitorLane) {
    this.#config = config;
    this.#lane = lane;
    this.#bulkhead = bulkhead(Math.ceil(config.connections / 2), Number.POSITIVE_INFINITY);
  }

  stats(): EventStats {
    return { queued: this.#pending.size, sent: this.#sent, failed: this.#failed, dropped: this.#dropped };
  }

  /**
   * Sends an event once the earlier calls about this visitor have ended.
   * @param retryInMs milliseconds until the origin takes calls
   * @throws {AamError} by rejection: a {@link DcsError}, or `ERR_AAM_EVENT_DROPPED`
   */
  async send(key: string, call: Call, retryInMs: () => number): Promise<DcsReply> {
    let isSent = false;
    const queuedCall: Call = async (controller) => {
      for (;;) {
        // Synchronous when nothing is in the way: the event is then sent in this tick.
        if (!this.#isAllowed(key, retryInMs)) await this.#allowed(key, retryInMs, controller.signal);
        try {
          return await this.#bulkhead.execute(() => {
            // Other calls may have failed while it was queued.
            if (this.#waitMs(key, retryInMs) > 0) throw NOT_NOW;
            isSent = true;
            this.#queued.delete(queuedCall);
            return call(controller);
          }, controller.signal);
        } catch (error) {
          controller.signal.throwIfAborted();
          // Retriable: the call was not made, or the DCS turned it away unread.
          if (!isRetriable(error)) throw error;
        }
      }
    };
    const turn = this.#lane.event(key, queuedCall);
    if (!isSent) {
      this.#queued.set(queuedCall, { key, turn });
      this.#dropOldest(key);
    }
    this.#pending.add(turn.reply);
    try {
      const reply = await turn.reply;
      this.#sent++;
      return reply;
    } catch (error) {
      if (error === DROPPED) this.#dropped++;
      else this.#failed++;
      throw error;
    } finally {
      this.#queued.delete(queuedCall);
      this.#pending.delete(turn.reply);
    }
  }

  /** Resolves when all present events have been answered or have failed, at the latest after `withinMs`. */
  async settled(withinMs: number): Promise<void> {
    if (this.#pending.size === 0) return;
    const timeout = new AbortController();
    const { signal } = timeout;
    await Promise.race([Promise.allSettled(this.#pending), sleep(withinMs, undefined, { signal }).catch(() => {})]);
    timeout.abort();
  }

  #waitMs(key: string, retryInMs: () => number): number {
    return Math.max(this.#lane.cooldownMs(key), retryInMs());
  }

  #isAllowed(key: string, retryInMs: () => number): boolean {
    return this.#lane.unavailableReason(key) === undefined && this.#waitMs(key, retryInMs) <= 0;
  }

  async #allowed(key: string, retryInMs: () => number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const unavailable = this.#lane.unavailableReason(key);
      if (unavailable?.reason === 'denylisted') throw unavailable;
      const waitMs = this.#waitMs(key, retryInMs);
      if (waitMs <= 0) return;
      // An abort is thrown at the top of the loop.
      await sleep(Math.ceil(waitMs), undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #dropOldest(key: string): void {
    if (this.#lane.sizeOf(key) > MAX_QUEUED_PER_VISITOR) {
      this.#drop([...this.#queued].find(([, each]) => each.key === key));
    } else if (this.#queued.size > this.#config.maxQueuedEvents) {
      this.#drop(this.#queued.entries().next().value);
    }
  }

  #drop(oldest: [Call, QueuedEvent] | undefined): void {
    if (oldest === undefined) return;
    const [call, { key, turn }] = oldest;
    this.#queued.delete(call);
    this.#lane.cancel(key, turn, DROPPED);
  }
}

const DROPPED = new AamError(
  'ERR_AAM_EVENT_DROPPED',
  'Event not sent: the queue was full and newer events replaced it.',
);
const NOT_NOW = new DcsError('circuit-open', 'Call not made: the origin is not taking calls.');
const RETRIABLE: readonly string[] = ['rate-limited', 'circuit-open', 'overloaded'] satisfies DcsError['reason'][];

function isRetriable(error: unknown): boolean {
  return error instanceof DcsError && RETRIABLE.includes(error.reason);
}

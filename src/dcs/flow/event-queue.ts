/**
 * Owns: the events that wait to be sent. Nobody's page waits for them, so they wait as long as they have to: for the
 * calls about their visitor that came before, for a server that is left alone to be asked again, for room among the
 * calls. There are only so many; of more, the oldest are dropped and counted. Next: visitor-lane.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bulkhead } from 'cockatiel';
import { AamError } from '../../errors';
import { DcsError } from '../protocol/dcs-error';
import type { DcsReply } from '../protocol/reply';
import type { Call, Turn, VisitorLane } from './visitor-lane';

export interface EventQueueConfig {
  /** Events that wait; of more, the oldest are dropped. */
  readonly maxQueuedEvents: number;
  /** Calls that are made to one origin at a time. */
  readonly connections: number;
}

/** What became of the events. */
export interface EventStats {
  /** Waiting, or on their way. */
  readonly queued: number;
  /** Answered by the DCS. */
  readonly sent: number;
  /** Sent, or tried to, without a usable answer. */
  readonly failed: number;
  /** Never sent, because too many came after them. */
  readonly dropped: number;
}

/** One visitor's flood must not push out everybody else's events. */
const MAX_QUEUED_PER_VISITOR = 50;

interface Waiting {
  readonly key: string;
  readonly turn: Turn;
}

export class EventQueue {
  readonly #config: EventQueueConfig;
  readonly #lane: VisitorLane;
  /** Never all the sockets of an origin: pages are waiting for theirs. */
  readonly #room;
  /** Oldest first. */
  readonly #waiting = new Map<Call, Waiting>();
  readonly #underWay = new Set<Promise<unknown>>();
  #sent = 0;
  #failed = 0;
  #dropped = 0;

  constructor(config: EventQueueConfig, lane: VisitorLane) {
    this.#config = config;
    this.#lane = lane;
    this.#room = bulkhead(Math.ceil(config.connections / 2), Number.POSITIVE_INFINITY);
  }

  stats(): EventStats {
    return { queued: this.#underWay.size, sent: this.#sent, failed: this.#failed, dropped: this.#dropped };
  }

  /**
   * Sends an event when all that came before it about this visitor has ended.
   * @param notBeforeMs how long the server is to be left alone from now on
   * @throws {AamError} by rejection: a {@link DcsError}, or `ERR_AAM_EVENT_DROPPED` if it never was sent
   */
  async send(key: string, call: Call, notBeforeMs: () => number): Promise<DcsReply> {
    let isSent = false;
    const paced: Call = async (controller) => {
      for (;;) {
        // Sent at once where nothing is in the way, and not only after whatever else happens in this tick.
        if (!this.#isAllowed(key, notBeforeMs)) await this.#allowed(key, notBeforeMs, controller.signal);
        try {
          return await this.#room.execute(() => {
            // While it waited for room, others may have failed.
            if (this.#waitMs(key, notBeforeMs) > 0) throw NOT_NOW;
            isSent = true;
            this.#waiting.delete(paced);
            return call(controller);
          }, controller.signal);
        } catch (error) {
          controller.signal.throwIfAborted();
          // No call was made, or it was turned away unread.
          if (!isForLater(error)) throw error;
        }
      }
    };
    const turn = this.#lane.event(key, paced);
    if (!isSent) {
      this.#waiting.set(paced, { key, turn });
      this.#dropOldest(key);
    }
    this.#underWay.add(turn.reply);
    try {
      const reply = await turn.reply;
      this.#sent++;
      return reply;
    } catch (error) {
      if (error === DROPPED) this.#dropped++;
      else this.#failed++;
      throw error;
    } finally {
      this.#waiting.delete(paced);
      this.#underWay.delete(turn.reply);
    }
  }

  /** When all events of now have been sent or have failed, at the latest after so long. */
  async settled(withinMs: number): Promise<void> {
    if (this.#underWay.size === 0) return;
    const patience = new AbortController();
    const { signal } = patience;
    await Promise.race([Promise.allSettled(this.#underWay), sleep(withinMs, undefined, { signal }).catch(() => {})]);
    patience.abort();
  }

  #waitMs(key: string, notBeforeMs: () => number): number {
    return Math.max(this.#lane.cooldownMs(key), notBeforeMs());
  }

  #isAllowed(key: string, notBeforeMs: () => number): boolean {
    return this.#lane.unavailableReason(key) === undefined && this.#waitMs(key, notBeforeMs) <= 0;
  }

  async #allowed(key: string, notBeforeMs: () => number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const unavailable = this.#lane.unavailableReason(key);
      if (unavailable?.reason === 'denylisted') throw unavailable;
      const waitMs = this.#waitMs(key, notBeforeMs);
      if (waitMs <= 0) return;
      // Its own reason comes out at the top of the loop.
      await sleep(Math.ceil(waitMs), undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #dropOldest(key: string): void {
    if (this.#lane.sizeOf(key) > MAX_QUEUED_PER_VISITOR) {
      this.#drop([...this.#waiting].find(([, each]) => each.key === key));
    } else if (this.#waiting.size > this.#config.maxQueuedEvents) {
      this.#drop(this.#waiting.entries().next().value);
    }
  }

  #drop(oldest: [Call, Waiting] | undefined): void {
    if (oldest === undefined) return;
    const [call, { key, turn }] = oldest;
    this.#waiting.delete(call);
    this.#lane.cancel(key, turn, DROPPED);
  }
}

const DROPPED = new AamError('ERR_AAM_EVENT_DROPPED', 'the event was not sent: too many newer ones are waiting');
const NOT_NOW = new DcsError('circuit-open', 'no call was made');
const FOR_LATER: readonly string[] = ['rate-limited', 'circuit-open', 'overloaded'] satisfies DcsError['reason'][];

function isForLater(error: unknown): boolean {
  return error instanceof DcsError && FOR_LATER.includes(error.reason);
}

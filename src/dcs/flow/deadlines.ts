import type { Clock } from './clock';
import { LinkedQueue, type QueuePlace } from './linked-queue';

interface Deadline {
  readonly atMs: number;
  readonly expired: () => void;
}

/** Many deadlines of one length, with one timer: the one that was set first is always the next to expire. */
export class Deadlines {
  readonly #lengthMs: number;
  readonly #clock: Clock;
  readonly #pending = new LinkedQueue<Deadline>();
  #cancelTimer: (() => void) | undefined;

  constructor(lengthMs: number, clock: Clock) {
    this.#lengthMs = lengthMs;
    this.#clock = clock;
  }

  /** Calls back once, unless it is {@link clear}ed before. */
  set(expired: () => void): QueuePlace<Deadline> {
    const place = this.#pending.push({ atMs: this.#clock.nowMs() + this.#lengthMs, expired });
    if (this.#cancelTimer === undefined) this.#arm();
    return place;
  }

  clear(place: QueuePlace<Deadline>): void {
    this.#pending.remove(place);
    // A timer for nothing would keep the process alive.
    if (this.#pending.size === 0) this.#disarm();
  }

  #arm(): void {
    const next = this.#pending.first;
    if (next === undefined) return;
    this.#cancelTimer = this.#clock.after(next.atMs - this.#clock.nowMs(), () => this.#expire(), true);
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** The timer may have been set for a deadline that is cleared by now. */
  #expire(): void {
    this.#cancelTimer = undefined;
    for (;;) {
      const next = this.#pending.first;
      if (next === undefined || next.atMs > this.#clock.nowMs()) break;
      this.#pending.shift();
      next.expired();
    }
    if (this.#cancelTimer === undefined) this.#arm();
  }
}

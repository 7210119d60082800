import type { Clock } from '../../src/dcs/flow/clock';
import { must } from './broken-rule';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** More in one go are timers that set each other for ever. */
const MAX_TIMERS_AT_ONCE = 20_000;

/** Time passes only when the model says so. */
export class FakeClock implements Clock {
  #nowMs = 5_000;
  readonly #timers: Timer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    must(delayMs < Number.POSITIVE_INFINITY, 'a timer is set for a time that comes');
    const timer = { atMs: this.#nowMs + Math.max(0, Math.ceil(delayMs)), callback };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at !== -1) this.#timers.splice(at, 1);
    };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.length;
  }

  /** When the next timer is due; `Infinity` without one. */
  get nextAtMs(): number {
    return this.#timers.reduce((earliest, { atMs }) => Math.min(earliest, atMs), Number.POSITIVE_INFINITY);
  }

  /**
   * Time passes, and the timers that are due fire in their order.
   * @param isLate the process was busy with something else all the time: none fires before the end of it
   * @param fired after each of them
   */
  async advance(ms: number, isLate: boolean, fired: () => Promise<void>): Promise<void> {
    const untilMs = this.#nowMs + ms;
    if (isLate) this.#nowMs = untilMs;
    for (let count = 0; this.nextAtMs <= untilMs; count++) {
      must(count < MAX_TIMERS_AT_ONCE, 'no timer is set for nothing again and again');
      const [timer] = this.#timers.splice(this.#indexOfNext(), 1) as [Timer];
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.callback();
      await fired();
    }
    this.#nowMs = untilMs;
  }

  #indexOfNext(): number {
    const { nextAtMs } = this;
    return this.#timers.findIndex(({ atMs }) => atMs === nextAtMs);
  }
}

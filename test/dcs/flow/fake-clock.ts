import type { Clock } from '../../../src/dcs/flow/clock';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
  readonly keepsAlive: boolean;
}

/** Time that passes when the test says so. */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs = 1_000_000;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void, keepsAlive: boolean): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback, keepsAlive };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Those of them that keep the process alive. */
  get keepingAlive(): number {
    return [...this.#timers].filter(({ keepsAlive }) => keepsAlive).length;
  }

  /** When the next timer fires, from now. */
  get nextInMs(): number | undefined {
    const next = this.#next();
    return next && next.atMs - this.#nowMs;
  }

  /** Lets time pass. Timers that are due fire in order, each at its moment. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.atMs < first.atMs) first = timer;
    return first;
  }
}

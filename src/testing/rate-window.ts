import { performance } from 'node:perf_hooks';

/** At most `calls` calls within any `withinMs` milliseconds. */
export interface RateWindowLimit {
  readonly calls: number;
  readonly withinMs: number;
}

/** A sliding window over admitted calls. */
export class RateWindow {
  readonly #limit: RateWindowLimit | false;
  #takenAtMs: number[] = [];

  /** @param limit `false` admits all calls */
  constructor(limit: RateWindowLimit | false) {
    this.#limit = limit;
  }

  /** Returns whether a call is admitted. Refused calls do not count. */
  take(): boolean {
    if (!this.#limit) return true;
    const now = performance.now();
    const since = now - this.#limit.withinMs;
    this.#takenAtMs = this.#takenAtMs.filter((at) => at > since);
    if (this.#takenAtMs.length >= this.#limit.calls) return false;
    this.#takenAtMs.push(now);
    return true;
  }
}

import { CircuitState, type IBreaker } from 'cockatiel';

/** When a circuit breaker opens. */
export interface BreakerLimits {
  /** The time over which calls are counted, in milliseconds. */
  readonly windowMs: number;
  /** Minimum calls in the window before the breaker can open. */
  readonly minCalls: number;
  /** The share of failed calls, in percent, from which it opens. */
  readonly failurePercent: number;
}

interface Slice {
  n: number;
  failed: number;
  succeeded: number;
}

const SLICES = 10;

/**
 * Counts the calls of the last `windowMs` in ten slices. (cockatiel's SamplingBreaker drops one slice per call, so that on
 * a quiet site failures from minutes ago still count, and it reads the wall clock.)
 */
export class RecentCalls implements IBreaker {
  /** Required by the interface; a process always starts with a closed breaker. */
  state = undefined;
  readonly #limits: BreakerLimits;
  readonly #sliceMs: number;
  readonly #nowMs: () => number;
  #slices: Slice[] = [];

  constructor(limits: BreakerLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#sliceMs = Math.max(1, limits.windowMs / SLICES);
    this.#nowMs = nowMs;
  }

  success(state: CircuitState): void {
    if (state === CircuitState.HalfOpen) this.#slices = [];
    this.#current().succeeded++;
  }

  /** Records a failure. Returns whether the breaker opens; a failed probe always opens it. */
  failure(state: CircuitState): boolean {
    this.#current().failed++;
    if (state !== CircuitState.Closed) return true;
    const { minCalls, failurePercent } = this.#limits;
    const { calls, failures } = this.counts();
    return calls >= minCalls && failures * 100 >= failurePercent * calls;
  }

  counts(): { readonly calls: number; readonly failures: number } {
    const oldest = Math.floor(this.#nowMs() / this.#sliceMs) - SLICES;
    this.#slices = this.#slices.filter(({ n }) => n > oldest);
    let calls = 0;
    let failures = 0;
    for (const { failed, succeeded } of this.#slices) {
      calls += failed + succeeded;
      failures += failed;
    }
    return { calls, failures };
  }

  #current(): Slice {
    const n = Math.floor(this.#nowMs() / this.#sliceMs);
    const last = this.#slices.at(-1);
    if (last?.n === n) return last;
    const slice = { n, failed: 0, succeeded: 0 };
    // Bounded here too: counts() may not be called for a long time.
    this.#slices = [...this.#slices.slice(1 - SLICES), slice];
    return slice;
  }
}

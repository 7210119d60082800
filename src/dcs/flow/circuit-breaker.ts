/**
 * Owns: whether one server is well enough to be called. It goes by the share of calls that failed lately; once open, it
 * lets one call through from time to time, the probe, and closes when that succeeds.
 */

/** When a breaker opens, and for how long. */
export interface BreakerLimits {
  /** How far back calls count, in milliseconds. */
  readonly windowMs: number;
  /** Minimum calls in the window before the breaker can open. */
  readonly minCalls: number;
  /** The share of them that must have failed, in percent. */
  readonly failurePercent: number;
  /** How long an open breaker lets no call through before it lets one probe through. */
  readonly probeAfterMs: number;
}

/** `closed` lets calls through, `open` none, `half-open` waits for the outcome of its probe. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * What a call says about the server: `success` for any answer of the DCS, its error codes included; `failure` for a
 * timeout, a broken connection, an HTTP error, an unusable answer; `neutral` for a call that ended without having shown
 * either.
 */
export type CallOutcome = 'success' | 'failure' | 'neutral';

/** Told of each change of a breaker, in the middle of others: it must not call back. */
export type BreakerListener = (state: BreakerState, previous: BreakerState) => void;

const SLICES = 10;

export class CircuitBreaker {
  readonly #limits: BreakerLimits | false;
  readonly #nowMs: () => number;
  readonly #window: SlidingCounts;
  readonly #changed: BreakerListener;
  #isOpen = false;
  #isProbing = false;
  #mayProbeAtMs = 0;

  /** @param limits `false`: a breaker that never opens */
  constructor(limits: BreakerLimits | false, nowMs: () => number, changed: BreakerListener = () => {}) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#changed = changed;
    this.#window = new SlidingCounts(limits === false ? 1 : limits.windowMs, nowMs);
  }

  get state(): BreakerState {
    return this.#isProbing ? 'half-open' : this.#isOpen ? 'open' : 'closed';
  }

  /** Whether a call may begin now. */
  get admits(): boolean {
    return !this.#isOpen || (!this.#isProbing && this.#nowMs() >= this.#mayProbeAtMs);
  }

  /** Milliseconds until a call may begin, as far as the clock decides; 0 while a probe is in flight. */
  get retryInMs(): number {
    return this.#isOpen && !this.#isProbing ? Math.max(0, this.#mayProbeAtMs - this.#nowMs()) : 0;
  }

  /** A call begins. Whether it is the probe: that belongs to the call, and is to be said when it ends. */
  begin(): boolean {
    if (!this.#isOpen || this.#isProbing) return false;
    this.#isProbing = true;
    this.#changed('half-open', 'open');
    return true;
  }

  /** A call has ended. Whether the breaker has opened, or has stayed open after a failed probe. */
  end(outcome: CallOutcome, isProbe: boolean): boolean {
    if (isProbe) return this.#endProbe(outcome);
    if (outcome === 'neutral' || this.#limits === false) return false;
    this.#window.add(outcome === 'failure');
    // Calls from before it opened say nothing new about a server that is being left alone.
    if (this.#isOpen || outcome === 'success') return false;
    const { calls, failures } = this.#window.totals();
    const { minCalls, failurePercent } = this.#limits;
    if (calls < minCalls || failures * 100 < failurePercent * calls) return false;
    this.#open();
    this.#changed('open', 'closed');
    return true;
  }

  /** A neutral probe has shown nothing: the next call may probe at once. */
  #endProbe(outcome: CallOutcome): boolean {
    this.#isProbing = false;
    if (outcome === 'failure') this.#open();
    if (outcome === 'success') {
      this.#isOpen = false;
      this.#window.clear();
      this.#window.add(false);
    }
    this.#changed(this.state, 'half-open');
    return outcome === 'failure';
  }

  #open(): void {
    this.#isOpen = true;
    this.#mayProbeAtMs = this.#nowMs() + (this.#limits === false ? 0 : this.#limits.probeAfterMs);
  }
}

/** Calls and failures of the last `windowMs`, in ten slices of it. */
class SlidingCounts {
  readonly #sliceMs: number;
  readonly #nowMs: () => number;
  /** By slice modulo {@link SLICES}: which slice it was counted for, and what. */
  readonly #slices = Array.from({ length: SLICES }, () => ({ n: Number.NEGATIVE_INFINITY, calls: 0, failures: 0 }));

  constructor(windowMs: number, nowMs: () => number) {
    this.#sliceMs = Math.max(1, windowMs / SLICES);
    this.#nowMs = nowMs;
  }

  add(isFailure: boolean): void {
    const n = this.#currentSlice();
    const slice = this.#slices[n % SLICES] as { n: number; calls: number; failures: number };
    if (slice.n !== n) Object.assign(slice, { n, calls: 0, failures: 0 });
    slice.calls++;
    if (isFailure) slice.failures++;
  }

  totals(): { readonly calls: number; readonly failures: number } {
    const oldest = this.#currentSlice() - SLICES;
    let calls = 0;
    let failures = 0;
    for (const slice of this.#slices) {
      if (slice.n <= oldest) continue;
      calls += slice.calls;
      failures += slice.failures;
    }
    return { calls, failures };
  }

  clear(): void {
    for (const slice of this.#slices) slice.n = Number.NEGATIVE_INFINITY;
  }

  #currentSlice(): number {
    return Math.floor(this.#nowMs() / this.#sliceMs);
  }
}

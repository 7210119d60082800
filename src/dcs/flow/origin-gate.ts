/**
 * Owns: whether a call to one origin may be made now, and how many at a time. A circuit breaker stops calls to a failing
 * server, a pause those to one that is rate limiting, and a bulkhead bounds the calls in flight and queued. Visitors,
 * sockets and answers are not known here.
 */
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  circuitBreaker,
  ExponentialBackoff,
  halfJitterGenerator,
  handleAll,
  type IBackoff,
} from 'cockatiel';
import { DcsError, type FailureReason } from '../protocol/dcs-error';
import { type BreakerLimits, RecentCalls } from './recent-calls';

export interface OriginGateConfig {
  /** The most calls in flight. */
  readonly connections: number;
  /** The most calls that wait for one of them to end. */
  readonly maxQueuedCalls: number;
  readonly breaker: BreakerLimits & {
    /** How long the breaker stays open before one call may probe the server. */
    readonly probeAfterMs: number;
  };
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** The circuit breaker of one origin: `closed` admits calls, `open` rejects them, `half-open` waits for its probe. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** The state of one origin. */
export interface OriginStats {
  readonly breaker: BreakerState;
  /** Calls in flight. */
  readonly running: number;
  /** Calls queued until one of them ends. */
  readonly queued: number;
  /** Milliseconds for which no calls are made because the origin is rate limiting (HTTP 429); 0 if it is not. */
  readonly pausedForMs: number;
}

/** The reasons that count against the server. An answer that excludes a visitor does not. */
const FAILURES: ReadonlySet<DcsError['reason']> = new Set<FailureReason>([
  'timeout',
  'network',
  'http-status',
  'bad-reply',
]);
/** When a probe in flight, or a call that ends, is expected to change the state. */
const SOON_MS = 50;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** Bounds `Retry-After`: a mistake in it must not switch segments off for good. */
const LONGEST_RETRY_AFTER_MS = 600_000;

export class OriginGate {
  readonly #config: OriginGateConfig;
  readonly #bulkhead;
  readonly #breaker;
  #mayProbeAtMs = 0;
  #pausedUntilMs = 0;
  #backoff: IBackoff<unknown> | undefined;

  constructor(config: OriginGateConfig) {
    const { connections, maxQueuedCalls, breaker, nowMs } = config;
    this.#config = config;
    this.#bulkhead = bulkhead(connections, maxQueuedCalls);
    this.#breaker = circuitBreaker(handleAll, {
      breaker: new RecentCalls(breaker, nowMs),
      // Decided here: cockatiel uses the wall clock, which can be set back.
      halfOpenAfter: Number.NEGATIVE_INFINITY,
    });
    this.#breaker.onBreak(() => {
      this.#mayProbeAtMs = nowMs() + breaker.probeAfterMs;
    });
  }

  /** Why a call would not be made now; `undefined` if it would. */
  unavailableReason(): DcsError | undefined {
    return this.#notNow() ?? (this.#isFull() ? OVERLOADED : undefined);
  }

  /** Milliseconds until a call can be made; 0 for now. */
  retryInMs(): number {
    const nowMs = this.#config.nowMs();
    switch (this.unavailableReason()) {
      case undefined:
        return 0;
      case PAUSED:
        return this.#pausedUntilMs - nowMs;
      default:
        return Math.max(SOON_MS, this.#mayProbeAtMs - nowMs);
    }
  }

  /** Whether the breaker is open or half-open. */
  get isBroken(): boolean {
    return this.#breaker.state !== CircuitState.Closed;
  }

  stats(): OriginStats {
    const { connections, maxQueuedCalls, nowMs } = this.#config;
    return {
      breaker: STATES[this.#breaker.state],
      running: connections - this.#bulkhead.executionSlots,
      queued: maxQueuedCalls - this.#bulkhead.queueSlots,
      pausedForMs: Math.max(0, this.#pausedUntilMs - nowMs()),
    };
  }

  /**
   * Makes a call, or queues it. When the breaker is open and due for a probe, this call is the probe.
   * @param signal removes it from the queue
   * @throws {DcsError} by rejection: the failure of the call, or the {@link unavailableReason} that it met
   */
  async run<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await this.#bulkhead.execute(() => this.#runNow(call), signal);
    } catch (error) {
      if (error instanceof BulkheadRejectedError) throw OVERLOADED;
      throw error;
    }
  }

  async #runNow<T>(call: () => Promise<T>): Promise<T> {
    // Others may have failed while it was queued. Also, a half-open breaker would make it wait instead of rejecting it.
    const unavailable = this.#notNow();
    if (unavailable !== undefined) throw unavailable;
    try {
      const { value, neutral } = await this.#breaker.execute(() => settledUnlessFailure(call()));
      if (neutral === undefined) this.#endBackoff();
      else this.#pauseFor(neutral);
      if (neutral !== undefined) throw neutral;
      return value as T;
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw CIRCUIT_OPEN;
      throw error;
    }
  }

  #notNow(): DcsError | undefined {
    const { state } = this.#breaker;
    const nowMs = this.#config.nowMs();
    if (state === CircuitState.HalfOpen || (state === CircuitState.Open && nowMs < this.#mayProbeAtMs)) {
      return CIRCUIT_OPEN;
    }
    return nowMs < this.#pausedUntilMs ? PAUSED : undefined;
  }

  #isFull(): boolean {
    return this.#bulkhead.executionSlots === 0 && this.#bulkhead.queueSlots === 0;
  }

  /** Calls that were in flight together are all rejected with 429; they lengthen the pause only once. */
  #pauseFor({ reason, retryAfterMs }: DcsError): void {
    const nowMs = this.#config.nowMs();
    if (reason !== 'rate-limited') return;
    let pauseMs = retryAfterMs;
    if (pauseMs === undefined) {
      if (nowMs < this.#pausedUntilMs) return;
      this.#backoff = this.#backoff?.next(undefined) ?? BACKOFF.next();
      pauseMs = this.#backoff.duration;
    }
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(pauseMs, LONGEST_RETRY_AFTER_MS));
  }

  #endBackoff(): void {
    if (this.#config.nowMs() >= this.#pausedUntilMs) this.#backoff = undefined;
  }
}

const BACKOFF = new ExponentialBackoff({
  initialDelay: FIRST_PAUSE_MS,
  maxDelay: LONGEST_PAUSE_MS,
  generator: halfJitterGenerator,
});

const STATES: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
};

/** Resolves with errors that say nothing against the server, so that the breaker does not count them as failures. */
async function settledUnlessFailure<T>(call: Promise<T>): Promise<{ value?: T; neutral?: DcsError }> {
  try {
    return { value: await call };
  } catch (error) {
    if (error instanceof DcsError && !FAILURES.has(error.reason)) return { neutral: error };
    throw error;
  }
}

// Created once: while a server is down every page view gets one, and most of an error's cost is its stack.
const CIRCUIT_OPEN = new DcsError('circuit-open', 'Call not made: circuit breaker open.');
const PAUSED = new DcsError('rate-limited', 'Call not made: the DCS is rate limiting (HTTP 429).');
const OVERLOADED = new DcsError('overloaded', 'Call not made: too many calls are queued for this origin.');

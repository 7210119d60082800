/**
 * Owns: whether a call to one origin may be made right now, and how many at a time. A breaker stops calls to a server
 * that fails, a pause those to one that says it has too many, a bulkhead bounds what is in flight and what waits for
 * it. It knows nothing of visitors, sockets or answers.
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
  /** Calls in flight at a time. */
  readonly connections: number;
  /** Calls that wait for one of them to end. */
  readonly maxQueuedCalls: number;
  readonly breaker: BreakerLimits & {
    /** How long an open breaker lets nobody through. */
    readonly probeAfterMs: number;
  };
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** The breaker of one origin: `closed` lets calls through, `open` none, `half-open` waits for one that tries. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** How it stands with one origin. */
export interface OriginStats {
  readonly breaker: BreakerState;
  /** Calls in flight. */
  readonly running: number;
  /** Calls that wait for one of them to end. */
  readonly queued: number;
  /** For how long it is left alone because it said that it has too many calls. */
  readonly pausedForMs: number;
}

/** What says that the server is not well. A visitor whom it will not serve does not. */
const FAILURES: ReadonlySet<DcsError['reason']> = new Set<FailureReason>([
  'timeout',
  'network',
  'http-status',
  'bad-reply',
]);
const SOON_MS = 50;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A server may ask for more; but a slip of it must not switch segments off for good. */
const LONGEST_ASKED_PAUSE_MS = 600_000;

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
      // Ours to decide: cockatiel goes by the wall clock, which can be set back.
      halfOpenAfter: Number.NEGATIVE_INFINITY,
    });
    this.#breaker.onBreak(() => {
      this.#mayProbeAtMs = nowMs() + breaker.probeAfterMs;
    });
  }

  /** Why no call would be made right now. */
  unavailableReason(): DcsError | undefined {
    return this.#notNow() ?? (this.#isFull() ? OVERLOADED : undefined);
  }

  /** In how many milliseconds to come again where no call would be made right now; 0: come. */
  retryInMs(): number {
    const nowMs = this.#config.nowMs();
    switch (this.unavailableReason()) {
      case undefined:
        return 0;
      case PAUSED:
        return this.#pausedUntilMs - nowMs;
      default:
        // What tries the server, or makes room, is on its way.
        return Math.max(SOON_MS, this.#mayProbeAtMs - nowMs);
    }
  }

  /** Whether the breaker is not closed: the server was not well when it was last asked. */
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
   * Makes a call, or has it wait for its turn. Where the breaker is open and may be tried, this call is what tries it.
   * @param signal ends the waiting
   * @throws {DcsError} by rejection: what the call throws, or the {@link unavailableReason} that it has met
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
    // While it waited for its turn, others may have failed. And who enters a half-open breaker would be made to wait.
    const unavailable = this.#notNow();
    if (unavailable !== undefined) throw unavailable;
    try {
      const { value, notServed } = await this.#breaker.execute(() => withoutWhatIsNoFailure(call()));
      if (notServed === undefined) this.#endBackoff();
      else this.#pauseFor(notServed);
      if (notServed !== undefined) throw notServed;
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

  /** The calls that were in flight together are all turned away; that is one reason to pause, and not sixty. */
  #pauseFor({ reason, retryAfterMs }: DcsError): void {
    const nowMs = this.#config.nowMs();
    if (reason !== 'rate-limited') return;
    let pauseMs = retryAfterMs;
    if (pauseMs === undefined) {
      if (nowMs < this.#pausedUntilMs) return;
      this.#backoff = this.#backoff?.next(undefined) ?? BACKOFF.next();
      pauseMs = this.#backoff.duration;
    }
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(pauseMs, LONGEST_ASKED_PAUSE_MS));
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

/** To the breaker an answer that serves nobody is a call that went well. */
async function withoutWhatIsNoFailure<T>(call: Promise<T>): Promise<{ value?: T; notServed?: DcsError }> {
  try {
    return { value: await call };
  } catch (error) {
    if (error instanceof DcsError && !FAILURES.has(error.reason)) return { notServed: error };
    throw error;
  }
}

// Made once: while a server is down they are met by every page view, and most of an error's cost is its stack.
const CIRCUIT_OPEN = new DcsError('circuit-open', 'no call was made: too many of the last ones to this origin failed');
const PAUSED = new DcsError('rate-limited', 'no call was made: the DCS has said that it gets too many');
const OVERLOADED = new DcsError('overloaded', 'no call was made: too many are waiting for this origin');

/**
 * Owns: whether the shared store is asked at all, and that nobody waits for it. A command is given only to a store that is
 * ready and was well lately, is waited for as long as a command may take and no longer, and never rejects: what failed,
 * came too late or was not sent is `undefined`. Next: shared-tier.ts, which says when to try again.
 */
import { CircuitBreaker } from '../dcs/flow/circuit-breaker';
import type { Clock } from '../dcs/flow/clock';
import { Deadlines } from '../dcs/flow/deadlines';
import type { SharedStore, StoreFailure } from './shared-store';

/** Of the commands of two seconds, half have failed, and at least five. Only what was sent counts. */
const LIMITS = { windowMs: 2_000, minCalls: 5, failurePercent: 50, probeAfterMs: 0 };
/** After that it is left alone for a second. */
const REST_MS = 1_000;
/** These do not pass by themselves within a second, and one is enough to know. */
const IS_DOWN: ReadonlySet<StoreFailure> = new Set(['disconnected', 'read-only', 'loading', 'cluster-down'] as const);
/** Late enough for what has arrived while the process was busy. */
const NEXT_TURN_MS = 0;

export class GuardedStore {
  readonly #store: SharedStore;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #failures: Record<StoreFailure, number> = {
    timeout: 0,
    disconnected: 0,
    'read-only': 0,
    loading: 0,
    'cluster-down': 0,
    'out-of-memory': 0,
    other: 0,
  };
  #breaker: CircuitBreaker;
  #isUp = true;
  #isTrying = false;
  #mayTryAtMs = 0;

  constructor(store: SharedStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#deadlines = new Deadlines(store.timeoutMs, clock);
    this.#breaker = new CircuitBreaker(LIMITS, () => clock.nowMs());
  }

  /** Commands that failed, by kind. */
  get failures(): Readonly<Record<StoreFailure, number>> {
    return { ...this.#failures };
  }

  /** Whether a command would be sent. */
  get isUp(): boolean {
    if (this.#isUp && !this.#store.isReady) this.#goDown(0);
    return this.#isUp;
  }

  /** Whether it is down, and a command may be sent to see if it still is. */
  get mayTry(): boolean {
    return !this.isUp && !this.#isTrying && this.#store.isReady && this.#clock.nowMs() >= this.#mayTryAtMs;
  }

  /**
   * Gives a command, if the store is up.
   * @param late told what comes after it was not waited for any longer
   */
  async run<T>(command: (store: SharedStore) => Promise<T>, late?: (value: T) => void): Promise<T | undefined> {
    return this.isUp ? this.#send(command, late) : undefined;
  }

  /**
   * Gives one command to a store that is down, and has it up again if that succeeds.
   * @param up called then, before anybody else gives a command
   */
  async try<T>(command: (store: SharedStore) => Promise<T>, up: (value: T) => void): Promise<void> {
    this.#isTrying = true;
    const value = await this.#send(command);
    this.#isTrying = false;
    if (value === undefined) {
      this.#goDown(REST_MS);
      return;
    }
    this.#breaker = new CircuitBreaker(LIMITS, () => this.#clock.nowMs());
    this.#isUp = true;
    up(value);
  }

  #send<T>(command: (store: SharedStore) => Promise<T>, late?: (value: T) => void): Promise<T | undefined> {
    return new Promise((resolve) => {
      let isOver = false;
      const fail = (failure: StoreFailure) => {
        isOver = true;
        this.#failed(failure);
        resolve(undefined);
      };
      // A process that was busy finds its timers due before it looks at what has arrived meanwhile.
      const expired = () => this.#clock.after(NEXT_TURN_MS, () => isOver || fail('timeout'), false);
      const deadline = this.#deadlines.set(expired);
      const settled = () => {
        this.#deadlines.clear(deadline);
        const wasOver = isOver;
        isOver = true;
        return wasOver;
      };
      promised(command, this.#store).then(
        (value) => {
          if (settled()) {
            late?.(value);
            return;
          }
          this.#breaker.end('success', false);
          resolve(value);
        },
        (error: unknown) => {
          if (!settled()) fail(this.#failureOf(error));
        },
      );
    });
  }

  #failed(failure: StoreFailure): void {
    this.#failures[failure]++;
    if (IS_DOWN.has(failure)) {
      this.#goDown(REST_MS);
      return;
    }
    // It has answered. Reads go on where there is no room for more.
    const outcome = failure === 'out-of-memory' ? 'success' : 'failure';
    if (this.#breaker.end(outcome, false)) this.#goDown(REST_MS);
  }

  #goDown(restMs: number): void {
    this.#isUp = false;
    this.#mayTryAtMs = this.#clock.nowMs() + restMs;
  }

  /** A store may be anybody's. */
  #failureOf(error: unknown): StoreFailure {
    try {
      const failure = this.#store.failureOf?.(error) ?? 'other';
      return Object.hasOwn(this.#failures, failure) ? failure : 'other';
    } catch {
      return 'other';
    }
  }
}

/** What throws instead of rejecting rejects too. */
async function promised<T>(command: (store: SharedStore) => Promise<T>, store: SharedStore): Promise<T> {
  return command(store);
}

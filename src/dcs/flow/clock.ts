/**
 * Owns: the time that flow control goes by. One object, so that the models of the tests can let hours pass in a
 * millisecond.
 */
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Monotonic, in milliseconds. */
  nowMs(): number;
  /**
   * Calls back once, after this many milliseconds or a little later. The function that it returns cancels that.
   * @param keepsAlive whether the process stays alive for it
   */
  after(delayMs: number, callback: () => void, keepsAlive: boolean): () => void;
}

/** The longest delay of a timer of Node. */
const MAX_DELAY_MS = 2_147_483_647;

export const PROCESS_CLOCK: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback, keepsAlive) {
    // Timers fire up to a millisecond early by a clock with fractions: rounded up, what was waited for is over.
    const timer = setTimeout(callback, Math.min(MAX_DELAY_MS, Math.max(0, Math.ceil(delayMs))));
    if (!keepsAlive) timer.unref();
    return () => clearTimeout(timer);
  },
};

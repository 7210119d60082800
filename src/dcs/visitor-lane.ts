/**
 * Owns: the rule that Adobe gives for calls about one visitor: never two at once, never in rapid succession (Audience
 * Manager docs, "DCS API race conditions"). Every call for a visitor goes through here. Ids that break the rule are
 * denylisted for good, with no way back.
 */
import { LRUCache } from 'lru-cache';
import { DcsError } from './dcs-error';
import type { DcsReply } from './reply';

export interface VisitorLaneConfig {
  /** How long no call is made for a visitor after one that failed, in milliseconds from its end. */
  readonly minIntervalMs: number;
  /** The same after a call that the DCS answered without data. */
  readonly noDataIntervalMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

interface Held {
  readonly error: DcsError;
  readonly untilMs: number;
}

/** Failures are remembered for seconds only, denylisted ids as long as the process lives: both within bounds. */
const MAX_HELD = 10_000;
const MAX_DENYLISTED = 100_000;

export class VisitorLane {
  readonly #config: VisitorLaneConfig;
  readonly #inFlight = new Map<string, Promise<DcsReply>>();
  readonly #held = new LRUCache<string, Held>({ max: MAX_HELD });
  /** The code of the DCS by visitor: an error with its stack would take ten times the memory. */
  readonly #denylisted = new LRUCache<string, number>({ max: MAX_DENYLISTED });

  constructor(config: VisitorLaneConfig) {
    this.#config = config;
  }

  /** Calls in flight. */
  get size(): number {
    return this.#inFlight.size;
  }

  /** Why no call would be made for this visitor right now: the failure of the last one. */
  refusal(key: string): DcsError | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined) return new DcsError('denylisted', `the DCS answered error ${code}`, { dcsCode: code });
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    if (this.#config.nowMs() < held.untilMs) return held.error;
    this.#held.delete(key);
    return undefined;
  }

  /** Joins the lookup that is on its way for this visitor, or makes one, or rejects with the {@link refusal}. */
  lookup(key: string, call: () => Promise<DcsReply>): Promise<DcsReply> {
    const inFlight = this.#inFlight.get(key);
    if (inFlight !== undefined) return inFlight;
    const refusal = this.refusal(key);
    if (refusal !== undefined) return Promise.reject(refusal);

    const lookup = call().then(
      (reply) => {
        this.#inFlight.delete(key);
        return reply;
      },
      (error: DcsError) => {
        this.#inFlight.delete(key);
        this.#note(key, error);
        throw error;
      },
    );
    this.#inFlight.set(key, lookup);
    return lookup;
  }

  #note(key: string, error: DcsError): void {
    switch (error.reason) {
      case 'denylisted':
        this.#denylisted.set(key, error.dcsCode as number);
        return;
      case 'opted-out':
      case 'invalid-id':
      case 'refused':
      case 'closed':
        // An answer, not a failure: whoever asked remembers it for as long as it holds.
        return;
      case 'circuit-open':
      case 'overloaded':
        // No call was made.
        return;
      default: {
        const { nowMs, minIntervalMs, noDataIntervalMs } = this.#config;
        const untilMs = nowMs() + (error.noData ? noDataIntervalMs : minIntervalMs);
        this.#dropWhatIsOver();
        this.#held.set(key, { error, untilMs });
      }
    }
  }

  /** Errors are large. Those of visitors who do not come again would stay until others push them out. */
  #dropWhatIsOver(): void {
    for (;;) {
      const { value: oldest } = this.#held.rkeys().next();
      const held = oldest === undefined ? undefined : this.#held.peek(oldest);
      if (oldest === undefined || held === undefined || this.#config.nowMs() < held.untilMs) return;
      this.#held.delete(oldest);
    }
  }
}

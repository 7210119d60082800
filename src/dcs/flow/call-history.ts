/**
 * Owns: what recent calls about a visitor mean for the next one. Adobe forbids rapid calls about one visitor and denylists
 * ids that are sent too often, for good (Audience Manager docs, "DCS API race conditions"; "DCS error codes": 306, 307).
 * So a failed call is followed by a pause, and calls per minute are bounded, whatever anybody does.
 */
import { LRUCache } from 'lru-cache';
import type { DcsFailure } from '../protocol/dcs-error';

export interface CallHistoryConfig {
  /** How long no call is made about a visitor after one that failed, in milliseconds from its end. */
  readonly failureCooldownMs: number;
  /** The same after a call that the DCS answered without data. */
  readonly noDataCooldownMs: number;
  /** Calls about one visitor within any minute. */
  readonly maxCallsPerMinute: number;
  /** Visitors of each kind whose calls are remembered. @default 20 000, and 100 000 denylisted ones */
  readonly maxCalledVisitors?: number | undefined;
}

interface Cooldown {
  readonly failure: DcsFailure;
  readonly untilMs: number;
}

interface Calls {
  /** When the calls of the last minute were sent, oldest first. */
  readonly sentAtMs: readonly number[];
  readonly cooldown: Cooldown | undefined;
}

const MINUTE_MS = 60_000;
/**
 * Of each kind the least recently called are dropped first. Most visitors are called about once, and not again within a
 * minute; they must not push out those who are called about often, however many they are.
 */
const MAX_CALLED = 20_000;
/** More than one per call, so that expired entries are dropped faster than new ones are added. */
const DROPPED_AT_A_TIME = 2;
const MAX_DENYLISTED = 100_000;

export class CallHistory {
  readonly #config: CallHistoryConfig;
  readonly #nowMs: () => number;
  /** When the only call was sent that matters. A number is all that it takes. */
  readonly #once: LRUCache<string, number>;
  /** Of visitors with more calls, or one that failed. */
  readonly #often: LRUCache<string, Calls>;
  /** The code of the DCS by visitor. */
  readonly #denylisted: LRUCache<string, number>;

  constructor(config: CallHistoryConfig, nowMs: () => number) {
    this.#config = config;
    this.#nowMs = nowMs;
    const { maxCalledVisitors } = config;
    this.#once = new LRUCache({ max: maxCalledVisitors ?? MAX_CALLED });
    this.#often = new LRUCache({ max: maxCalledVisitors ?? MAX_CALLED });
    this.#denylisted = new LRUCache({ max: maxCalledVisitors ?? MAX_DENYLISTED });
  }

  /** Why no call may be made about this visitor now; `undefined` if one may. */
  unavailable(key: string): DcsFailure | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined) return denylisted(code);
    const nowMs = this.#nowMs();
    const { sentAtMs, cooldown } = this.#callsOf(key);
    if (cooldown !== undefined && nowMs < cooldown.untilMs) return cooldown.failure;
    return this.#budgetFreeAtMs(sentAtMs, nowMs) > nowMs ? TOO_MANY_CALLS : undefined;
  }

  /** Milliseconds until a call may be made about this visitor; 0 if one may now; `Infinity` for a denylisted one. */
  retryInMs(key: string): number {
    if (this.#denylisted.has(key)) return Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs();
    const { sentAtMs, cooldown } = this.#callsOf(key);
    return Math.max(0, (cooldown?.untilMs ?? 0) - nowMs, this.#budgetFreeAtMs(sentAtMs, nowMs) - nowMs);
  }

  /** A call about this visitor is sent now. */
  sent(key: string): void {
    const nowMs = this.#nowMs();
    dropOld(this.#once, (sentAtMs) => sentAtMs + MINUTE_MS <= nowMs);
    dropOld(this.#often, ({ sentAtMs, cooldown }) => {
      return (sentAtMs.at(-1) ?? 0) + MINUTE_MS <= nowMs && (cooldown?.untilMs ?? 0) <= nowMs;
    });
    const { sentAtMs, cooldown } = this.#callsOf(key);
    const recent = sentAtMs.filter((atMs) => atMs + MINUTE_MS > nowMs);
    if (recent.length === 0 && cooldown === undefined) {
      this.#often.delete(key);
      // Rounded up: whole numbers take no memory of their own, and a minute must not become shorter.
      this.#once.set(key, Math.ceil(nowMs));
      return;
    }
    this.#once.delete(key);
    this.#often.set(key, { sentAtMs: [...recent, nowMs], cooldown });
  }

  /** A call about this visitor has failed, or was answered without data. */
  failed(key: string, failure: DcsFailure): void {
    const { failureCooldownMs, noDataCooldownMs } = this.#config;
    const untilMs = this.#nowMs() + (failure.noData ? noDataCooldownMs : failureCooldownMs);
    // Plain data: an error keeps its stack, and with it ten times the memory.
    const { reason, message, dcsCode, noData } = failure;
    this.#coolDown(key, { failure: { reason, message, dcsCode, noData }, untilMs });
  }

  /** Another process has found that no call may be made about this visitor for now. */
  pause(key: string, failure: DcsFailure, forMs: number): void {
    this.#coolDown(key, { failure, untilMs: this.#nowMs() + forMs });
  }

  /** Why no call is made about this visitor after one that failed, and for how long. */
  pauseOf(key: string): { readonly failure: DcsFailure; readonly forMs: number } | undefined {
    const cooldown = this.#often.peek(key)?.cooldown;
    const forMs = cooldown === undefined ? 0 : Math.ceil(cooldown.untilMs - this.#nowMs());
    return cooldown !== undefined && forMs > 0 ? { failure: cooldown.failure, forMs } : undefined;
  }

  /** The DCS takes no more calls about this visitor, ever. */
  denylist(key: string, code: number): void {
    this.#denylisted.set(key, code);
    this.#once.delete(key);
    this.#often.delete(key);
  }

  #coolDown(key: string, next: Cooldown): void {
    const { untilMs } = next;
    const { sentAtMs, cooldown } = this.#callsOf(key);
    // An opt-out does not wait for a cooldown, and must not shorten it when it fails.
    if (cooldown !== undefined && cooldown.untilMs >= untilMs) return;
    this.#once.delete(key);
    this.#often.set(key, { sentAtMs, cooldown: next });
  }

  #callsOf(key: string): Calls {
    const often = this.#often.peek(key);
    if (often !== undefined) return often;
    const once = this.#once.peek(key);
    return once === undefined ? NO_CALLS : { sentAtMs: [once], cooldown: undefined };
  }

  #budgetFreeAtMs(sentAtMs: readonly number[], nowMs: number): number {
    const { maxCallsPerMinute } = this.#config;
    if (sentAtMs.length < maxCallsPerMinute) return nowMs;
    return (sentAtMs[sentAtMs.length - maxCallsPerMinute] as number) + MINUTE_MS;
  }
}

/** Visitors who do not return would stay until others push them out. */
function dropOld<V extends number | object>(visitors: LRUCache<string, V>, isOver: (value: V) => boolean): void {
  for (let n = 0; n < DROPPED_AT_A_TIME; n++) {
    const { value: oldest } = visitors.rkeys().next();
    const value = oldest === undefined ? undefined : visitors.peek(oldest);
    if (oldest === undefined || value === undefined || !isOver(value)) return;
    visitors.delete(oldest);
  }
}

const NO_CALLS: Calls = { sentAtMs: [], cooldown: undefined };

function denylisted(code: number): DcsFailure {
  return {
    reason: 'denylisted',
    message: `The DCS answered with error ${code}.`,
    dcsCode: code,
  };
}

export const TOO_MANY_CALLS: DcsFailure = {
  reason: 'rate-limited',
  message: 'Call not made: dcs.maxCallsPerMinute calls were made about this visitor within the last minute.',
};

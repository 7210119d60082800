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
}

interface Cooldown {
  readonly failure: DcsFailure;
  readonly untilMs: number;
}

interface Recent {
  /** When the calls of the last minute were sent, oldest first. */
  sentAtMs: number[];
  cooldown: Cooldown | undefined;
}

const MINUTE_MS = 60_000;
/** The least recently called are dropped first: an id that is called often never is. */
const MAX_VISITORS = 100_000;
/** More than one per call, so that expired entries are dropped faster than new ones are added. */
const DROPPED_AT_A_TIME = 2;
const MAX_DENYLISTED = 100_000;

export class CallHistory {
  readonly #config: CallHistoryConfig;
  readonly #nowMs: () => number;
  readonly #recent = new LRUCache<string, Recent>({ max: MAX_VISITORS });
  /** The code of the DCS by visitor. */
  readonly #denylisted = new LRUCache<string, number>({ max: MAX_DENYLISTED });

  constructor(config: CallHistoryConfig, nowMs: () => number) {
    this.#config = config;
    this.#nowMs = nowMs;
  }

  /** Why no call may be made about this visitor now; `undefined` if one may. */
  unavailable(key: string): DcsFailure | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined) return denylisted(code);
    const recent = this.#recent.peek(key);
    if (recent === undefined) return undefined;
    const nowMs = this.#nowMs();
    if (recent.cooldown !== undefined && nowMs < recent.cooldown.untilMs) return recent.cooldown.failure;
    return this.#budgetFreeAtMs(recent, nowMs) > nowMs ? TOO_MANY_CALLS : undefined;
  }

  /** Milliseconds until a call may be made about this visitor; 0 if one may now; `Infinity` for a denylisted one. */
  retryInMs(key: string): number {
    if (this.#denylisted.has(key)) return Number.POSITIVE_INFINITY;
    const recent = this.#recent.peek(key);
    if (recent === undefined) return 0;
    const nowMs = this.#nowMs();
    const cooledDownAtMs = recent.cooldown?.untilMs ?? 0;
    return Math.max(0, cooledDownAtMs - nowMs, this.#budgetFreeAtMs(recent, nowMs) - nowMs);
  }

  /** A call about this visitor is sent now. */
  sent(key: string): void {
    const nowMs = this.#nowMs();
    this.#dropOld(nowMs);
    const recent = this.#recent.get(key);
    if (recent === undefined) {
      this.#recent.set(key, { sentAtMs: [nowMs], cooldown: undefined });
      return;
    }
    this.#forgetOldCalls(recent, nowMs);
    recent.sentAtMs.push(nowMs);
  }

  /** A call about this visitor has failed, or was answered without data. */
  failed(key: string, failure: DcsFailure): void {
    const { failureCooldownMs, noDataCooldownMs } = this.#config;
    const untilMs = this.#nowMs() + (failure.noData ? noDataCooldownMs : failureCooldownMs);
    const recent = this.#recent.get(key);
    // Plain data: an error keeps its stack, and with it ten times the memory.
    const { reason, message, dcsCode, noData } = failure;
    const cooldown = { failure: { reason, message, dcsCode, noData }, untilMs };
    if (recent === undefined) this.#recent.set(key, { sentAtMs: [], cooldown });
    else recent.cooldown = cooldown;
  }

  /** The DCS takes no more calls about this visitor, ever. */
  denylist(key: string, code: number): void {
    this.#denylisted.set(key, code);
    this.#recent.delete(key);
  }

  #budgetFreeAtMs(recent: Recent, nowMs: number): number {
    const { sentAtMs } = recent;
    const { maxCallsPerMinute } = this.#config;
    if (sentAtMs.length < maxCallsPerMinute) return nowMs;
    return (sentAtMs[sentAtMs.length - maxCallsPerMinute] as number) + MINUTE_MS;
  }

  #forgetOldCalls(recent: Recent, nowMs: number): void {
    const { sentAtMs } = recent;
    let old = 0;
    while (old < sentAtMs.length && (sentAtMs[old] as number) + MINUTE_MS <= nowMs) old++;
    if (old > 0) recent.sentAtMs = sentAtMs.slice(old);
  }

  /** Drops entries that have expired: a visitor who does not return would stay until 100 000 others have come. */
  #dropOld(nowMs: number): void {
    for (let n = 0; n < DROPPED_AT_A_TIME; n++) {
      const { value: oldest } = this.#recent.rkeys().next();
      const recent = oldest === undefined ? undefined : this.#recent.peek(oldest);
      if (oldest === undefined || recent === undefined) return;
      const { sentAtMs, cooldown } = recent;
      if (Math.max((sentAtMs.at(-1) ?? 0) + MINUTE_MS, cooldown?.untilMs ?? 0) > nowMs) return;
      this.#recent.delete(oldest);
    }
  }
}

function denylisted(code: number): DcsFailure {
  return {
    reason: 'denylisted',
    message: `The DCS answered with error ${code}.`,
    dcsCode: code,
  };
}

const TOO_MANY_CALLS: DcsFailure = {
  reason: 'rate-limited',
  message: 'Call not made: dcs.maxCallsPerMinute calls were made about this visitor within the last minute.',
};

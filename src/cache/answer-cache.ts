/**
 * Owns: the cached answers of each visitor, and how fresh they are. Generic: it knows nothing of segments. Next:
 * scan-resistant-lru.ts.
 */
import { ScanResistantLru, type Seen } from './scan-resistant-lru';

/** What can be cached. The ttl is the value's own, since it depends on the answer. */
export interface Stamped extends Seen {
  /** How long the value stays fresh. */
  readonly ttlMs: number;
  /** Whether it may be served as stale after its ttl. */
  readonly keptStale: boolean;
  /** Whether it answers every variant of the question. */
  readonly answersAll: boolean;
  /** Whether it stays when the visitor withdraws consent. */
  readonly outlivesWithdrawal: boolean;
  /** When it was stored, by the cache's clock. Set by the cache. */
  storedAtMs: number;
  /** What the question contained besides the visitor; answers to different variants are kept apart. Set by the cache. */
  variant: string;
  /** The visitor's answer to another variant, a linked list. Set by the cache. */
  other: this | undefined;
}

/**
 * - `fresh`: within its ttl;
 * - `stale`: served at once, refreshed in the background;
 * - `late`: served if a refresh fails or does not finish in time;
 * - `expired`: not served.
 */
export type Freshness = 'fresh' | 'stale' | 'late' | 'expired';

export interface AnswerCacheConfig {
  readonly maxVisitors: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** Answers kept per visitor: logged in, logged out, with and without a consent string. */
const MAX_VARIANTS = 4;

export class AnswerCache<V extends Stamped> {
  readonly #config: AnswerCacheConfig;
  readonly #store: ScanResistantLru<V>;

  constructor(config: AnswerCacheConfig) {
    this.#config = config;
    this.#store = new ScanResistantLru(config.maxVisitors, config.nowMs);
  }

  /** Number of visitors in the cache. */
  get size(): number {
    return this.#store.size;
  }

  get(key: string, variant: string): V | undefined {
    for (let value = this.#store.get(key); value !== undefined; value = value.other) {
      if (value.variant === variant || value.answersAll) return value;
    }
    return undefined;
  }

  freshness(value: V, nowMs: number): Freshness {
    const { staleWhileRevalidateMs, staleIfErrorMs } = this.#config;
    const pastTtlMs = nowMs - value.storedAtMs - value.ttlMs;
    if (pastTtlMs < 0) return 'fresh';
    if (!value.keptStale) return 'expired';
    if (pastTtlMs < staleWhileRevalidateMs) return 'stale';
    return pastTtlMs < staleIfErrorMs ? 'late' : 'expired';
  }

  /**
   * Stores an answer in the place of the one to the same question.
   * @param key detached from the request's memory, see {@link detachedString}
   */
  set(key: string, variant: string, value: V): void {
    value.storedAtMs = this.#config.nowMs();
    value.variant = variant;
    this.#store.set(key, linked(value, this.#store.peek(key)));
  }

  /** Whether anything is stored about a visitor, without counting it as a visit. */
  has(key: string): boolean {
    return this.#store.peek(key) !== undefined;
  }

  /** Deletes everything about a visitor. */
  forget(key: string): void {
    this.#store.delete(key);
  }

  /** Deletes what a visitor who withdraws consent does not want stored; what outlives that stays. */
  withdraw(key: string): void {
    for (let value = this.#store.peek(key); value !== undefined; value = value.other) {
      if (!value.outlivesWithdrawal) continue;
      value.other = undefined;
      this.#store.set(key, value);
      return;
    }
    this.#store.delete(key);
  }
}

/** Links the newest answer to those of other variants, {@link MAX_VARIANTS} in all. */
function linked<V extends Stamped>(newest: V, cached: V | undefined): V {
  let last = newest;
  let count = 1;
  for (let each = cached; each !== undefined && count < MAX_VARIANTS; each = each.other) {
    if (each.variant === newest.variant || each.answersAll || newest.answersAll) continue;
    last.other = each;
    last = each;
    count++;
  }
  last.other = undefined;
  return newest;
}

/**
 * Owns: which answers are remembered per visitor, and how fresh they are. Generic: it knows nothing of segments.
 */
import { ScanResistantLru } from './scan-resistant-lru';

/** What can be remembered. `ttlMs` comes with the value, since it depends on what the answer was. */
export interface Stamped {
  /** For how long the value is `fresh`. */
  readonly ttlMs: number;
  /** Whether it may be served past its ttl. */
  readonly keptStale: boolean;
  /** Whether it is the answer to every question about the visitor. */
  readonly answersAll: boolean;
  /** Whether it is kept when the visitor withdraws consent. */
  readonly outlivesWithdrawal: boolean;
  /** When it was stored, by the cache's clock. Set by the cache. */
  storedAtMs: number;
  /** What else went into the question about the visitor: an answer to another one is another answer. Set by the cache. */
  variant: string;
  /** An answer about the same visitor to another question. Set by the cache. */
  other: this | undefined;
}

/**
 * - `fresh`: within its ttl;
 * - `stale`: serve it, and refresh it behind the visitor's back;
 * - `late`: wait for a refresh, and serve it if none comes;
 * - `expired`: not to be served.
 */
export type Freshness = 'fresh' | 'stale' | 'late' | 'expired';

export interface AnswerCacheConfig {
  readonly maxVisitors: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** So many answers are kept per visitor: logged in, logged out, with and without a consent string. */
const MAX_VARIANTS = 4;

export class AnswerCache<V extends Stamped> {
  readonly #config: AnswerCacheConfig;
  readonly #store: ScanResistantLru<V>;

  constructor(config: AnswerCacheConfig) {
    this.#config = config;
    this.#store = new ScanResistantLru(config.maxVisitors);
  }

  /** Visitors remembered. */
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
   * Remembers an answer, in the place of the one to the same question.
   * @param key a copy that shares no memory with a request, see `detachedString`
   */
  set(key: string, variant: string, value: V): void {
    value.storedAtMs = this.#config.nowMs();
    value.variant = variant;
    this.#store.set(key, withOthers(value, this.#store.peek(key)));
  }

  /** Whether anything is remembered about a visitor, without taking it for a visit. */
  has(key: string): boolean {
    return this.#store.peek(key) !== undefined;
  }

  /** Forgets all about a visitor. */
  forget(key: string): void {
    this.#store.delete(key);
  }

  /** Forgets what the visitor does not want to be known; what outlives that stays. */
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

/** The newest answer first, then those to other questions, as many as are kept. */
function withOthers<V extends Stamped>(newest: V, known: V | undefined): V {
  let last = newest;
  let count = 1;
  for (let each = known; each !== undefined && count < MAX_VARIANTS; each = each.other) {
    if (each.variant === newest.variant || each.answersAll || newest.answersAll) continue;
    last.other = each;
    last = each;
    count++;
  }
  last.other = undefined;
  return newest;
}

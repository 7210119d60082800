/**
 * Owns: which visitor is evicted when the store is full. Visitors seen once go first, so that a flood of ids that never come
 * back cannot evict returning visitors.
 */
import { LRUCache } from 'lru-cache';
import { detachedString } from './detached-string';

/** Share of the store reserved for newcomers, so that they can become regulars. */
const NEWCOMERS_SHARE = 1 / 20;
/** The requests of one page come within this time: only after it, a visitor has come back. */
const SAME_VISIT_MS = 5_000;

export interface Seen {
  /** When the visitor's first value was stored, by the store's clock. Set by the store. */
  firstSeenMs: number;
}

export class ScanResistantLru<V extends Seen> {
  readonly #maxVisitors: number;
  readonly #minNewcomers: number;
  readonly #nowMs: () => number;
  /** Visitors who have not come back yet. They may fill the room that regulars leave. */
  readonly #newcomers: LRUCache<string, V>;
  /** Visitors who have come back. */
  readonly #regulars: LRUCache<string, V>;

  /** @param nowMs a monotonic clock */
  constructor(maxVisitors: number, nowMs: () => number) {
    this.#maxVisitors = maxVisitors;
    this.#nowMs = nowMs;
    this.#minNewcomers = Math.max(1, Math.floor(maxVisitors * NEWCOMERS_SHARE));
    // One more than fits, since eviction comes after insertion.
    this.#newcomers = new LRUCache({ max: maxVisitors + 1 });
    this.#regulars = new LRUCache({ max: maxVisitors });
  }

  get size(): number {
    return this.#newcomers.size + this.#regulars.size;
  }

  /** A hit makes a newcomer a regular, unless it is part of the first visit. */
  get(key: string): V | undefined {
    const regular = this.#regulars.get(key);
    if (regular !== undefined) return regular;
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return undefined;
    if (this.#nowMs() - newcomer.firstSeenMs < SAME_VISIT_MS) return newcomer;
    this.#newcomers.delete(key);
    this.#regulars.set(detachedString(key), newcomer);
    return newcomer;
  }

  /** Like {@link get}, without counting as a visit. */
  peek(key: string): V | undefined {
    return this.#regulars.peek(key) ?? this.#newcomers.peek(key);
  }

  /** @param key a {@link detachedString detached} string */
  set(key: string, value: V): void {
    // Rounded: whole numbers take no memory of their own.
    value.firstSeenMs = this.peek(key)?.firstSeenMs ?? Math.ceil(this.#nowMs());
    if (this.#regulars.has(key)) this.#regulars.set(key, value);
    else this.#newcomers.set(key, value);
    if (this.size > this.#maxVisitors) this.#evictOne();
  }

  delete(key: string): void {
    this.#newcomers.delete(key);
    this.#regulars.delete(key);
  }

  /** Evicts the least recently seen visitor. */
  #evictOne(): void {
    const store = this.#newcomers.size > this.#minNewcomers ? this.#newcomers : this.#regulars;
    store.pop();
  }
}

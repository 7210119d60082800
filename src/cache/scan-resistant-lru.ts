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

export interface ScanResistantLruConfig<V> {
  readonly maxVisitors: number;
  readonly maxBytes: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** What a visitor counts for in `maxBytes`. */
  readonly bytesOf: (key: string, value: V) => number;
  /** When the visitor's first value was stored, by that clock. */
  readonly firstSeenMsOf: (value: V) => number;
}

export class ScanResistantLru<V extends {}> {
  readonly #config: ScanResistantLruConfig<V>;
  readonly #minNewcomers: number;
  /** Visitors who have not come back yet. They may fill the room that regulars leave. */
  readonly #newcomers: LRUCache<string, V>;
  /** Visitors who have come back. */
  readonly #regulars: LRUCache<string, V>;
  #bytes = 0;

  constructor(config: ScanResistantLruConfig<V>) {
    const { maxVisitors } = config;
    this.#config = config;
    this.#minNewcomers = Math.max(1, Math.floor(maxVisitors * NEWCOMERS_SHARE));
    // One more than fits, since eviction comes after insertion.
    this.#newcomers = new LRUCache({ max: maxVisitors + 1 });
    this.#regulars = new LRUCache({ max: maxVisitors });
  }

  get size(): number {
    return this.#newcomers.size + this.#regulars.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A hit makes a newcomer a regular, unless it is part of the first visit. */
  get(key: string): V | undefined {
    const regular = this.#regulars.get(key);
    if (regular !== undefined) return regular;
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return undefined;
    if (this.#config.nowMs() - this.#config.firstSeenMsOf(newcomer) < SAME_VISIT_MS) return newcomer;
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
    const { bytesOf, maxVisitors, maxBytes } = this.#config;
    const replaced = this.peek(key);
    this.#bytes += bytesOf(key, value) - (replaced === undefined ? 0 : bytesOf(key, replaced));
    if (this.#regulars.has(key)) this.#regulars.set(key, value);
    else this.#newcomers.set(key, value);
    while (this.size > maxVisitors) this.#evictOne(this.#minNewcomers);
    // Here newcomers have no reserve, or a few large answers about them would evict everybody else.
    while (this.#bytes > maxBytes && this.size > 0) this.#evictOne(1);
  }

  delete(key: string): void {
    const value = this.peek(key);
    if (value === undefined) return;
    this.#bytes -= this.#config.bytesOf(key, value);
    this.#newcomers.delete(key);
    this.#regulars.delete(key);
  }

  /** Evicts the least recently seen newcomer, or regular when there are only so many newcomers left. */
  #evictOne(minNewcomers: number): void {
    const isNewcomer = this.#newcomers.size > minNewcomers || this.#regulars.size === 0;
    const store = isNewcomer ? this.#newcomers : this.#regulars;
    for (const key of store.rkeys()) {
      this.delete(key);
      return;
    }
  }
}

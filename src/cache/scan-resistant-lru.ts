/**
 * Owns: which visitor is evicted when the store is full. Visitors seen once go first, so that a flood of ids that never come
 * back cannot evict returning visitors.
 */
import { LRUCache } from 'lru-cache';
import { detachedString } from './detached-string';

/** Share of the store, in visitors and in bytes, that is reserved for newcomers, so that they can become regulars. */
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
  readonly #minNewcomerBytes: number;
  /**
   * Visitors who have not come back yet, in the order in which they came. They may fill the room that regulars leave. A `Map`,
   * which takes memory for those that are there and not for as many as might be.
   */
  readonly #newcomers = new Map<string, V>();
  /**
   * Goes on where it has stopped, as a new iterator would walk over all that were evicted before. It never comes to an end: it
   * is asked only when there is a newcomer, and all newcomers are behind it.
   */
  #oldestNewcomers = this.#newcomers.keys();
  #goneSinceFirst = 0;
  /** Visitors who have come back. */
  readonly #regulars: LRUCache<string, V>;
  #newcomerBytes = 0;
  #regularBytes = 0;

  constructor(config: ScanResistantLruConfig<V>) {
    const { maxVisitors, maxBytes } = config;
    this.#config = config;
    this.#minNewcomers = Math.max(1, Math.floor(maxVisitors * NEWCOMERS_SHARE));
    this.#minNewcomerBytes = Math.floor(maxBytes * NEWCOMERS_SHARE);
    this.#regulars = new LRUCache({ max: maxVisitors });
  }

  get size(): number {
    return this.#newcomers.size + this.#regulars.size;
  }

  get bytes(): number {
    return this.#newcomerBytes + this.#regularBytes;
  }

  /** A hit makes a newcomer a regular, unless it is part of the first visit. */
  get(key: string): V | undefined {
    const regular = this.#regulars.get(key);
    if (regular !== undefined) return regular;
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return undefined;
    if (this.#config.nowMs() - this.#config.firstSeenMsOf(newcomer) < SAME_VISIT_MS) return newcomer;
    this.delete(key);
    this.#regulars.set(detachedString(key), newcomer);
    this.#regularBytes += this.#config.bytesOf(key, newcomer);
    return newcomer;
  }

  /** Like {@link get}, without counting as a visit. */
  peek(key: string): V | undefined {
    return this.#regulars.peek(key) ?? this.#newcomers.get(key);
  }

  /**
   * A value that would take more than the newcomers' share of the bytes is not stored: it would evict all others.
   * @param key a {@link detachedString detached} string
   */
  set(key: string, value: V): void {
    const { maxVisitors, maxBytes, bytesOf } = this.#config;
    const isRegular = this.#regulars.has(key);
    const bytes = bytesOf(key, value);
    this.#subtract(key);
    if (bytes > this.#minNewcomerBytes) {
      this.#deleteNewcomer(key);
      this.#regulars.delete(key);
      return;
    }
    if (isRegular) {
      this.#regularBytes += bytes;
      this.#regulars.set(key, value);
    } else {
      this.#newcomerBytes += bytes;
      // The last one again.
      this.#deleteNewcomer(key);
      this.#newcomers.set(key, value);
    }
    while (this.size > maxVisitors) this.#evictOne(this.#newcomers.size > this.#minNewcomers);
    while (this.bytes > maxBytes) this.#evictOne(this.#newcomerBytes > this.#minNewcomerBytes);
  }

  delete(key: string): void {
    this.#subtract(key);
    this.#deleteNewcomer(key);
    this.#regulars.delete(key);
  }

  #deleteNewcomer(key: string): void {
    if (!this.#newcomers.delete(key) || ++this.#goneSinceFirst <= this.#newcomers.size) return;
    // An iterator keeps all tables alive that the map has outgrown since it began.
    this.#oldestNewcomers = this.#newcomers.keys();
    this.#goneSinceFirst = 0;
  }

  /** Before a value is replaced or deleted. */
  #subtract(key: string): void {
    const { bytesOf } = this.#config;
    const regular = this.#regulars.peek(key);
    if (regular !== undefined) this.#regularBytes -= bytesOf(key, regular);
    const newcomer = this.#newcomers.get(key);
    if (newcomer !== undefined) this.#newcomerBytes -= bytesOf(key, newcomer);
  }

  /** Evicts the oldest newcomer or the least recently seen regular. */
  #evictOne(isNewcomer: boolean): void {
    const key =
      isNewcomer || this.#regulars.size === 0 ? this.#oldestNewcomers.next().value : this.#leastRecentRegular();
    if (key !== undefined) this.delete(key);
  }

  #leastRecentRegular(): string | undefined {
    for (const key of this.#regulars.rkeys()) return key;
    return undefined;
  }
}

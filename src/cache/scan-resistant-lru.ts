/**
 * Owns: who is forgotten when there are more visitors than are kept. Newcomers give way first: a flood of ids that
 * nobody has seen, and that nobody will see again, must not push out the visitors who come back.
 */
import { LRUCache } from 'lru-cache';
import { detachedString } from './detached-string';

/** However many regulars there are, so much of the store is left to newcomers: else nobody could become one. */
const NEWCOMERS_SHARE = 1 / 20;

export class ScanResistantLru<V extends object> {
  readonly #maxVisitors: number;
  readonly #newcomersKept: number;
  /** Seen once. They take whatever room there is. */
  readonly #newcomers: LRUCache<string, V>;
  /** Seen again. */
  readonly #regulars: LRUCache<string, V>;

  constructor(maxVisitors: number) {
    this.#maxVisitors = maxVisitors;
    this.#newcomersKept = Math.max(1, Math.floor(maxVisitors * NEWCOMERS_SHARE));
    // One more than is kept, for the moment between a new one's coming and an old one's going.
    this.#newcomers = new LRUCache({ max: maxVisitors + 1 });
    this.#regulars = new LRUCache({ max: maxVisitors });
  }

  get size(): number {
    return this.#newcomers.size + this.#regulars.size;
  }

  /** Who is asked for has come again. */
  get(key: string): V | undefined {
    const regular = this.#regulars.get(key);
    if (regular !== undefined) return regular;
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return undefined;
    this.#newcomers.delete(key);
    this.#regulars.set(detachedString(key), newcomer);
    return newcomer;
  }

  /** Without taking it for a visit. */
  peek(key: string): V | undefined {
    return this.#regulars.peek(key) ?? this.#newcomers.peek(key);
  }

  /** @param key {@link detachedString a copy} of what a request brought */
  set(key: string, value: V): void {
    const store = this.#regulars.has(key) ? this.#regulars : this.#newcomers;
    store.set(key, value);
    if (this.size > this.#maxVisitors) this.#forgetOne();
  }

  delete(key: string): void {
    this.#newcomers.delete(key);
    this.#regulars.delete(key);
  }

  /** The one who was not seen for the longest time. */
  #forgetOne(): void {
    const store = this.#newcomers.size > this.#newcomersKept ? this.#newcomers : this.#regulars;
    store.pop();
  }
}

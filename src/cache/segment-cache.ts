/**
 * Owns: what is remembered per visitor and for how long, and that one visitor is loaded once at a time. Generic: it
 * knows nothing of segments. (lru-cache is the store only; its fetch() would let one caller's deadline leak into the
 * others'.)
 */
import { ownCopy, VisitorStore } from './visitor-store';

/** What can be remembered. `ttlMs` comes with the value, since it depends on what the answer was. */
export interface Stamped {
  /** For how long the value is `fresh`. */
  readonly ttlMs: number;
  /** Whether it may be served past its ttl. */
  readonly keptStale: boolean;
  /** When it was stored, by the cache's clock. Set by the cache. */
  storedAtMs: number;
}

/**
 * - `fresh`: within its ttl;
 * - `stale`: serve it, and refresh it behind the visitor's back;
 * - `late`: wait for a refresh, and serve it if none comes;
 * - `expired`: not to be served.
 */
export type Freshness = 'fresh' | 'stale' | 'late' | 'expired';

/** A load on its way. Everybody who wants this visitor shares it, each with a deadline of their own. */
export interface Flight<V> {
  /** Settles after the value was stored. A rejection nobody waits for is not reported as unhandled. */
  readonly promise: Promise<V>;
}

export interface SegmentCacheConfig {
  readonly maxVisitors: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

export class SegmentCache<V extends Stamped> {
  readonly #config: SegmentCacheConfig;
  readonly #store: VisitorStore<V>;
  readonly #flights = new Map<string, Flight<V>>();

  constructor(config: SegmentCacheConfig) {
    this.#config = config;
    this.#store = new VisitorStore(config.maxVisitors);
  }

  /** Visitors remembered. */
  get size(): number {
    return this.#store.size;
  }

  get(key: string): V | undefined {
    return this.#store.get(key);
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
   * The load on its way for this visitor, or a new one. What it brings replaces what was known. The loader gets a key
   * that is safe to keep.
   */
  load(key: string, loader: (key: string) => Promise<V>): Flight<V> {
    const onItsWay = this.#flights.get(key);
    if (onItsWay !== undefined) return onItsWay;
    const ownKey = ownCopy(key);
    const promise = loader(ownKey).then(
      (value) => {
        value.storedAtMs = this.#config.nowMs();
        if (this.#end(ownKey, flight)) this.#store.set(ownKey, value);
        return value;
      },
      (error: unknown) => {
        this.#end(ownKey, flight);
        throw error;
      },
    );
    promise.catch(() => {});
    const flight: Flight<V> = { promise };
    this.#flights.set(ownKey, flight);
    return flight;
  }

  /** Forgets a visitor. An answer that is on its way will not be stored. */
  forget(key: string): void {
    this.#store.delete(key);
    this.#flights.delete(key);
  }

  /** False when the visitor was forgotten meanwhile: the flight is no longer theirs. */
  #end(key: string, flight: Flight<V>): boolean {
    return this.#flights.get(key) === flight && this.#flights.delete(key);
  }
}

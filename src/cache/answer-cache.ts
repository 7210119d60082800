/**
 * Owns: the cached answers of each visitor, how fresh they are, and the loads in flight, which callers share. Generic: it
 * knows nothing of segments. lru-cache is only the store, because in its fetch() one caller's deadline aborts the others.
 * Next: scan-resistant-lru.ts.
 */
import { detachedString } from './detached-string';
import { ScanResistantLru } from './scan-resistant-lru';

/** What can be cached. The ttl is the value's own, since it depends on the answer. */
export interface Stamped {
  /** How long the value stays fresh. */
  readonly ttlMs: number;
  /** Whether it may be served as stale after its ttl. */
  readonly keptStale: boolean;
  /** Whether it answers every variant of the question. */
  readonly answersAll: boolean;
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

/** A load in flight. All callers with the same question share it, each with its own deadline. */
export interface Flight<V> {
  readonly variant: string;
  /** Whether its answer supersedes the cached one, however fresh that is. */
  readonly isRenewal: boolean;
  /** Settles after the value was stored. A rejection without a handler is not reported as unhandled. */
  readonly promise: Promise<V>;
}

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
  readonly #flights = new Map<string, readonly Flight<V>[]>();
  #renewals = 0;

  constructor(config: AnswerCacheConfig) {
    this.#config = config;
    this.#store = new ScanResistantLru(config.maxVisitors);
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

  /** The load in flight for this question. */
  flightOf(key: string, variant: string): Flight<V> | undefined {
    return this.#flights.get(key)?.findLast((flight) => flight.variant === variant);
  }

  /**
   * Joins the load in flight for this question, or starts one. Its value replaces the cached one.
   * @param loader gets a {@link detachedString detached} key
   */
  load(key: string, variant: string, loader: (key: string) => Promise<V>): Flight<V> {
    return this.flightOf(key, variant) ?? this.#start(key, variant, false, loader);
  }

  /** Starts a load even if an answer is cached or in flight, because something such as an event has changed it. */
  renew(key: string, variant: string, loader: (key: string) => Promise<V>): Flight<V> {
    this.#renewals++;
    const flight = this.#start(key, variant, true, loader);
    const end = () => {
      this.#renewals--;
    };
    flight.promise.then(end, end);
    return flight;
  }

  /** The newest {@link renew}al in flight. */
  renewalOf(key: string, variant: string): Flight<V> | undefined {
    // The common case, on nearly every request.
    if (this.#renewals === 0) return undefined;
    return this.#flights.get(key)?.findLast((flight) => flight.isRenewal && flight.variant === variant);
  }

  #start(key: string, variant: string, isRenewal: boolean, loader: (key: string) => Promise<V>): Flight<V> {
    const storedKey = detachedString(key);
    const promise = loader(storedKey).then(
      (value) => {
        value.storedAtMs = this.#config.nowMs();
        value.variant = variant;
        if (this.#end(storedKey, flight)) this.#store.set(storedKey, linked(value, this.#store.peek(storedKey)));
        return value;
      },
      (error: unknown) => {
        this.#end(storedKey, flight);
        throw error;
      },
    );
    promise.catch(() => {});
    const flight: Flight<V> = { variant, isRenewal, promise };
    this.#flights.set(storedKey, [...(this.#flights.get(storedKey) ?? []), flight]);
    return flight;
  }

  /** Deletes everything about a visitor. Answers of loads in flight will not be stored. */
  forget(key: string): void {
    this.#store.delete(key);
    this.#flights.delete(key);
  }

  /** Returns `false` if the visitor was forgotten after the load began. */
  #end(key: string, flight: Flight<V>): boolean {
    const flights = this.#flights.get(key);
    if (flights === undefined || !flights.includes(flight)) return false;
    if (flights.length === 1) this.#flights.delete(key);
    else
      this.#flights.set(
        key,
        flights.filter((each) => each !== flight),
      );
    return true;
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

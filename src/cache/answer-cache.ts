/**
 * Owns: what is remembered per visitor and for how long, and that one visitor is loaded once at a time. Generic: it
 * knows nothing of segments. (lru-cache is the store only; its fetch() would let one caller's deadline leak into the
 * others'.)
 */
import { detachedString } from './detached-string';
import { ScanResistantLru } from './scan-resistant-lru';

/** What can be remembered. `ttlMs` comes with the value, since it depends on what the answer was. */
export interface Stamped {
  /** For how long the value is `fresh`. */
  readonly ttlMs: number;
  /** Whether it may be served past its ttl. */
  readonly keptStale: boolean;
  /** Whether it is the answer to every question about the visitor. */
  readonly answersAll: boolean;
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

/** A load on its way. Everybody who asks the same about this visitor shares it, each with a deadline of their own. */
export interface Flight<V> {
  readonly variant: string;
  /** Whether what it brings is newer than what is known, however fresh that is. */
  readonly isRenewal: boolean;
  /** Settles after the value was stored. A rejection nobody waits for is not reported as unhandled. */
  readonly promise: Promise<V>;
}

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
  readonly #flights = new Map<string, readonly Flight<V>[]>();
  #renewals = 0;

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

  /** The load on its way for this question about the visitor. */
  flightOf(key: string, variant: string): Flight<V> | undefined {
    return this.#flights.get(key)?.findLast((flight) => flight.variant === variant);
  }

  /**
   * The load on its way for this question about the visitor, or a new one. What it brings replaces what was known. The
   * loader gets a key that is safe to keep.
   */
  load(key: string, variant: string, loader: (key: string) => Promise<V>): Flight<V> {
    return this.flightOf(key, variant) ?? this.#start(key, variant, false, loader);
  }

  /** A new load, whatever is known and on its way: something has happened that changes the answer. */
  renew(key: string, variant: string, loader: (key: string) => Promise<V>): Flight<V> {
    this.#renewals++;
    const flight = this.#start(key, variant, true, loader);
    const end = () => {
      this.#renewals--;
    };
    flight.promise.then(end, end);
    return flight;
  }

  /** The newest {@link renew}al on its way. */
  renewalOf(key: string, variant: string): Flight<V> | undefined {
    // Nearly always there is none, and nearly every request asks.
    if (this.#renewals === 0) return undefined;
    return this.#flights.get(key)?.findLast((flight) => flight.isRenewal && flight.variant === variant);
  }

  #start(key: string, variant: string, isRenewal: boolean, loader: (key: string) => Promise<V>): Flight<V> {
    const ownKey = detachedString(key);
    const promise = loader(ownKey).then(
      (value) => {
        value.storedAtMs = this.#config.nowMs();
        value.variant = variant;
        if (this.#end(ownKey, flight)) this.#store.set(ownKey, withOthers(value, this.#store.peek(ownKey)));
        return value;
      },
      (error: unknown) => {
        this.#end(ownKey, flight);
        throw error;
      },
    );
    promise.catch(() => {});
    const flight: Flight<V> = { variant, isRenewal, promise };
    this.#flights.set(ownKey, [...(this.#flights.get(ownKey) ?? []), flight]);
    return flight;
  }

  /** Forgets all about a visitor. An answer that is on its way will not be stored. */
  forget(key: string): void {
    this.#store.delete(key);
    this.#flights.delete(key);
  }

  /** False when the visitor was forgotten meanwhile: the flight is no longer theirs. */
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

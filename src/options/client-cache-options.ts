/** Owns: the options by which a client or a middleware shares what it knows. Next: dcs-client-options.ts. */
import { OPTIONS } from '../diagnosis/option-names';
import { AamError } from '../errors';
import { fieldsOf } from '../handed-over/reading';
import { group, ms, optional, secret } from '../option-checks';
import type { SharedStore } from '../shared-tier/shared-store';

interface SharingOptions {
  readonly keySecret?: string | undefined;
  readonly shared?: SharedStore | undefined;
}

/** What `createDcsClient()` shares with the processes of a site. */
export interface ClientCacheOptions {
  /**
   * The `cache.shared` of the site. Lookups are then served from it, and what `sendEvent()` and `optOut()` bring is what the
   * visitor's next page has.
   * @default the client shares nothing
   */
  readonly shared?: SharedStore | undefined;
  /** The `cache.keySecret` of the site. */
  readonly keySecret?: string | undefined;
  /**
   * The `cache.ttlMs` of the site.
   * @default 60000
   */
  readonly ttlMs?: number | undefined;
}

/** `undefined` for a client that shares nothing. */
export function resolvedClientCache(given: unknown, taker: 'createDcsClient()') {
  const cache = group<ClientCacheOptions>('options.cache', given, OPTIONS[taker].cache, taker);
  const keySecret = cache.keySecret === undefined ? undefined : secret('options.cache.keySecret', cache.keySecret);
  const store = sharedStoreOf('options.cache', cache);
  const ttlMs = ms('options.cache.ttlMs', cache.ttlMs, 60_000);
  return store === undefined || keySecret === undefined ? undefined : { store, keySecret, ttlMs };
}

/** Whoever has one has no use for ids in it. */
export function sharedStoreOf(path: string, { shared, keySecret }: SharingOptions): SharedStore | undefined {
  optional(`${path}.shared`, shared, 'a shared store, such as redisStore() returns', isSharedStore);
  if (shared !== undefined && keySecret === undefined) {
    throw new AamError(
      'ERR_AAM_INVALID_OPTION',
      `${path}.shared needs ${path}.keySecret, the same in all processes: a shared store holds no visitor ids`,
    );
  }
  return shared;
}

const STORE_METHODS = ['read', 'take', 'end', 'invalidate', 'refill', 'beat', 'subscribe'] as const;

function isSharedStore(given: unknown): boolean {
  const store = fieldsOf(given, ['timeoutMs', 'isReady', ...STORE_METHODS]);
  if (store === undefined || typeof store.isReady !== 'boolean') return false;
  const { timeoutMs } = store;
  return Number.isInteger(timeoutMs) && STORE_METHODS.every((method) => typeof store[method] === 'function');
}

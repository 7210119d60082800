import type { RequestHandler } from 'express';
import { LRUCache } from 'lru-cache';
import { callDcs, type DcsOrigins, type Visitor, visitorOf } from './call-dcs';

/** fetch() of lru-cache: one call per visitor at a time, and stale answers during and after a failed refresh. */
export function lruCacheFetch(dcs: DcsOrigins, ttlMs: number): RequestHandler {
  const cache = new LRUCache<string, string[], Visitor>({
    max: 100_000,
    ttl: ttlMs,
    allowStale: true,
    allowStaleOnFetchRejection: true,
    fetchMethod: (_ecid, _stale, { signal, context }) => callDcs(dcs, context, signal as AbortSignal),
  });
  return async (req, res, next) => {
    res.locals.ids = [];
    const visitor = visitorOf(req);
    try {
      if (visitor) res.locals.ids = (await cache.fetch(visitor.ecid, { context: visitor })) ?? [];
    } catch {
      // The page goes on without segments.
    }
    next();
  };
}

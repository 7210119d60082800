import type { CacheOptions } from 'express-aam-segments';
import { redisStore } from 'express-aam-segments/redis';
import { createClient } from 'redis';

/** What several shops share: the options of their caches, and how to leave. */
export interface SharedCache {
  readonly options: CacheOptions;
  close(): void;
}

/** On the Redis in the environment; `undefined` without one. The shop opens without waiting for it. */
export function sharedCache({ REDIS_URL, AAM_KEY_SECRET }: NodeJS.ProcessEnv): SharedCache | undefined {
  if (!REDIS_URL) return undefined;
  if (!AAM_KEY_SECRET) throw new Error('REDIS_URL needs AAM_KEY_SECRET, the same in all shops: at least 32 characters');
  const redis = createClient({ url: REDIS_URL, disableOfflineQueue: true });
  redis.on('error', ({ message }: Error) => console.error(`Redis: ${message}`));
  redis.connect().catch(() => {});
  return { options: { keySecret: AAM_KEY_SECRET, shared: redisStore(redis) }, close: () => redis.destroy() };
}

/** What `express-aam-segments/redis` exports. */
export type { IoredisClient, NodeRedisClient } from './redis-clients';
export { type RedisStoreOptions, redisStore } from './redis-store';

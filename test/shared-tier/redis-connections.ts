/** The four clients that are supported, each connected to a server. */

import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { createClient } from 'redis';
import { createClient as createClient5 } from 'redis5';
import type { IoredisClient, NodeRedisClient } from '../../src/redis/redis-clients';

export interface Connected {
  readonly client: NodeRedisClient | IoredisClient;
  close(): void;
}

/** By name, how to open one. */
export const CLIENTS: Readonly<Record<string, (port: number) => Promise<Connected>>> = {
  'redis 6': async (port) => nodeRedis(createClient({ ...addressOf(port), disableOfflineQueue: true })),
  'redis 5': async (port) => nodeRedis(createClient5({ ...addressOf(port), disableOfflineQueue: true })),
  'ioredis 6': async (port) => ioredis(new Redis(port, '127.0.0.1', { enableOfflineQueue: false })),
  'ioredis 5': async (port) => ioredis(new Redis5(port, '127.0.0.1', { enableOfflineQueue: false })),
};

function addressOf(port: number) {
  return { socket: { host: '127.0.0.1', port, reconnectStrategy: 50 } };
}

/** As a site does it: the error listener first, and the connection not awaited where the server may be away. */
async function nodeRedis(client: NodeRedisClient): Promise<Connected> {
  client.on('error', () => {});
  const connecting = client.connect().catch(() => {});
  await Promise.race([connecting, new Promise((resolve) => setTimeout(resolve, 1_000))]);
  return { client, close: () => client.destroy() };
}

async function ioredis(client: IoredisClient): Promise<Connected> {
  client.on('error', () => {});
  if (client.status !== 'ready') {
    await new Promise<void>((resolve) => {
      client.on('ready', () => resolve());
      setTimeout(resolve, 1_000);
    });
  }
  return { client, close: () => client.disconnect() };
}

/**
 * Owns: whether a Redis or Valkey server can be the shared store of a site: its version, how it evicts, and whether this user
 * may run scripts and listen to channels. Next: doctor.ts, which prints it.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { NodeRedisClient } from '../redis/redis-clients';
import { redisStore } from '../redis/redis-store';
import { Failure, UsageError } from './command';
import type { Finding } from './finding';

const CONNECT_TIMEOUT_MS = 3_000;
const COMMAND_TIMEOUT_MS = 1_000;
const MIN_MAJOR = 7;

/** @throws {UsageError} for what is no URL of a Redis server; {@link Failure} without the package `redis` */
export async function checkRedis(given: string): Promise<readonly Finding[]> {
  const url = urlOf(given);
  const client = createRedisClient(url.href);
  let why = `no connection within ${CONNECT_TIMEOUT_MS} ms`;
  client.on('error', (error: Error & { code?: string }) => {
    // Of a wrong password, say; never with the URL, which may have one.
    why = error.code ?? error.message.split('\n', 1)[0]?.slice(0, 100) ?? why;
  });
  try {
    const isConnected = await within(CONNECT_TIMEOUT_MS, client.connect()).then(
      () => true,
      () => false,
    );
    if (!isConnected) return [{ check: 'redis', state: 'FAIL', found: `${url.host}: ${why}`, advice: UNREACHABLE }];
    return [await roundTrip(client, url.host), ...(await server(client)), ...(await rights(client))];
  } finally {
    client.destroy();
  }
}

/** The least of three, in milliseconds. */
async function roundTrip(client: NodeRedisClient, host: string): Promise<Finding> {
  const took: number[] = [];
  for (let n = 0; n < 3; n++) {
    const startedAtMs = performance.now();
    await within(COMMAND_TIMEOUT_MS, client.sendCommand(['PING']));
    took.push(performance.now() - startedAtMs);
  }
  const tookMs = Math.min(...took);
  const found = `${host} answers in ${tookMs.toFixed(1)} ms`;
  // A page may take two of them, and one takes 25 ms at most.
  if (tookMs < 10) return { check: 'redis', state: 'ok', found };
  return { check: 'redis', state: 'unsure', found, advice: 'Use one in the same data centre, or raise timeoutMs.' };
}

async function server(client: NodeRedisClient): Promise<Finding[]> {
  const info = await within(COMMAND_TIMEOUT_MS, client.sendCommand(['INFO'])).catch(() => undefined);
  if (typeof info !== 'string') {
    const found = 'INFO is not allowed for this user';
    return [{ check: 'redis version', state: 'unsure', found, advice: 'It must be Redis 7 or later, or Valkey.' }];
  }
  const of = (name: string) => info.match(new RegExp(`^${name}:(.*)\\r?$`, 'm'))?.[1]?.trim();
  const name = of('server_name') === 'valkey' ? 'Valkey' : 'Redis';
  const version = (name === 'Valkey' ? of('valkey_version') : of('redis_version')) ?? 'unknown';
  const isNewEnough = Number.parseInt(version, 10) >= MIN_MAJOR;
  const isCluster = of('cluster_enabled') === '1';
  const isReplica = of('role') === 'slave';
  const policy = of('maxmemory_policy') ?? 'unknown';
  const isBounded = (of('maxmemory') ?? '0') !== '0';
  return [
    {
      check: 'redis version',
      state: isNewEnough ? 'ok' : 'FAIL',
      found: `${name} ${version}`,
      advice: isNewEnough ? undefined : 'Use Redis 7 or later, or Valkey.',
    },
    {
      check: 'redis role',
      state: isCluster || isReplica ? 'FAIL' : 'ok',
      found: isCluster ? 'a node of a cluster' : isReplica ? 'a replica' : 'a single server that takes writes',
      advice: isCluster ? 'Clusters are not supported yet.' : isReplica ? 'Use its primary.' : undefined,
    },
    {
      check: 'redis memory',
      state: isBounded && policy === 'noeviction' ? 'unsure' : 'ok',
      found: isBounded ? `maxmemory-policy is ${policy}` : 'maxmemory is not set',
      advice:
        isBounded && policy === 'noeviction'
          ? 'When it is full, nothing is shared any more. With allkeys-lru the least used goes instead.'
          : undefined,
    },
  ];
}

/** By doing what a site does, about a visitor who does not exist. */
async function rights(client: NodeRedisClient): Promise<Finding[]> {
  const store = redisStore(client, { timeoutMs: COMMAND_TIMEOUT_MS });
  const key = `doctor-${randomBytes(9).toString('base64url')}`;
  const channel = key;
  const scripts: Finding = await within(COMMAND_TIMEOUT_MS, useScripts(store, key)).then(
    (): Finding => ({ check: 'redis scripts', state: 'ok', found: 'this user may run them, and write' }),
    (error: unknown): Finding => ({ check: 'redis scripts', state: 'FAIL', found: firstLine(error), advice: ACL }),
  );
  const heard = new Promise<void>((resolve) => {
    const subscription = store.subscribe([channel], {
      message: () => subscription.close().then(resolve),
      listening: () => {
        store.beat(channel, 'doctor').catch(() => {});
      },
      lost: () => {},
    });
    setTimeout(() => subscription.close(), CONNECT_TIMEOUT_MS).unref();
  });
  const messages: Finding = await within(CONNECT_TIMEOUT_MS, heard).then(
    (): Finding => ({ check: 'redis messages', state: 'ok', found: 'what is published arrives' }),
    (): Finding => ({
      check: 'redis messages',
      state: 'FAIL',
      found: 'what is published does not arrive',
      advice: `${ACL} Without messages each page reads the store.`,
    }),
  );
  return [scripts, messages];
}

async function useScripts(store: ReturnType<typeof redisStore>, key: string): Promise<void> {
  const lock = { token: key, lockMs: COMMAND_TIMEOUT_MS };
  const claim = { ...lock, kind: 'lookup', question: '', consentAgoMs: 0, maxCallsPerMinute: 1 } as const;
  const taken = await store.take(key, { ...claim, announcement: undefined });
  await store.read(key, '');
  const stamp = taken.outcome === 'taken' ? taken.stamp : 0;
  const message = { channel: key, text: 'doctor' };
  await store.end(key, { ...lock, stamp, answer: undefined, pause: undefined, message, isNews: false });
}

function urlOf(given: string): URL {
  try {
    const url = new URL(given);
    if (url.protocol === 'redis:' || url.protocol === 'rediss:') return url;
  } catch {}
  throw new UsageError("--redis must be a URL such as 'redis://localhost:6379'");
}

/** The package is the site's: who has no shared store does not install it. */
function createRedisClient(url: string): NodeRedisClient {
  let redis: { createClient(options: object): NodeRedisClient };
  try {
    redis = require('redis');
  } catch {
    throw new Failure("--redis needs the package 'redis': npm install redis@6");
  }
  const socket = { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false };
  return redis.createClient({ url, disableOfflineQueue: true, socket });
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timeout')), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n', 1)[0] as string).slice(0, 100) : 'failed';
}

const UNREACHABLE = 'Check the address, the password, and for a firewall. A site starts and runs without it.';
const ACL =
  'Give the user ~aam:* and &aam:*, EVAL, EVALSHA and SUBSCRIBE, and the commands of hashes, lists and strings.';

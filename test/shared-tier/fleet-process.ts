/**
 * One process of a fleet: an Express site on the simulator and the Redis of its parent. Argument: {@link ProcessOptions} as
 * JSON. It sends its port to its parent, and ends with it.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { createClient } from 'redis';
import { type AamSegmentsOptions, aamSegments, type RequestMessage } from '../../src/index';
import { createRedisStore } from '../../src/redis/redis-store';
import type { SharedStore } from '../../src/shared-tier/shared-store';

export interface ProcessOptions {
  /** Without one the process is on its own. */
  readonly redisPort?: number | undefined;
  readonly wireVersion?: string | undefined;
  /** By how much its clock is wrong. */
  readonly clockOffMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** For how long what a call has brought is on its way to the store, so that the process can be stopped meanwhile. */
  readonly holdEndMs?: number | undefined;
  readonly aam?: Partial<AamSegmentsOptions<'golfFans' | 'highValue'>>;
}

const KEY_SECRET = 'a secret of at least 32 characters';
const {
  redisPort,
  wireVersion = '1',
  clockOffMs = 0,
  timeoutMs,
  holdEndMs = 0,
  aam: given = {},
} = JSON.parse(process.argv[2] as string) as ProcessOptions;

const realNow = Date.now;
Date.now = () => realNow() + clockOffMs;

const redis =
  redisPort === undefined
    ? undefined
    : createClient({
        socket: { host: '127.0.0.1', port: redisPort, reconnectStrategy: 100 },
        disableOfflineQueue: true,
      });
redis?.on('error', () => {});
redis?.connect().catch(() => {});

function held(store: SharedStore): SharedStore {
  if (holdEndMs === 0) return store;
  const end: SharedStore['end'] = async (...args) => {
    await sleep(holdEndMs);
    return store.end(...args);
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'end') return end;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const warnings: string[] = [];
process.on('warning', (warning) => warnings.push(String((warning as { code?: string }).code)));

const aam = aamSegments<'golfFans' | 'highValue'>({
  orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
  partner: 'acme',
  segments: { golfFans: 984263, highValue: 985264 },
  ...given,
  cache: {
    ...(redis && { keySecret: KEY_SECRET, shared: held(createRedisStore(redis, { timeoutMs }, wireVersion)) }),
    ...given.cache,
  },
});

const waits: number[] = [];
const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
subscribe('express-aam-segments:request', (message) => waits.push((message as RequestMessage).waitMs));

const app = express();
app.get('/stats', (_req, res) => {
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const sockets = process.getActiveResourcesInfo().filter((each) => each.startsWith('TCP')).length;
  const maxDelayMs = delays.max / 1e6;
  delays.reset();
  const cpuMs = (user + system) / 1_000;
  const maxWaitMs = Math.max(0, ...waits.splice(0));
  res.json({ redisIsReady: redis?.isReady, ...aam.stats(), warnings, maxWaitMs, maxDelayMs, rss, sockets, cpuMs });
});
app.post('/forget/:ecid', (req, res) => {
  aam.forget({ ecid: req.params.ecid });
  res.end();
});
app.post('/close', async (_req, res) => {
  await aam.close();
  res.end();
});
app.use(aam);
app.get('/', (req, res) => {
  const { status, reason, ids, names, ageMs, isKnown } = req.aamSegments;
  res.json({ status, reason, ids, names, ageMs, isKnown });
});
app.post('/buy', (req, res) => {
  aam.sendEvent(req, { c_product: 'irons' }).then(
    ({ status, ids }) => res.json({ status, ids }),
    ({ code }) => res.json({ code }),
  );
});

const server = app.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());

/**
 * A site whose cache of so many visitors is full, in a process of its own, alone on its core. Its DCS is in the process and
 * answers at once: a million calls through a socket would take minutes.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import express from 'express';
import { aamSegments } from 'express-aam-segments';
import { moveToSiteCore } from './cores';
import { instantDcs } from './instant-dcs';
import { ecidOf, ORG } from './visitors';

/** What the garbage collector did since the last question. */
export interface Collections {
  readonly count: number;
  /** Of these, those of the old generation. */
  readonly major: number;
  readonly longestMs: number;
  readonly heapMb: number;
}

export interface ChurnSite {
  readonly port: number;
  collections(): Promise<Collections>;
  stop(): Promise<void>;
}

/**
 * The old generation is collected whenever it has grown by a fifth, at any size. By default V8 waits for longer, and a minute
 * might pass without the pauses that are to be measured.
 */
const V8_FLAGS = ['--heap-growing-percent=20'];
/** With each page view so many others become known, so that the cache turns over faster than pages can be served. */
const OTHERS_PER_VIEW = 9;

/** Resolves when the cache is full. */
export async function startChurnSite(maxVisitors: number): Promise<ChurnSite> {
  const execArgv = [...process.execArgv, ...V8_FLAGS];
  const child = fork(__filename, [String(maxVisitors)], { execArgv });
  moveToSiteCore(child.pid as number);
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    async collections() {
      child.send('collections');
      const [answer] = (await once(child, 'message')) as [Collections];
      return answer;
    },
    async stop() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

const CONCURRENCY = 64;
/** None of those who view pages. */
const FIRST_OTHER = 100_000_000;

async function serve(maxVisitors: number): Promise<void> {
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: 984_263 },
    maxWaitMs: 10_000,
    cache: { maxVisitors, ttlMs: 3_600_000 },
    dcs: { dispatcher: instantDcs(), timeoutMs: 60_000, maxQueuedCalls: 100_000 },
  });
  let next = 0;
  const fill = async () => {
    while (next < maxVisitors) await aam.lookup({ ecid: ecidOf(next++), region: 9 });
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, fill));
  if (aam.stats().visitors !== maxVisitors) throw new Error('the cache is not full');

  const pauses: { readonly ms: number; readonly isMajor: boolean }[] = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { detail: { kind: number } })[]) {
      pauses.push({ ms: entry.duration, isMajor: entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR });
    }
  }).observe({ entryTypes: ['gc'] });

  let others = FIRST_OTHER;
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => {
    res.send(req.aamSegments.has('golfFans') ? 'Welcome to the club' : 'Join the club');
    for (let n = 0; n < OTHERS_PER_VIEW; n++) void aam.lookup({ ecid: ecidOf(others++), region: 9 });
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => {
    const answer: Collections = {
      count: pauses.length,
      major: pauses.filter(({ isMajor }) => isMajor).length,
      longestMs: Math.max(0, ...pauses.map(({ ms }) => ms)),
      heapMb: process.memoryUsage().heapUsed / 2 ** 20,
    };
    pauses.length = 0;
    process.send?.(answer);
  });
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (require.main === module) void serve(Number(process.argv[2]));

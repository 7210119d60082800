/**
 * Memory per cached visitor with 20 segments, a region, a transaction id and times, in a full cache whose visitors have come
 * twice: the store and all that it holds, on and off the heap. What an instance needs anyway, such as what it remembers of the
 * last 20 000 calls, is measured with a cache of 1 000 visitors, and does not count.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AamSegments, aamSegments } from 'express-aam-segments';
import { instantDcs } from './instant-dcs';
import { PROMISES, type Promised, report } from './promises';
import { asReceived, cookieHeaderOf, ORG } from './visitors';

const CONCURRENCY = 64;
const SMALL = 1_000;
/** The requests of one page come within five seconds; who comes after that has come back, and is stored as a regular. */
const NEXT_VISIT_MS = 5_500;

function start(maxVisitors: number): AamSegments {
  return aamSegments({
    orgId: ORG,
    partner: 'acme',
    maxWaitMs: 60_000,
    cache: { maxVisitors, ttlMs: 3_600_000 },
    dcs: { dispatcher: instantDcs(), timeoutMs: 60_000 },
  });
}

function view(aam: AamSegments, n: number): Promise<void> {
  return new Promise((resolve) => {
    // A header string of its own: one that is cut from it must not keep it alive.
    const req = { headers: { cookie: asReceived(Buffer.from(cookieHeaderOf(n))) } };
    const res = { locals: {}, destroyed: false, once() {}, removeListener() {} };
    aam(req as never, res as never, () => resolve());
  });
}

async function viewAll(aam: AamSegments, visitors: number): Promise<void> {
  let next = 0;
  const browser = async () => {
    while (next < visitors) await view(aam, next++);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, browser));
}

async function bytesInUse(): Promise<number> {
  // Twice, with a turn of the event loop between, since finalizers release more.
  for (let n = 0; n < 2; n++) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  const { heapUsed, external } = process.memoryUsage();
  // `external` includes `arrayBuffers`.
  return heapUsed + external;
}

/** What an instance has added to the process when so many visitors have come twice, or once if it cannot hold them all. */
async function bytesOf(maxVisitors: number, visitors: number): Promise<number> {
  const before = await bytesInUse();
  const aam = start(maxVisitors);
  await viewAll(aam, visitors);
  if (maxVisitors >= visitors) {
    await sleep(NEXT_VISIT_MS);
    await viewAll(aam, visitors);
    if (aam.stats().requests.cached !== visitors) throw new Error('not every visitor was cached');
  }
  const after = await bytesInUse();
  if (aam.stats().visitors !== maxVisitors) throw new Error('the cache is not full');
  await aam.close();
  return after - before;
}

async function measure(promise: Promised, visitors: number, bytesAnyway: number): Promise<void> {
  const bytes = ((await bytesOf(visitors, visitors)) - bytesAnyway) / (visitors - SMALL);
  console.log(`${visitors} visitors, seen twice: ${Math.round(bytes)} bytes each`);
  report(promise, bytes);
}

async function run(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  // The first time counts compiled code, too.
  await bytesOf(SMALL, 60_000);
  const bytesAnyway = await bytesOf(SMALL, 60_000);
  console.log(`\nAn instance with a cache of ${SMALL} visitors: ${(bytesAnyway / 2 ** 20).toFixed(1)} MB`);
  await measure(PROMISES.memory, 60_000, bytesAnyway);
  await measure(PROMISES.memoryOfMany, 1_000_000, bytesAnyway);
}

void run();

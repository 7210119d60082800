/**
 * Memory per cached visitor with 20 segments, a region, a transaction id and times, in a full cache whose visitors have come
 * twice: the store and all that the package remembers of them, on and off the heap.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AamSegments, aamSegments } from 'express-aam-segments';
import { instantDcs } from './instant-dcs';
import { PROMISES, type Promised, report } from './promises';
import { asReceived, cookieHeaderOf, ORG } from './visitors';

const CONCURRENCY = 64;
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

async function measure(promise: Promised, visitors: number): Promise<void> {
  const before = await bytesInUse();
  const aam = start(visitors);
  await viewAll(aam, visitors);
  await sleep(NEXT_VISIT_MS);
  await viewAll(aam, visitors);
  const bytes = ((await bytesInUse()) - before) / visitors;
  const { requests, visitors: cached } = aam.stats();
  if (cached !== visitors || requests.fresh !== visitors || requests.cached !== visitors) {
    throw new Error('not every visitor is cached');
  }
  console.log(`\n${visitors} visitors, seen twice: ${Math.round(bytes)} bytes each`);
  report(promise, bytes);
  await aam.close();
}

async function run(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  // Compiled code and what is created on first use does not count.
  const first = start(1_000);
  await viewAll(first, 1_000);
  await viewAll(first, 1_000);
  await first.close();
  await measure(PROMISES.memory, 60_000);
  await measure(PROMISES.memoryOfMany, 1_000_000);
}

void run();

/** Heap per cached visitor with 20 segments, seen twice. */
import { aamSegments } from 'express-aam-segments';
import { startDcs } from './dcs-process';
import { PROMISES, report } from './promises';
import { asReceived, cookieHeaderOf, ORG } from './visitors';

const VISITORS = 60_000;
const CONCURRENCY = 64;

async function run(): Promise<void> {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('run with --expose-gc');
  const { dcs, stop } = await startDcs(VISITORS);
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    maxWaitMs: 60_000,
    cache: { ttlMs: 3_600_000 },
    dcs: { ...dcs, timeoutMs: 60_000 },
  });
  const view = (n: number) =>
    new Promise<void>((resolve) => {
      const req = { headers: { cookie: asReceived(Buffer.from(cookieHeaderOf(n))) } };
      const res = { locals: {}, destroyed: false, once() {}, removeListener() {} };
      aam(req as never, res as never, () => resolve());
    });
  const viewAll = async (from: number, to: number) => {
    let next = from;
    const one = async () => {
      while (next < to) await view(next++);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, one));
  };
  const heap = async () => {
    // Twice, with a turn of the event loop between, since finalizers release more.
    for (let n = 0; n < 2; n++) {
      collect();
      await new Promise(setImmediate);
    }
    return process.memoryUsage().heapUsed;
  };
  await viewAll(0, 1_000);
  const before = await heap();
  await viewAll(1_000, VISITORS);
  await viewAll(0, VISITORS);
  const bytes = ((await heap()) - before) / (VISITORS - 1_000);
  const { requests, visitors } = aam.stats();
  if (visitors !== VISITORS || requests.cached !== VISITORS) throw new Error('not every visitor is cached');
  console.log('\nA cached visitor with 20 segments');
  console.table({ [`${VISITORS} visitors, seen twice`]: { 'bytes of heap each': Math.round(bytes) } });
  report(PROMISES.memory, bytes);
  await aam.close();
  await stop();
}

void run();

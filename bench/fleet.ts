/**
 * Time of a cache hit in the middleware of a fleet, compared with one that shares nothing: both with `keySecret`, whose HMAC is
 * the price of either. No command is sent for a hit.
 */
import { setFlagsFromString } from 'node:v8';
import { aamSegments } from 'express-aam-segments';
import { createMemoryStore } from 'express-aam-segments/testing';
import { pageHeadersOf } from './browsers';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { type Parked, ParkingLot } from './parked-requests';
import { PROMISES, report } from './promises';
import { ORG } from './visitors';

const VISITORS = 500;
const CALLS = 1_000;
const PAIRS = 150;
const WARM_UP = 60;

// As in warm-hit.
setFlagsFromString('--no-allocation-site-pretenuring');

async function run(): Promise<void> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('run with --expose-gc');
  const { dcs, stop } = await startDcs(VISITORS);
  const lot = new ParkingLot();
  const headers = Array.from({ length: CALLS }, (_, n) => pageHeadersOf(n % VISITORS));
  const store = createMemoryStore();
  const create = async (cache: object) => {
    const aam = aamSegments({
      orgId: ORG,
      partner: 'acme',
      segments: { golfFans: 984_263 },
      cache: { ttlMs: 3_600_000, keySecret: 'a secret of at least 32 characters', ...cache },
      maxWaitMs: 10_000,
      dcs: { ...dcs, maxQueuedCalls: VISITORS },
    });
    const views = async () => {
      const parked = await lot.park(headers.slice(0, VISITORS));
      await Promise.all(parked.map(({ req, res }) => new Promise<void>((resolve) => aam(req, res, () => resolve()))));
    };
    await views();
    while (aam.stats().shared !== undefined && aam.stats().shared?.status !== 'ready') {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // What was there before messages were known to arrive is checked once.
    await views();
    return aam;
  };
  const shared = await create({ shared: store });
  const alone = await create({});
  let done = 0;
  const next = () => {
    done++;
  };
  const nanoseconds = async (call: (parked: Parked) => void): Promise<number> => {
    const parked = await lot.park(headers);
    gc({ type: 'minor' });
    const before = process.hrtime.bigint();
    for (const each of parked) call(each);
    return Number(process.hrtime.bigint() - before) / CALLS;
  };
  const reads = () => (shared.stats().shared?.hits ?? 0) + (shared.stats().shared?.misses ?? 0);
  const before = reads();
  const compared = await interleaved(
    {
      a: () => nanoseconds(({ req, res }) => shared(req, res, next)),
      b: () => nanoseconds(({ req, res }) => alone(req, res, next)),
    },
    { pairs: PAIRS, warmUp: WARM_UP },
  );
  const calls = (PAIRS + WARM_UP) * CALLS;
  if (done !== 2 * calls || reads() !== before) throw new Error('not every call was a warm hit');
  print('A warm hit in a fleet, against one of a process alone', 'ns a call', { a: 'fleet', b: 'alone' }, compared);
  report(PROMISES.fleetHit, compared.ratio);
  await lot.leave();
  await Promise.all([shared.close(), alone.close()]);
  await stop();
}

void run();

/**
 * Time of a cache hit in the middleware, with its default checks, compared with parsing the same Cookie header. On the objects
 * that Express hands over, each used once: their creation is not measured, and neither is collecting garbage (see warm-page).
 */
import { setFlagsFromString } from 'node:v8';
import { parse } from 'cookie';
import { aamSegments } from 'express-aam-segments';
import { pageHeadersOf } from './browsers';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { type Parked, ParkingLot } from './parked-requests';
import { PROMISES, report } from './promises';
import { ORG } from './visitors';

const VISITORS = 500;
/** Few enough that the young generation has room for what they leave behind. */
const CALLS = 1_000;
const PAIRS = 150;
const WARM_UP = 60;

// A thousand requests that live through a garbage collection together, as no server's do, would teach V8 to make their objects
// where long-lived ones are, and the times would be those of filling that part of the memory.
setFlagsFromString('--no-allocation-site-pretenuring');

async function run(): Promise<void> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('run with --expose-gc');
  const { dcs, stop } = await startDcs(VISITORS);
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: 984_263 },
    cache: { ttlMs: 3_600_000 },
    maxWaitMs: 10_000,
    dcs: { ...dcs, maxQueuedCalls: VISITORS },
  });
  const lot = new ParkingLot();
  const headers = Array.from({ length: CALLS }, (_, n) => pageHeadersOf(n % VISITORS));
  const firstViews = (await lot.park(headers.slice(0, VISITORS))).map(({ req, res }) => {
    return new Promise<void>((resolve) => aam(req, res, () => resolve()));
  });
  await Promise.all(firstViews);

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
  const compared = await interleaved(
    {
      a: () => nanoseconds(({ req, res }) => aam(req, res, next)),
      b: () =>
        nanoseconds(({ req }) => {
          if (parse(req.headers.cookie as string).theme === 'dark') done++;
        }),
    },
    { pairs: PAIRS, warmUp: WARM_UP },
  );
  const calls = (PAIRS + WARM_UP) * CALLS;
  if (aam.stats().requests.cached !== calls || done !== 2 * calls) throw new Error('not every call was a warm hit');
  const names = { a: 'middleware, warm hit', b: 'cookie.parse' };
  print('A warm hit, against parsing the Cookie header', 'ns a call', names, compared);
  report(PROMISES.warmHit, compared.ratio);
  await lot.leave();
  await aam.close();
  await stop();
}

void run();

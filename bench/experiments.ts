/**
 * What experiments cost: the variant of a known visitor, beside one bare SHA-256; the middleware of a site that has experiments
 * and uses none of them for a page; and the memory of the units that have been exposed.
 */
import { hash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { type AamSegments, aamSegments } from 'express-aam-segments';
import { SeenUnits } from '../src/experiments/seen-units';
import { pageHeadersOf } from './browsers';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { type Parked, ParkingLot } from './parked-requests';
import { PROMISES, type Promised, report } from './promises';
import { ecidOf, ORG } from './visitors';

const VISITORS = 500;
/** Few enough that the young generation has room for what they leave behind. */
const CALLS = 1_000;
const PAIRS = 150;
const WARM_UP = 60;
const UNITS = 100_000;

// As in warm-hit.ts.
setFlagsFromString('--no-allocation-site-pretenuring');

const { gc } = globalThis;
if (gc === undefined) throw new Error('run with --expose-gc');

const lot = new ParkingLot();
const headers = Array.from({ length: CALLS }, (_, n) => pageHeadersOf(n % VISITORS));

/** An instance that has all visitors in its cache. */
async function startWarm(dcs: object): Promise<AamSegments<'golfFans'>> {
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: 984_263 },
    cache: { ttlMs: 3_600_000 },
    maxWaitMs: 10_000,
    dcs: { ...dcs, maxQueuedCalls: VISITORS },
  });
  const firstViews = (await lot.park(headers.slice(0, VISITORS))).map(({ req, res }) => {
    return new Promise<void>((resolve) => aam(req, res, () => resolve()));
  });
  await Promise.all(firstViews);
  return aam;
}

/** The time of `call`, for requests on which `before` has been called. */
async function nanoseconds(before: (parked: Parked, n: number) => void, call: (parked: Parked, n: number) => void) {
  const parked = await lot.park(headers);
  parked.forEach(before);
  gc?.({ type: 'minor' });
  const startedAt = process.hrtime.bigint();
  for (let n = 0; n < CALLS; n++) call(parked[n] as Parked, n);
  return Number(process.hrtime.bigint() - startedAt) / CALLS;
}

const nothing = () => {};

/** @param isFirst whether nothing has read a segment yet, so that making the response private is part of the time */
async function measureVariant(dcs: object, promise: Promised, isFirst: boolean): Promise<void> {
  const aam = await startWarm(dcs);
  const hero = aam.experiment({ name: 'autumn-hero', variants: { control: 50, links: 50 } });
  const texts = Array.from({ length: CALLS }, (_, n) => `variant\nautumn-hero\nlinks\n${ecidOf(n % VISITORS)}`);
  const serve = ({ req, res }: Parked) =>
    aam(req, res, () => {
      if (!isFirst) req.aamSegments.has('golfFans');
    });
  let used = 0;
  const use = (text: string) => {
    used += text.length;
  };
  const compared = await interleaved(
    {
      a: () => nanoseconds(serve, ({ req }) => use(hero.variantOf(req))),
      b: () => nanoseconds(serve, (_, n) => use(hash('sha256', texts[n] as string))),
    },
    { pairs: PAIRS, warmUp: WARM_UP },
  );
  const calls = (PAIRS + WARM_UP) * CALLS;
  if (hero.stats().assigned !== calls || used < calls) throw new Error('not every call had a variant');
  const page = isFirst ? 'as the first reading' : 'on a page that reads a segment';
  const names = { a: 'variantOf()', b: 'a bare SHA-256' };
  print(`The variant of a known visitor, ${page}, against a bare SHA-256 of such a text`, 'ns a call', names, compared);
  report(promise, compared.a / 1_000);
  await aam.close();
}

async function measureUnused(dcs: object): Promise<void> {
  const aam = await startWarm(dcs);
  const other = await startWarm(dcs);
  for (let n = 0; n < 10; n++) other.experiment({ name: `test ${n}`, variants: { a: 1, b: 1 }, audience: 'golfFans' });
  const compared = await interleaved(
    {
      a: () => nanoseconds(nothing, ({ req, res }) => other(req, res, nothing)),
      b: () => nanoseconds(nothing, ({ req, res }) => aam(req, res, nothing)),
    },
    { pairs: PAIRS, warmUp: WARM_UP },
  );
  const names = { a: 'with ten experiments', b: 'without' };
  print('The middleware where ten experiments are defined and none is used', 'ns a call', names, compared);
  report(PROMISES.unusedExperiments, compared.ratio);
  await aam.close();
  await other.close();
}

function measureMemory(): void {
  const bytesOf = (units: number) => {
    gc?.();
    const before = process.memoryUsage().heapUsed;
    const seen = new SeenUnits(UNITS);
    for (let n = 0; n < units; n++) seen.add(Number.parseInt(hash('sha256', ecidOf(n)).slice(0, 13), 16));
    gc?.();
    const bytes = process.memoryUsage().heapUsed - before;
    if (seen.has(-1)) throw new Error('unreachable: keeps the units alive until here');
    return bytes;
  };
  bytesOf(UNITS);
  const few = bytesOf(UNITS);
  const many = bytesOf(5 * UNITS);
  console.log(
    `\n${UNITS} exposed units: ${(few / 2 ** 20).toFixed(1)} MB; after five times as many: ${(many / 2 ** 20).toFixed(1)} MB`,
  );
  report(PROMISES.exposedUnits, many / UNITS);
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(VISITORS);
  await measureVariant(dcs, PROMISES.variant, false);
  await measureVariant(dcs, PROMISES.firstVariant, true);
  await measureUnused(dcs);
  measureMemory();
  await lot.leave();
  await stop();
}

void run();

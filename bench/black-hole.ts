/**
 * CPU time of a page view while a region and the alias are black-holed and their circuit breakers open, compared with a warm hit
 * of the same app; and how soon visitors are served again when the region comes back. Probes of the breakers are included.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AamStats } from 'express-aam-segments';
import { createDcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { consentingCookieHeaderOf } from './browsers';
import { interleaved, print } from './interleaved';
import { PROMISES, type Promised, report } from './promises';
import { startSite } from './site-process';
import { ecidOf, segmentsOf } from './visitors';

const WARM_REGION = 9;
const BLACK_HOLE = 7;
const VISITORS = 1_000;
const REQUESTS = 2_500;
const CONNECTIONS = 8;
const PAIRS = 30;
const WARM_UP = 4;
/** The default `cache.emptyTtlMs`. */
const EMPTY_TTL_MS = 15_000;

async function run(): Promise<void> {
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  const { origins, defaultOrigin } = simulator.dcs;
  // Visitors without segments become stale after 15 s: the warm ones get segments, the stale ones do not.
  for (let n = 0; n < VISITORS; n++) simulator.visitor(ecidOf(n)).in(...segmentsOf(n));
  const site = await startSite('unread', simulator.dcs);
  const pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CONNECTIONS });
  const view = async (cookie: string) => {
    const { body } = await pool.request({ path: '/', method: 'GET', headers: { cookie } });
    await body.dump();
  };
  const viewMany = async (count: number, cookieOf: (n: number) => string) => {
    let sent = 0;
    const client = async () => {
      while (sent < count) await view(cookieOf(sent++));
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  };

  const warm = Array.from({ length: VISITORS }, (_, n) => consentingCookieHeaderOf(n, WARM_REGION));
  const stale = Array.from({ length: VISITORS }, (_, n) => consentingCookieHeaderOf(VISITORS + n, BLACK_HOLE));
  let strangers = 2 * VISITORS;
  const cookies = {
    warm: (n: number) => warm[n % VISITORS] as string,
    stale: (n: number) => stale[n % VISITORS] as string,
    cold: () => consentingCookieHeaderOf(strangers++, BLACK_HOLE),
  };
  await viewMany(VISITORS, cookies.warm);
  await viewMany(VISITORS, cookies.stale);
  await sleep(EMPTY_TTL_MS);

  const hangs = [BLACK_HOLE, 'alias' as const].map((region) => simulator.fault({ kind: 'hang' }, { region }));
  const areOpen = async () => {
    const gates = (await site.stats()).origins;
    return [origins[BLACK_HOLE] as string, defaultOrigin].every((origin) => gates[origin]?.breaker === 'open');
  };
  while (!(await areOpen())) await viewMany(CONNECTIONS, cookies.cold);

  const compare = async (
    promise: Promised,
    name: string,
    cookieOf: (n: number) => string,
    status: keyof AamStats['requests'],
  ) => {
    const cpuMicroseconds = async (of: (n: number) => string) => {
      const before = await site.cpuMicros();
      await viewMany(REQUESTS, of);
      return ((await site.cpuMicros()) - before) / REQUESTS;
    };
    const before = (await site.stats()).requests;
    const measure = { a: () => cpuMicroseconds(cookieOf), b: () => cpuMicroseconds(cookies.warm) };
    const compared = await interleaved(measure, { pairs: PAIRS, warmUp: WARM_UP });
    const after = (await site.stats()).requests;
    const views = (PAIRS + WARM_UP) * REQUESTS;
    if (after[status] - before[status] !== views || after.cached - before.cached !== views) {
      throw new Error(`not every view was ${status} or a warm hit`);
    }
    const names = { a: name, b: 'known, warm' };
    print('A page view while a region is black-holed, bare app', 'µs of CPU', names, compared);
    report(promise, compared.ratio);
  };
  await compare(PROMISES.blackHoleUnknown, 'unknown visitor, breakers open', cookies.cold, 'unknown');
  await compare(PROMISES.blackHoleStale, 'stale answer, breakers open', cookies.stale, 'stale');

  for (const hang of hangs) hang.clear();
  simulator.clear();
  // A new visitor each time, so that the one served fresh is not the one whose call was the probe.
  const { fresh } = (await site.stats()).requests;
  while ((await site.stats()).requests.fresh === fresh) {
    await view(cookies.cold());
    await sleep(1);
  }
  const servedAtMs = performance.now();
  const [probe] = simulator.requests;
  if (probe === undefined) throw new Error('fresh answers without a call');
  console.log('\nThe region comes back');
  report(PROMISES.recovery, servedAtMs - probe.at);
  await pool.close();
  await site.stop();
  await simulator.close();
}

void run();

/**
 * What a page view costs while a region is black-holed and its breaker open, against a warm one of the same app; and how
 * soon the region's visitors are served again when it comes back. Every now and then a call tries the region: that is in
 * the figure.
 */
import { createDcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { interleaved, print } from './interleaved';
import { startSite } from './site-process';
import { cookieHeaderOf } from './visitors';

const WARM_REGION = 9;
const BLACK_HOLE = 7;
const VISITORS = 1_000;
const REQUESTS = 4_000;
const CONNECTIONS = 8;

async function run(): Promise<void> {
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  const site = await startSite('bare', { ...simulator.dcs, failover: false, timeoutMs: 200 });
  const pool = new Pool(`http://127.0.0.1:${site.port}`, { connections: CONNECTIONS });
  const view = async (cookie: string) => {
    const { body } = await pool.request({ path: '/', method: 'GET', headers: { cookie } });
    await body.dump();
  };
  const viewMany = async (cookieOf: (n: number) => string) => {
    let sent = 0;
    const client = async () => {
      while (sent < REQUESTS) await view(cookieOf(sent++));
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  };
  const breaker = async () => (await site.stats()).origins[simulator.dcs.origins[BLACK_HOLE] as string]?.breaker;

  const warm = Array.from({ length: VISITORS }, (_, n) => cookieHeaderOf(n, WARM_REGION));
  let strangers = VISITORS;
  const cookies = {
    warm: (n: number) => warm[n % VISITORS] as string,
    cold: () => cookieHeaderOf(strangers++, BLACK_HOLE),
  };
  const hang = simulator.fault({ kind: 'hang' }, { region: BLACK_HOLE });
  await viewMany(cookies.warm);
  while ((await breaker()) !== 'open') await view(cookies.cold());

  const cpuMicroseconds = async (cookieOf: (n: number) => string) => {
    const before = await site.use('ours');
    await viewMany(cookieOf);
    return ((await site.use('ours')) - before) / REQUESTS;
  };
  const measure = { a: () => cpuMicroseconds(cookies.cold), b: () => cpuMicroseconds(cookies.warm) };
  const compared = await interleaved(measure, { pairs: 30, warmUp: 4 });
  const names = { a: 'nobody knows, the breaker is open', b: 'known, warm' };
  print('A page view while a region is black-holed, bare app', 'µs of CPU', names, compared, 'at most 1.2');

  hang.clear();
  simulator.clear();
  const { fresh } = (await site.stats()).requests;
  while ((await site.stats()).requests.fresh === fresh) await view(cookies.cold());
  const tookMs = performance.now() - (simulator.requests[0]?.at ?? Number.NaN);
  console.log(
    `\nThe region comes back: fresh answers ${tookMs.toFixed(0)} ms after the call that tries it; at most 2000`,
  );
  await pool.close();
  site.stop();
  await simulator.close();
}

void run();

/** CPU time of one call to the DCS: against a bare undici pool, and with few and many visitors waiting for theirs. */
import { createDcsClient, type DcsClient } from 'express-aam-segments';
import { Pool } from 'undici';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { PROMISES, report } from './promises';
import { ecidOf, ORG } from './visitors';

const CONNECTIONS = 32;
const CALLS = 20_000;
const PAIRS = 7;

let next = 0;

/** Makes so many calls at a time, each by a function of its own, and measures the process's CPU time per call. */
async function cpuMicrosPerCall(atATime: number, call: (n: number) => Promise<unknown>): Promise<number> {
  let started = 0;
  let before: NodeJS.CpuUsage | undefined;
  const one = async () => {
    while (started < CALLS + atATime) {
      // The first ones fill the queue: not what is measured.
      if (++started === atATime + 1) before = process.cpuUsage();
      await call(next++);
    }
  };
  await Promise.all(Array.from({ length: atATime }, one));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(0);
  const client: DcsClient = createDcsClient({
    orgId: ORG,
    partner: 'acme',
    dcs: { ...dcs, connections: CONNECTIONS, maxQueuedCalls: 10_000, timeoutMs: 60_000, failureCooldownMs: 0 },
  });
  const pool = new Pool(dcs.defaultOrigin, { connections: CONNECTIONS });
  const organisation = encodeURIComponent(ORG);
  const bare = async (n: number) => {
    const { body } = await pool.request({
      path: `/event?d_rtbd=json&d_jsonv=1&d_mid=${ecidOf(n)}&d_orgid=${organisation}&d_cts=2`,
      method: 'GET',
      headers: { host: 'acme.demdex.net' },
    });
    JSON.parse(await body.text());
  };
  const lookup = (n: number): Promise<unknown> => client.lookup({ ecid: ecidOf(n) });
  const waiting =
    (count: number, call = lookup) =>
    () =>
      cpuMicrosPerCall(CONNECTIONS + count, call);

  const settings = { pairs: PAIRS, warmUp: 2 };
  const againstPool = await interleaved({ a: waiting(0), b: waiting(0, bare) }, settings);
  print('A call', 'µs of CPU', { a: 'client.lookup()', b: 'bare undici pool' }, againstPool);
  report(PROMISES.call, againstPool.ratio);
  const few = await interleaved({ a: waiting(64), b: waiting(1) }, settings);
  print('A call while visitors wait', 'µs of CPU', { a: '64 waiting', b: '1 waiting' }, few);
  report(PROMISES.fewWaiting, few.ratio);
  const many = await interleaved({ a: waiting(5_000), b: waiting(1) }, settings);
  print('A call while visitors wait', 'µs of CPU', { a: '5 000 waiting', b: '1 waiting' }, many);
  report(PROMISES.manyWaiting, many.ratio);
  // Nothing of ours: what it costs that many objects live for longer.
  const manyOfPool = await interleaved({ a: waiting(5_000, bare), b: waiting(1, bare) }, settings);
  print('The same with the bare pool', 'µs of CPU', { a: '5 000 waiting', b: '1 waiting' }, manyOfPool);

  await pool.close();
  await client.close();
  await stop();
}

void run();

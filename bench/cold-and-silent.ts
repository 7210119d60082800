/** The promises for new visitors and for a DCS that never answers: calls made, time waited, pages served. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { type AamSegmentsOptions, aamSegments } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { PROMISES, report } from './promises';
import { cookieHeaderOf, ecidOf, ORG } from './visitors';

interface Site {
  readonly simulator: DcsSimulator;
  /** Views a page; resolves to its HTTP status, its segment status and the milliseconds it took. */
  view(visitor: number): Promise<{ statusCode: number; status: string; tookMs: number }>;
  stop(): Promise<void>;
}

async function startSite(options: Partial<AamSegmentsOptions>): Promise<Site> {
  const simulator = await createDcsSimulator({ segmentIds: true });
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    dcs: { ...simulator.dcs, ...options.dcs },
    maxWaitMs: options.maxWaitMs,
  });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => res.send(req.aamSegments.status));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 200 });
  return {
    simulator,
    async view(visitor) {
      const before = performance.now();
      const { statusCode, body } = await pool.request({
        path: '/',
        method: 'GET',
        headers: { cookie: cookieHeaderOf(visitor) },
      });
      return { statusCode, status: await body.text(), tookMs: performance.now() - before };
    },
    async stop() {
      await pool.close();
      server.close();
      await aam.close();
      await simulator.close();
    },
  };
}

async function cold(): Promise<void> {
  const { view, simulator, stop } = await startSite({ maxWaitMs: 5_000 });
  simulator.fault({ kind: 'latency', latencyMs: 200 });
  const views = await Promise.all(Array.from({ length: 200 }, () => view(0)));
  const calls = simulator.requestsOf(ecidOf(0)).length;
  await stop();
  report(PROMISES.coldCalls, calls);
  report(PROMISES.coldPages, views.filter(({ status }) => status === 'fresh').length);
}

async function silent(): Promise<void> {
  const { view, simulator, stop } = await startSite({ maxWaitMs: 150 });
  simulator.fault({ kind: 'hang' });
  // Warm-up: the first views also open connections and compile code.
  for (let n = 0; n < 20; n++) await view(n);
  const views = [];
  for (let n = 20; n < 120; n++) views.push(await view(n));
  await stop();
  report(PROMISES.silentPages, views.filter(({ statusCode }) => statusCode === 200).length);
  report(PROMISES.silentSlowest, Math.max(...views.map(({ tookMs }) => tookMs)));
}

async function run(): Promise<void> {
  console.log('\n200 simultaneous requests of one new visitor; the DCS answers after 200 ms');
  await cold();
  console.log('\nA DCS that accepts calls and never answers, maxWaitMs: 150, 100 visitors one after the other');
  await silent();
}

void run();

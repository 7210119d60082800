/** The same five scenarios on this package and on what people write otherwise: see docs/alternatives.md. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { aamSegments } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { fetchPerRequest } from './alternatives/fetch-per-request';
import { lruCacheFetch } from './alternatives/lru-cache-fetch';
import { promiseRace } from './alternatives/promise-race';
import { cookieHeaderOf, ecidOf, ORG, segmentsOf } from './visitors';

const MAX_WAIT_MS = 150;
const TTL_MS = 200;
const VISITORS = 50;

interface Contender {
  readonly middleware: RequestHandler;
  close?(): Promise<void>;
}

const CONTENDERS: Readonly<Record<string, (simulator: DcsSimulator) => Contender>> = {
  'a call per request': ({ dcs }) => ({ middleware: fetchPerRequest(dcs) }),
  'a call raced with a timer': ({ dcs }) => ({ middleware: promiseRace(dcs, MAX_WAIT_MS) }),
  'fetch() of lru-cache': ({ dcs }) => ({ middleware: lruCacheFetch(dcs, TTL_MS) }),
  'this package': ({ dcs }) => {
    const aam = aamSegments({ orgId: ORG, partner: 'acme', maxWaitMs: MAX_WAIT_MS, cache: { ttlMs: TTL_MS }, dcs });
    const middleware: RequestHandler = (req, res, next) =>
      aam(req, res, (error) => {
        res.locals.ids = req.aamSegments.ids;
        next(error);
      });
    return { middleware, close: () => aam.close() };
  },
};

interface View {
  readonly tookMs: number;
  readonly isError: boolean;
  readonly isRight: boolean;
}

interface Scene {
  readonly simulator: DcsSimulator;
  view(visitor: number): Promise<View>;
}

const all = (count: number, view: (n: number) => Promise<View>) =>
  Promise.all(Array.from({ length: count }, (_, n) => view(n)));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Each resolves to the views that count. */
const SCENARIOS: Readonly<Record<string, (scene: Scene) => Promise<readonly View[]>>> = {
  '200 requests at once of one visitor nobody has seen': ({ simulator, view }) => {
    simulator.fault({ kind: 'latency', latencyMs: 50 });
    return all(200, () => view(0));
  },
  'the DCS accepts calls and never answers, 50 visitors twice': async ({ simulator, view }) => {
    simulator.fault({ kind: 'hang' });
    return [...(await all(VISITORS, view)), ...(await all(VISITORS, view))];
  },
  'the DCS takes 400 ms, 50 visitors come back after half a second': async ({ simulator, view }) => {
    simulator.fault({ kind: 'latency', latencyMs: 400 });
    const first = await all(VISITORS, view);
    await pause(500);
    return [...first, ...(await all(VISITORS, view))];
  },
  'the DCS answers 503 when 50 known visitors come back': async ({ simulator, view }) => {
    await all(VISITORS, view);
    await pause(2 * TTL_MS);
    simulator.fault({ kind: 'status', status: 503 });
    return all(VISITORS, view);
  },
  'the DCS hangs for three seconds, 50 known visitors view a page each 300 ms': async ({ simulator, view }) => {
    await all(VISITORS, view);
    await pause(2 * TTL_MS);
    simulator.fault({ kind: 'hang' });
    const views: Promise<View>[] = [];
    for (let n = 0; n < 10; n++) {
      for (let visitor = 0; visitor < VISITORS; visitor++) views.push(view(visitor));
      await pause(300);
    }
    return Promise.all(views);
  },
};

async function play(
  create: (simulator: DcsSimulator) => Contender,
  scenario: (scene: Scene) => Promise<readonly View[]>,
) {
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  for (let n = 0; n < VISITORS; n++) simulator.visitor(ecidOf(n)).in(...segmentsOf(n));
  const { middleware, close } = create(simulator);
  const app = express();
  app.get('/', middleware, (_req, res) => res.json(res.locals.ids));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 500 });
  const view = async (n: number): Promise<View> => {
    const before = performance.now();
    const { statusCode, body } = await pool.request({
      path: '/',
      method: 'GET',
      headers: { cookie: cookieHeaderOf(n) },
    });
    const ids = (await body.json()) as string[];
    const isRight = [...ids].sort().join() === segmentsOf(n).map(String).sort().join();
    return { tookMs: performance.now() - before, isError: statusCode >= 500, isRight };
  };
  // Somebody else, so that code is compiled and connections to the site are open.
  await all(20, () => view(VISITORS + 1));
  await pause(2 * TTL_MS);
  const before = simulator.requests.length;
  const views = await scenario({ simulator, view });
  // Until the calls in the background have been made, and have ended.
  await pause(1_500);
  const result = {
    calls: simulator.requests.length - before,
    overlapping: simulator.overlaps.filter(({ visitor }) => visitor !== ecidOf(VISITORS + 1)).length,
    'slowest page, ms': Math.round(Math.max(...views.map(({ tookMs }) => tookMs))),
    pages: views.length,
    'with their segments': views.filter(({ isRight }) => isRight).length,
    errors: views.filter(({ isError }) => isError).length,
  };
  await pool.close();
  server.close();
  await close?.();
  await simulator.close();
  return result;
}

async function run(): Promise<void> {
  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    console.log(`\n${title}`);
    const rows: Record<string, unknown> = {};
    for (const [name, create] of Object.entries(CONTENDERS)) rows[name] = await play(create, scenario);
    console.table(rows);
  }
}

void run();

/** The same scenarios with this package and with common alternatives: the figures in docs/comparison.md. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type RequestHandler } from 'express';
import { aamSegments } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator, type Fault } from 'express-aam-segments/testing';
import { Pool } from 'undici';
import { fetchPerRequest } from './alternatives/fetch-per-request';
import { lruCacheFetch } from './alternatives/lru-cache-fetch';
import { promiseRace } from './alternatives/promise-race';
import { PROMISES, report } from './promises';
import { cookieHeaderOf, ecidOf, ORG, segmentsOf } from './visitors';

const MAX_WAIT_MS = 150;
const TTL_MS = 200;
const VISITORS = 50;
/** The visitor of the warm-up views. */
const WARM_UP_VISITOR = VISITORS;
const CONNECTIONS = 200;
const OURS = 'this package';

interface Contender {
  readonly middleware: RequestHandler;
  close?(): Promise<void>;
}

type Create = (simulator: DcsSimulator) => Contender;

const CONTENDERS: Readonly<Record<string, Create>> = {
  'call per request': ({ dcs }) => ({ middleware: fetchPerRequest(dcs) }),
  'promise race': ({ dcs }) => ({ middleware: promiseRace(dcs, MAX_WAIT_MS) }),
  'lru-cache fetch()': ({ dcs }) => ({ middleware: lruCacheFetch(dcs, TTL_MS) }),
  [OURS]: ({ dcs }) => {
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

const viewAll = (view: Scene['view']) => Promise.all(Array.from({ length: VISITORS }, (_, n) => view(n)));

/** All visitors are cached, past their ttl. */
async function knownAndExpired({ view }: Scene): Promise<void> {
  await viewAll(view);
  await sleep(2 * TTL_MS);
}

/** All visitors view a page every 300 ms for three seconds. */
async function underLoad({ simulator, view }: Scene, fault: Fault): Promise<View[]> {
  simulator.fault(fault);
  const rounds: Promise<View[]>[] = [];
  for (let n = 0; n < 10; n++) {
    rounds.push(viewAll(view));
    await sleep(300);
  }
  return (await Promise.all(rounds)).flat();
}

interface Scenario {
  readonly title: string;
  /** Runs before the measured views. */
  prepare?(scene: Scene): Promise<void>;
  /** Resolves to the measured views. */
  play(scene: Scene): Promise<readonly View[]>;
}

const slow: Fault = { kind: 'latency', latencyMs: 400 };

const SCENARIOS: readonly Scenario[] = [
  {
    title: '1. 200 simultaneous requests of one new visitor; the DCS takes 50 ms',
    play({ simulator, view }) {
      simulator.fault({ kind: 'latency', latencyMs: 50 });
      return Promise.all(Array.from({ length: 200 }, () => view(0)));
    },
  },
  {
    title: '2a. The DCS accepts calls and never answers; 15 visitors one after the other',
    async play({ simulator, view }) {
      simulator.fault({ kind: 'hang' });
      const views: View[] = [];
      for (let n = 0; n < 15; n++) views.push(await view(n));
      return views;
    },
  },
  {
    title: '2b. The DCS accepts calls and never answers; 50 visitors at once',
    play({ simulator, view }) {
      simulator.fault({ kind: 'hang' });
      return viewAll(view);
    },
  },
  {
    title: '3a. The DCS takes 400 ms; the first view of 50 visitors',
    play({ simulator, view }) {
      simulator.fault(slow);
      return viewAll(view);
    },
  },
  {
    title: '3b. The DCS takes 400 ms; their second view, 500 ms after the first',
    async prepare({ simulator, view }) {
      simulator.fault(slow);
      const before = performance.now();
      await viewAll(view);
      await sleep(500 - (performance.now() - before));
    },
    play: ({ view }) => viewAll(view),
  },
  {
    title: '4. The DCS answers 503 when 50 known visitors come back after the ttl',
    prepare: knownAndExpired,
    play({ simulator, view }) {
      simulator.fault({ kind: 'status', status: 503 });
      return viewAll(view);
    },
  },
  {
    title: '5a. The DCS answers 429 for three seconds; 50 known visitors view a page every 300 ms',
    prepare: knownAndExpired,
    play: (scene) => underLoad(scene, { kind: 'status', status: 429 }),
  },
  {
    title: '5b. The DCS resets connections for three seconds; the same load',
    prepare: knownAndExpired,
    play: (scene) => underLoad(scene, { kind: 'reset' }),
  },
  {
    title: '5c. The DCS never answers for three seconds; the same load',
    prepare: knownAndExpired,
    play: (scene) => underLoad(scene, { kind: 'hang' }),
  },
];

async function measure(create: Create, { prepare, play }: Scenario): Promise<Record<string, number>> {
  const simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  for (let n = 0; n < VISITORS; n++) simulator.visitor(ecidOf(n)).in(...segmentsOf(n));
  const { middleware, close } = create(simulator);
  const app = express();
  app.get('/', middleware, (_req, res) => res.json(res.locals.ids));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS });
  const view = async (n: number): Promise<View> => {
    const before = performance.now();
    const headers = { cookie: cookieHeaderOf(n) };
    const { statusCode, body } = await pool.request({ path: '/', method: 'GET', headers });
    const text = await body.text();
    const tookMs = performance.now() - before;
    const isError = statusCode !== 200;
    return { tookMs, isError, isRight: !isError && holds(JSON.parse(text), segmentsOf(n)) };
  };
  const scene = { simulator, view };
  // Warm-up: compiles code and opens connections to the site.
  await Promise.all(Array.from({ length: CONNECTIONS }, () => view(WARM_UP_VISITOR)));
  await sleep(2 * TTL_MS);
  await prepare?.(scene);
  const measured = new Set(Array.from({ length: VISITORS }, (_, n) => ecidOf(n)));
  const callsOfVisitors = () =>
    simulator.requests.filter(({ visitor }) => visitor !== undefined && measured.has(visitor));
  const before = callsOfVisitors().length;
  const views = await play(scene);
  // Background calls end within the deadline of a second.
  await sleep(1_200);
  const calls = callsOfVisitors().slice(before);
  await pool.close();
  server.close();
  await close?.();
  await simulator.close();
  return {
    pages: views.length,
    'calls made': calls.length,
    'of one visitor at once': calls.filter(({ overlapped }) => overlapped).length,
    'slowest page, ms': Math.round(Math.max(...views.map(({ tookMs }) => tookMs))),
    'pages with an error': views.filter(({ isError }) => isError).length,
    'pages with their segments': views.filter(({ isRight }) => isRight).length,
  };
}

function holds(ids: readonly string[], expected: readonly number[]): boolean {
  return [...ids].sort().join() === expected.map(String).sort().join();
}

async function run(): Promise<void> {
  let failedPages = 0;
  let overlaps = 0;
  for (const scenario of SCENARIOS) {
    console.log(`\n${scenario.title}`);
    const rows: Record<string, Record<string, number>> = {};
    for (const [name, create] of Object.entries(CONTENDERS)) rows[name] = await measure(create, scenario);
    console.table(rows);
    failedPages += rows[OURS]?.['pages with an error'] ?? Number.NaN;
    overlaps += rows[OURS]?.['of one visitor at once'] ?? Number.NaN;
  }
  report(PROMISES.failedPages, failedPages);
  report(PROMISES.overlaps, overlaps);
}

void run();

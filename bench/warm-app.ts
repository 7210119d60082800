/** What a page view of a known visitor costs in CPU time, against the same Express app with a middleware that does nothing. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import cookieParser from 'cookie-parser';
import express, { type Express, type RequestHandler } from 'express';
import { type AamSegments, aamSegments } from 'express-aam-segments';
import { Pool } from 'undici';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { cookieHeaderOf, ORG } from './visitors';

const VISITORS = 1_000;
const REQUESTS = 4_000;
const CONNECTIONS = 8;
const PAIRS = 40;
const WARM_UP = 4;

interface Ports {
  readonly a: number;
  readonly b: number;
}

/** An app whose route answers a line of text: whatever a middleware costs shows most here. */
function bareApp(middleware: RequestHandler): Express {
  const app = express();
  app.use(middleware);
  app.get('/', (_req, res) => res.send('<!doctype html><title>Shop</title><h1>Welcome</h1>'));
  return app;
}

/** An app as segments are used in: cookie-parser, and a page rendered by EJS. */
function renderingApp(middleware: RequestHandler): Express {
  const app = express();
  app.set('views', __dirname).set('view engine', 'ejs').enable('view cache');
  app.use(cookieParser(), middleware);
  const products = Array.from({ length: 12 }, (_, id) => ({
    id,
    name: `Club ${id}`,
    text: 'Forged & balanced',
    price: `${id}9.90`,
  }));
  const page = { title: 'Shop', nav: ['clubs', 'balls', 'shoes'], headline: 'Welcome', products };
  app.get('/', (_req, res) => res.render('page', page));
  return app;
}

const APPS = { bare: bareApp, rendering: renderingApp };

/** The site: one process, each app with our middleware and without, so that both run on the same engine and heap. */
async function site(dcs: object): Promise<void> {
  const noop: RequestHandler = (_req, _res, next) => next();
  const instances: AamSegments[] = [];
  const listen = async (app: Express) => {
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const ports: Record<string, Ports> = {};
  for (const [name, create] of Object.entries(APPS)) {
    const aam = aamSegments({ orgId: ORG, partner: 'acme', cache: { ttlMs: 3_600_000 }, maxWaitMs: 10_000, dcs });
    instances.push(aam as AamSegments);
    ports[name] = { a: await listen(create(aam)), b: await listen(create(noop)) };
  }
  process.on('message', (question: 'cpu' | 'stats') => {
    const { user, system } = process.cpuUsage();
    process.send?.(question === 'cpu' ? user + system : instances.map((aam) => aam.stats().requests));
  });
  process.on('disconnect', () => process.exit());
  process.send?.(ports);
}

async function ask<T>(child: ChildProcess, question: 'cpu' | 'stats'): Promise<T> {
  child.send(question);
  const [answer] = (await once(child, 'message')) as [T];
  return answer;
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(VISITORS);
  const child = fork(__filename, ['site', JSON.stringify(dcs)]);
  const [ports] = (await once(child, 'message')) as [Record<string, Ports>];
  const cookies = Array.from({ length: VISITORS }, (_, n) => cookieHeaderOf(n));

  const load = async (port: number) => {
    const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS });
    let sent = 0;
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        while (sent < REQUESTS) {
          const cookie = cookies[sent++ % VISITORS] as string;
          const { body } = await pool.request({ path: '/', method: 'GET', headers: { cookie } });
          await body.dump();
        }
      }),
    );
    await pool.close();
  };
  const cpuMicroseconds = async (port: number) => {
    const before = await ask<number>(child, 'cpu');
    await load(port);
    return ((await ask<number>(child, 'cpu')) - before) / REQUESTS;
  };
  for (const [name, { a, b }] of Object.entries(ports)) {
    await load(a);
    const compared = await interleaved(
      { a: () => cpuMicroseconds(a), b: () => cpuMicroseconds(b) },
      { pairs: PAIRS, warmUp: WARM_UP },
    );
    const names = { a: 'with the middleware', b: 'with one that does nothing' };
    print(`A page view of a known visitor, ${name} app`, 'µs of CPU', names, compared, 'at most 1.05');
  }
  for (const { fresh, cached } of await ask<Record<string, number>[]>(child, 'stats')) {
    const views = (1 + WARM_UP + PAIRS) * REQUESTS;
    if (fresh !== VISITORS || cached !== views - VISITORS) throw new Error('not every view was a warm hit');
  }
  child.disconnect();
  await stop();
}

void (process.argv[2] === 'site' ? site(JSON.parse(process.argv[3] as string)) : run());

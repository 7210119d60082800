/** What a page view of a known visitor costs in CPU time, against the same Express app with a middleware that does nothing. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { aamSegments } from 'express-aam-segments';
import { Pool } from 'undici';
import { startDcs } from './dcs-process';
import { interleaved, print } from './interleaved';
import { cookieHeaderOf, ORG } from './visitors';

const VISITORS = 1_000;
const REQUESTS = 4_000;
const CONNECTIONS = 8;

interface Ports {
  readonly a: number;
  readonly b: number;
}

/** The site: one process, one app with our middleware and one without, so that both run on the same engine and heap. */
async function site(dcs: object): Promise<void> {
  const aam = aamSegments({ orgId: ORG, partner: 'acme', cache: { ttlMs: 3_600_000 }, maxWaitMs: 10_000, dcs });
  const noop: RequestHandler = (_req, _res, next) => next();
  const listen = async (middleware: RequestHandler) => {
    const app = express();
    app.use(middleware);
    app.get('/', (_req, res) => res.send('<!doctype html><title>Shop</title><h1>Welcome</h1>'));
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  process.on('message', (question: 'cpu' | 'stats') => {
    const { user, system } = process.cpuUsage();
    process.send?.(question === 'cpu' ? user + system : aam.stats().requests);
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ a: await listen(aam), b: await listen(noop) } satisfies Ports);
}

async function ask<T>(child: ChildProcess, question: 'cpu' | 'stats'): Promise<T> {
  child.send(question);
  const [answer] = (await once(child, 'message')) as [T];
  return answer;
}

async function run(): Promise<void> {
  const { dcs, stop } = await startDcs(VISITORS);
  const child = fork(__filename, ['site', JSON.stringify(dcs)]);
  const [ports] = (await once(child, 'message')) as [Ports];
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
  await load(ports.a);
  const compared = await interleaved(
    { a: () => cpuMicroseconds(ports.a), b: () => cpuMicroseconds(ports.b) },
    { pairs: 40, warmUp: 4 },
  );
  const { fresh, cached } = await ask<Record<string, number>>(child, 'stats');
  if (fresh !== VISITORS || cached !== 45 * REQUESTS - VISITORS) throw new Error('not every request was a warm hit');
  const names = { a: 'app with the middleware', b: 'same app, middleware that does nothing' };
  print('A page view of a known visitor', 'µs of CPU', names, compared, 'at most 1.05');
  child.disconnect();
  await stop();
}

void (process.argv[2] === 'site' ? site(JSON.parse(process.argv[3] as string)) : run());

/**
 * An Express site in its own process, whose middleware can be switched between ours and one that does nothing, in the same app
 * with the same heap.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import cookieParser from 'cookie-parser';
import express, { type Express, type RequestHandler } from 'express';
import { type AamStats, aamSegments } from 'express-aam-segments';
import { ORG } from './visitors';

/** `bare`: a route that sends a line of text; `rendering`: cookie-parser and a page rendered by EJS. */
export type AppKind = 'bare' | 'rendering';
export type Middleware = 'ours' | 'idle';

export interface Site {
  readonly port: number;
  /** Switches to this middleware. Resolves to the CPU time used so far, in microseconds. */
  use(middleware: Middleware): Promise<number>;
  stats(): Promise<AamStats>;
  stop(): void;
}

/** Starts a site that calls this DCS. */
export async function startSite(kind: AppKind, dcs: object): Promise<Site> {
  const child = fork(__filename, [kind, JSON.stringify(dcs)]);
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    use: (middleware) => ask(child, middleware),
    stats: () => ask(child, 'stats'),
    stop: () => child.disconnect(),
  };
}

async function ask<T>(child: ChildProcess, question: Middleware | 'stats'): Promise<T> {
  child.send(question);
  const [answer] = (await once(child, 'message')) as [T];
  return answer;
}

function bareApp(middleware: RequestHandler): Express {
  const app = express();
  app.use(middleware);
  app.get('/', (_req, res) => res.send('<!doctype html><title>Shop</title><h1>Welcome</h1>'));
  return app;
}

function renderingApp(middleware: RequestHandler): Express {
  const app = express();
  app.set('views', __dirname).set('view engine', 'ejs').enable('view cache');
  app.use(cookieParser(), middleware);
  const product = (id: number) => ({ id, name: `Club ${id}`, text: 'Forged & balanced', price: `${id}9.90` });
  const products = Array.from({ length: 12 }, (_, id) => product(id));
  const page = { title: 'Shop', nav: ['clubs', 'balls', 'shoes'], headline: 'Welcome', products };
  app.get('/', (_req, res) => res.render('page', page));
  return app;
}

async function serve(kind: AppKind, dcs: object): Promise<void> {
  const aam = aamSegments({ orgId: ORG, partner: 'acme', cache: { ttlMs: 3_600_000 }, maxWaitMs: 10_000, dcs });
  const middlewares: Record<Middleware, RequestHandler> = { ours: aam, idle: (_req, _res, next) => next() };
  let current = middlewares.ours;
  const create = kind === 'bare' ? bareApp : renderingApp;
  const server = create((req, res, next) => current(req, res, next)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', (question: Middleware | 'stats') => {
    if (question !== 'stats') current = middlewares[question];
    const { user, system } = process.cpuUsage();
    process.send?.(question === 'stats' ? aam.stats() : user + system);
  });
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (require.main === module) void serve(process.argv[2] as AppKind, JSON.parse(process.argv[3] as string));

/** A bare Express site in a process of its own, alone on its core, with one of the {@link Variant variants}. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { parse } from 'cookie';
import express, { type Request, type RequestHandler } from 'express';
import { type AamStats, aamSegments } from 'express-aam-segments';
import { moveToSiteCore } from './cores';
import { ORG } from './visitors';

/**
 * - `nothing`: a middleware that does nothing;
 * - `read`: ours, and the page reads a segment;
 * - `unread`: ours, and nobody reads segments;
 * - `floor`: a property on the request and a header, the least that such a middleware can do;
 * - `cookies`: `cookie.parse` of the Cookie header.
 */
export type Variant = 'nothing' | 'read' | 'unread' | 'floor' | 'cookies';

export interface Site {
  readonly port: number;
  /** The CPU time of all of its threads so far, in microseconds. */
  cpuMicros(): Promise<number>;
  stats(): Promise<AamStats>;
  stop(): Promise<void>;
}

type Question = 'cpuMicros' | 'stats';

/** Starts a site that calls this DCS. */
export async function startSite(variant: Variant, dcs: object): Promise<Site> {
  const child = fork(__filename, [variant, JSON.stringify(dcs)]);
  moveToSiteCore(child.pid as number);
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    cpuMicros: () => ask(child, 'cpuMicros'),
    stats: () => ask(child, 'stats'),
    async stop() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

async function ask<T>(child: ChildProcess, question: Question): Promise<T> {
  child.send(question);
  const [answer] = (await once(child, 'message')) as [T];
  return answer;
}

const CLUB = '<!doctype html><title>Shop</title><h1>Welcome to the club</h1>';
const SHOP = '<!doctype html><title>Shop</title><h1>Welcome to the shop</h1>';

async function serve(variant: Variant, dcs: object): Promise<void> {
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: 984_007 },
    consent: { required: true },
    cache: { ttlMs: 3_600_000 },
    maxWaitMs: 10_000,
    dcs,
  });
  const middlewares: Record<Variant, RequestHandler> = {
    nothing: (_req, _res, next) => next(),
    read: aam,
    unread: aam,
    floor(req, res, next) {
      (req as Request & { visit: object }).visit = { segments: variant };
      res.setHeader('Cache-Control', 'private');
      next();
    },
    cookies(req, _res, next) {
      req.cookies = parse(req.headers.cookie ?? '');
      next();
    },
  };
  const app = express();
  app.use(middlewares[variant]);
  if (variant === 'read') app.get('/', (req, res) => res.send(req.aamSegments.has('golfFans') ? CLUB : SHOP));
  else app.get('/', (_req, res) => res.send(SHOP));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', (question: Question) => {
    const { user, system } = process.cpuUsage();
    process.send?.(question === 'stats' ? aam.stats() : user + system);
  });
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (require.main === module) void serve(process.argv[2] as Variant, JSON.parse(process.argv[3] as string));

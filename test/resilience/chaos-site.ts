/**
 * The site of the chaos suite, in its own process: a personalised page, one that tells Adobe something, a desk that opts visitors
 * out, and an idle route that only waits for maxWaitMs. What the idle route takes beyond that is the overhead of the machine.
 */
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Request, RequestHandler } from 'express';
import {
  type AamSegmentsOptions,
  type AamStats,
  aamSegments,
  createDcsClient,
  type DcsClientStats,
} from 'express-aam-segments';

/** The content of a page. */
export interface Page {
  readonly status: string;
  readonly reason?: string;
  readonly ids: readonly string[];
  /** Time in the middleware, until its `next()`. */
  readonly heldMs: number;
  /** The place of the request in the order in which the site got them. The calls that it sets off carry it. */
  readonly seq: number;
}

/** What the desk did. */
export interface DeskAnswer {
  readonly seq: number;
  /** Of an opt-out that failed. */
  readonly code?: string;
}

/** The state of the process. */
export interface SiteReport {
  readonly heapBytes: number;
  readonly dcsSockets: number;
  readonly stats: AamStats;
  readonly deskStats: DcsClientStats;
  /** Promises of events, opt-outs and the desk's lookups: made, and settled. */
  readonly promises: { readonly made: number; readonly settled: number };
}

export interface SiteSetup {
  /** The package to take Express from. */
  readonly express: 'express' | 'express4';
  readonly aam: AamSegmentsOptions;
  /** Sockets of the desk for each origin. */
  readonly deskConnections: number;
  /** How long the idle route waits. */
  readonly idleMs: number;
}

const startedAtMs = new WeakMap<object, number>();
const seqs = new WeakMap<object, number>();
let requests = 0;
const start: RequestHandler = (req, _res, next) => {
  startedAtMs.set(req, performance.now());
  seqs.set(req, requests++);
  next();
};
const seqOf = (req: object) => seqs.get(req) as number;
const heldMs = (req: object) => performance.now() - (startedAtMs.get(req) as number);

async function serve({ express: packageName, aam: options, deskConnections, idleMs }: SiteSetup): Promise<void> {
  const dcsSockets = new Set<Socket>();
  // The only client sockets in this process are those to the DCS.
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { socket: Socket };
    dcsSockets.add(socket);
    socket.once('close', () => dcsSockets.delete(socket));
  });

  const express: typeof import('express') = require(packageName);
  const aam = aamSegments({
    ...options,
    // Calls about these visitors show which request has set them off.
    signals: (req) => (req.headers['x-marked'] === undefined ? undefined : { c_seq: seqOf(req) }),
  });
  const { orgId, partner, dcs } = options;
  const desk = createDcsClient({ orgId, partner, dcs: { ...dcs, connections: deskConnections } });
  const promises = { made: 0, settled: 0 };
  const counted = (promise: Promise<unknown>): Promise<string | undefined> => {
    promises.made++;
    const code = promise.then(
      () => undefined,
      (error) => error.code as string,
    );
    return code.finally(() => promises.settled++);
  };
  const page = (req: Request): Page => {
    const held = heldMs(req);
    const { status, reason, ids } = req.aamSegments;
    return { status, ...(reason !== undefined && { reason }), ids, heldMs: held, seq: seqOf(req) };
  };
  /** Events are numbered in the order in which they are told. */
  let events = 0;
  const app = express();
  app.get('/idle', start, (req, res) => void setTimeout(() => res.json({ heldMs: heldMs(req) }), idleMs));
  app.get('/page', start, aam, (req, res) => void res.json(page(req)));
  app.get('/tell', start, aam, (req, res) => {
    const refresh = events % 3 !== 0;
    void counted(aam.sendEvent(req, { c_n: events++, c_seq: seqOf(req) }, { refresh }));
    res.json(page(req));
  });
  app.get('/desk/:what/:ecid', start, async (req, res) => {
    const { what, ecid } = req.params as { what: string; ecid: string };
    const seq = seqOf(req);
    if (what === 'lookup') void counted(desk.lookup({ ecid }));
    if (what === 'tell') void counted(desk.sendEvent({ ecid }, { c_n: events++, c_seq: seq }));
    const code = what === 'opt-out' ? await counted(desk.optOut({ ecid }, { irreversible: true })) : undefined;
    res.json({ seq, ...(code !== undefined && { code }) } satisfies DeskAnswer);
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');

  process.on('message', async () => {
    // Twice, with a turn of the event loop between, since finalizers release more.
    for (let n = 0; n < 2; n++) {
      globalThis.gc?.();
      await new Promise(setImmediate);
    }
    const { heapUsed } = process.memoryUsage();
    const report = { stats: aam.stats(), deskStats: desk.stats(), promises };
    process.send?.({ heapBytes: heapUsed, dcsSockets: dcsSockets.size, ...report } satisfies SiteReport);
  });
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (require.main === module) void serve(JSON.parse(process.argv[2] as string));

/**
 * The site of the chaos suite, in its own process: a personalised page, and an idle route that only waits for maxWaitMs. What the
 * idle route takes beyond that is the overhead of the machine.
 */
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { RequestHandler } from 'express';
import { type AamSegmentsOptions, type AamStats, aamSegments } from 'express-aam-segments';

/** The content of a page. */
export interface Page {
  readonly status: string;
  readonly reason?: string;
  readonly ids: readonly string[];
  /** Time in the middleware, until its `next()`. */
  readonly heldMs: number;
}

/** The state of the process. */
export interface SiteReport {
  readonly heapBytes: number;
  readonly dcsSockets: number;
  readonly stats: AamStats;
}

export interface SiteSetup {
  /** The package to take Express from. */
  readonly express: 'express' | 'express4';
  readonly aam: AamSegmentsOptions;
  /** How long the idle route waits. */
  readonly idleMs: number;
}

const startedAtMs = new WeakMap<object, number>();
const start: RequestHandler = (req, _res, next) => {
  startedAtMs.set(req, performance.now());
  next();
};
const heldMs = (req: object) => performance.now() - (startedAtMs.get(req) as number);

async function serve({ express: packageName, aam: options, idleMs }: SiteSetup): Promise<void> {
  const dcsSockets = new Set<Socket>();
  // The only client sockets in this process are those to the DCS.
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { socket: Socket };
    dcsSockets.add(socket);
    socket.once('close', () => dcsSockets.delete(socket));
  });

  const express: typeof import('express') = require(packageName);
  const aam = aamSegments(options);
  const app = express();
  app.get('/idle', start, (req, res) => void setTimeout(() => res.json({ heldMs: heldMs(req) }), idleMs));
  app.get('/page', start, aam, (req, res) => {
    const held = heldMs(req);
    const { status, reason, ids } = req.aamSegments;
    res.json({ status, reason, ids, heldMs: held });
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
    process.send?.({ heapBytes: heapUsed, dcsSockets: dcsSockets.size, stats: aam.stats() } satisfies SiteReport);
  });
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (require.main === module) void serve(JSON.parse(process.argv[2] as string));

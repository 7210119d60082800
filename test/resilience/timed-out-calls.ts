/**
 * Runs in its own process with --expose-gc: makes thousands of calls to a server that never answers, and prints what is left of
 * them.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { aamSegments } from 'express-aam-segments';

const CALLS = 10_000;
/** Far fewer than connections: each call has its own until that is closed. */
const AT_ONCE = 20;
/** In turn, since what is remembered of a visitor's calls for a minute is not left of a call. */
const VISITORS = 500;

/** The minimum within two seconds, since undici releases a connection that timed out only after one. */
async function settledHeapBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 20; n++) {
    least = Math.min(least, await heapBytes());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return least;
}

async function heapBytes(): Promise<number> {
  // Twice, with a turn of the event loop between, since finalizers release more.
  for (let n = 0; n < 2; n++) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

async function run(): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const aam = aamSegments({
    orgId: '1FD6776A524453CC0A490D44',
    partner: 'acme',
    // A small cache, so that leftovers would show.
    cache: { maxVisitors: 100 },
    dcs: {
      origins: {},
      defaultOrigin: origin,
      timeoutMs: 5,
      failureCooldownMs: 0,
      maxCallsPerMinute: 1_000_000,
      breaker: { minCalls: 100_000_000 },
    },
  });
  const reasons: Record<string, number> = {};
  let next = 0;
  const callMany = async (upTo: number) => {
    const one = async () => {
      while (next < upTo) {
        const ecid = String(next++ % VISITORS).padStart(38, '6');
        const { code } = await aam.lookup({ ecid }).then(
          () => ({ code: 'answered' }),
          (error) => error,
        );
        reasons[code] = (reasons[code] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  };
  const timersBefore = timers();
  await callMany(CALLS / 2);
  const before = await settledHeapBytes();
  await callMany(CALLS + CALLS / 2);
  const after = await settledHeapBytes();
  const socketsLeft = sockets.size;
  await aam.close();
  server.close();
  console.log(
    JSON.stringify({
      reasons,
      socketsLeft,
      before,
      after,
      timersLeft: timers() - timersBefore,
      inFlight: aam.stats().inFlight,
    }),
  );
}

void run();

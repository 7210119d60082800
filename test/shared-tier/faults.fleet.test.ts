import { setTimeout as sleep } from 'node:timers/promises';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { cookieOf, GOLF } from '../helpers/site';
import { drawsOf, ecidOf, FleetProcess } from './fleet-processes';
import { describeWithRedis, RedisServer } from './redis-server';
import { TcpProxy } from './tcp-proxy';

jest.setTimeout(240_000);

/** In CI each fault lasts shorter. */
const LASTS_MS = process.env.FLEET_FORM === 'short' ? 700 : 3_000;
const MAX_WAIT_MS = 150;
const VISITORS = 300;
const GARBAGE = `
for _, key in ipairs(redis.call('KEYS', 'aam:*')) do
  local what = math.random(4)
  if what == 1 then redis.call('SET', key, 'garbage')
  elseif what == 2 then redis.call('DEL', key) redis.call('RPUSH', key, 'garbage')
  elseif redis.call('TYPE', key).ok == 'hash' then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      redis.call('HSET', key, field, what == 3 and string.rep('x', 200000) or '2 1 1 9999999999 \\255garbage')
    end
  end
end
return 1`;

interface Fault {
  readonly title: string;
  begin(server: RedisServer, proxy: TcpProxy): Promise<unknown> | unknown;
  end?(server: RedisServer, proxy: TcpProxy): Promise<unknown> | unknown;
  /** Whether it is done again and again while it lasts. */
  readonly repeats?: boolean;
}

const FAULTS: readonly Fault[] = [
  { title: 'killed, and started empty', begin: (server) => server.kill(), end: (server) => server.start() },
  { title: 'stopped for a while', begin: (server) => server.pause(), end: (server) => server.resume() },
  {
    title: 'full, and evicting nothing',
    begin: (server) => server.command('CONFIG', 'SET', 'maxmemory', '1'),
    end: (server) => server.command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    title: 'full, and evicting',
    begin: async (server) => {
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      await server.command('CONFIG', 'SET', 'maxmemory', '1500000');
    },
    end: async (server) => {
      await server.command('CONFIG', 'SET', 'maxmemory', '0');
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    },
  },
  {
    title: 'turned into a replica that takes no writes',
    begin: (server) => server.command('REPLICAOF', '127.0.0.1', '1'),
    end: (server) => server.command('REPLICAOF', 'NO', 'ONE'),
  },
  {
    title: 'cutting off who listens',
    repeats: true,
    begin: (server) => server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'),
  },
  {
    title: 'cutting off everybody',
    repeats: true,
    begin: (server) => server.command('CLIENT', 'KILL', 'TYPE', 'normal'),
  },
  { title: 'flushed', repeats: true, begin: (server) => server.command('FLUSHALL') },
  { title: 'without its scripts', repeats: true, begin: (server) => server.command('SCRIPT', 'FLUSH') },
  { title: 'full of garbage', repeats: true, begin: (server) => server.command('EVAL', GARBAGE, '0') },
  {
    title: 'behind a network that delays',
    begin: (_, proxy) => {
      proxy.delayMs = 250;
    },
    end: (_, proxy) => {
      proxy.delayMs = 0;
    },
  },
  { title: 'behind a network that cuts', repeats: true, begin: (_, proxy) => proxy.cut() },
  {
    title: 'behind a network that swallows',
    begin: (_, proxy) => {
      proxy.swallows = true;
    },
    end: (_, proxy) => {
      proxy.swallows = false;
      proxy.cut();
    },
  },
];

describeWithRedis('a fleet under load whose Redis is', () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  let simulator: DcsSimulator;
  let fleet: FleetProcess[] = [];
  const wrong: unknown[] = [];
  const refused = new Set<number>();
  /** A refusal may be told once more after an outage, and be later then than that they have agreed again. */
  const everRefused = new Set<number>();
  let load: Promise<void> | undefined;
  let isLoading = true;

  beforeAll(async () => {
    server = await RedisServer.notYet();
    proxy = await TcpProxy.start(server.port);
    simulator = await createDcsSimulator({ segmentIds: true });
    for (let n = 0; n < VISITORS; n += 2) simulator.visitor(ecidOf(n)).in(GOLF);
    const cache = { ttlMs: 300, staleWhileRevalidateMs: 300, staleIfErrorMs: 2_000 };
    const dcs = { ...simulator.dcs, timeoutMs: 500, maxCallsPerMinute: 10_000 };
    // Longer than the default, for a machine that does other things as well.
    const options = { redisPort: proxy.port, timeoutMs: 100, aam: { cache, dcs, maxWaitMs: MAX_WAIT_MS } };
    fleet = await Promise.all([FleetProcess.start(options), FleetProcess.start(options)]);
    const draw = drawsOf(7);
    const visit = async () => {
      const n = draw(VISITORS);
      const process = fleet[draw(2)] as FleetProcess;
      if (draw(20) === 0) refused.add(n);
      if (refused.has(n)) everRefused.add(n);
      const isRefused = refused.has(n);
      const view = await process.view(ecidOf(n), isRefused ? cookieOf(ecidOf(n), 9, 'global') : undefined);
      const isRight =
        isRefused || (everRefused.has(n) && !view.isKnown) || view.names.includes('golfFans') === (n % 2 === 0);
      if (view.httpStatus !== 200 || !(isRight || view.status === 'unknown')) wrong.push([n, view]);
      if (isRefused && view.status !== 'excluded') wrong.push([n, view]);
    };
    load = (async () => {
      while (isLoading) {
        await Promise.all(Array.from({ length: 4 }, () => visit().catch((why: unknown) => wrong.push(String(why)))));
        await sleep(15);
      }
    })();
  });
  afterAll(async () => {
    isLoading = false;
    await load;
    await Promise.all(fleet.map((each) => each.kill()));
    await simulator.close({ unusedFaults: 'ignore' });
    await proxy.close();
    await server.kill();
  });

  const check = async () => {
    expect(wrong.splice(0)).toEqual([]);
    for (const each of fleet) {
      const { maxWaitMs, maxDelayMs } = await each.stats();
      expect(maxWaitMs).toBeLessThanOrEqual(MAX_WAIT_MS + 25 + Math.ceil(maxDelayMs));
    }
    // Nobody who has refused is asked about, beyond a call that had begun.
    const gone = [...refused];
    await sleep(200);
    const before = simulator.requests.length;
    await sleep(200);
    const asked = new Set(simulator.requests.slice(before).map(({ visitor }) => visitor));
    expect(gone.filter((n) => asked.has(ecidOf(n)))).toEqual([]);
    refused.clear();
  };

  const shares = async () => {
    const since = performance.now();
    for (const each of fleet) await each.ready();
    return performance.now() - since;
  };

  it('absent when the processes start, and started later', async () => {
    await sleep(LASTS_MS);
    await check();
    await server.start();
    expect(await shares()).toBeLessThan(5_000);
    await check();
  });

  it.each(FAULTS)('$title', async ({ begin, end, repeats = false }) => {
    try {
      const until = performance.now() + LASTS_MS;
      do {
        await begin(server, proxy);
        await sleep(repeats ? 100 : LASTS_MS);
      } while (performance.now() < until);
      await check();
    } finally {
      await end?.(server, proxy);
    }
    expect(await shares()).toBeLessThan(5_000);
    await check();
    // It is used again.
    const writes = async () => (await fleet[0]?.stats())?.shared?.writes ?? 0;
    const before = await writes();
    for (let left = 100; left > 0 && (await writes()) === before; left--) await sleep(50);
    expect(await writes()).toBeGreaterThan(before);
  });

  it('well again: memory and sockets are as they were', async () => {
    const before = await Promise.all(fleet.map((each) => each.stats()));
    for (let n = 0; n < 3; n++) {
      proxy.cut();
      await sleep(LASTS_MS);
      await shares();
    }
    await sleep(500);
    const after = await Promise.all(fleet.map((each) => each.stats()));
    for (const [n, { sockets, rss, warnings }] of after.entries()) {
      expect(sockets).toBeLessThanOrEqual((before[n]?.sockets as number) + 10);
      expect(rss - (before[n]?.rss as number)).toBeLessThan(60 * 1_048_576);
      expect(warnings).not.toContain('MaxListenersExceededWarning');
    }
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { cookieOf, GOLF, HIGH_VALUE } from '../helpers/site';
import type { ProcessOptions } from './fleet-process';
import { drawsOf, ecidOf, FleetProcess } from './fleet-processes';
import { describeWithRedis, RedisServer } from './redis-server';

jest.setTimeout(120_000);

describeWithRedis('four processes on one Redis', () => {
  let server: RedisServer;
  let simulator: DcsSimulator;
  let processes: FleetProcess[] = [];

  beforeEach(async () => {
    server = await RedisServer.start();
    simulator = await createDcsSimulator({ segmentIds: true });
  });
  afterEach(async () => {
    await Promise.all(processes.map((each) => each.kill()));
    processes = [];
    await simulator.close({ unusedFaults: 'ignore' });
    await server.kill();
  });

  const start = async (...options: ProcessOptions[]) => {
    processes = await Promise.all(
      options.map((each) =>
        FleetProcess.start({
          redisPort: server.port,
          // Tests run on busy machines: what is asserted is not about speed.
          timeoutMs: 1_000,
          ...each,
          aam: { maxWaitMs: 10_000, ...each.aam, dcs: { ...simulator.dcs, ...each.aam?.dcs } },
        }),
      ),
    );
    // A process joins when it is first asked for something.
    for (const each of processes) await each.forget(ecidOf(99_999_999));
    for (const each of processes) await each.ready();
    return processes;
  };

  it('ask about each of 2 000 visitors once, who view pages and send requests to any of them', async () => {
    const VISITORS = 2_000;
    const BATCHES = process.env.FLEET_FORM === 'short' ? 60 : 200;
    const fleet = await start({}, {}, {}, {});
    simulator.fault({ kind: 'latency', latencyMs: 15 });
    const draw = drawsOf(1);
    const seen = new Set<number>();
    let wrong = 0;
    const visit = async () => {
      const n = draw(VISITORS);
      const isGolfFan = n % 2 === 0;
      if (!seen.has(n) && isGolfFan) simulator.visitor(ecidOf(n)).in(GOLF);
      seen.add(n);
      // A page and its requests, at the same time.
      const views = await Promise.all([0, 1, 2].map(() => (fleet[draw(4)] as FleetProcess).view(ecidOf(n))));
      for (const { status, names, httpStatus } of views) {
        const isRight = status === 'unknown' || names.includes('golfFans') === isGolfFan;
        if (httpStatus !== 200 || !isRight) wrong++;
      }
    };
    for (let n = 0; n < BATCHES; n++) await Promise.all(Array.from({ length: 20 }, visit));
    expect(wrong).toBe(0);
    expect(simulator.requests.length).toBeGreaterThanOrEqual(seen.size);
    expect(simulator.requests.length).toBeLessThanOrEqual(seen.size * 1.02);
    expect(simulator.overlaps).toEqual([]);
    const stats = await Promise.all(fleet.map((each) => each.stats()));
    for (const { shared } of stats) expect(shared).toMatchObject({ status: 'ready', failures: { other: 0 } });
  });

  it('honour within 100 ms what one of them is told', async () => {
    const fleet = await start({}, {}, {}, {});
    const [first, ...others] = fleet as [FleetProcess, ...FleetProcess[]];
    const ecid = ecidOf(1);
    const changes: readonly (readonly [() => Promise<unknown>, () => void, isEvent?: boolean])[] = [
      [() => first.forget(ecid), () => simulator.visitor(ecid).in(GOLF)],
      [() => first.buy(ecid), () => simulator.visitor(ecid).in(HIGH_VALUE), true],
      [() => first.view(ecid, cookieOf(ecid, 9, 'global')), () => simulator.visitor(ecid).in(1_234_567)],
    ];
    for (const [tell, change, isEvent = false] of changes) {
      for (const each of fleet) expect((await each.view(ecid)).status).toMatch(/fresh|cached/);
      change();
      await tell();
      await sleep(100);
      const before = simulator.requests.length;
      const seen = await Promise.all(others.map((each) => each.view(ecid)));
      // Of the event the answer is there; after the others one of them asks.
      expect(simulator.requests.length - before).toBe(isEvent ? 0 : 1);
      for (const { status } of seen) expect(status).toMatch(/fresh|cached/);
      expect(new Set(seen.map((each) => each.ids.join())).size).toBe(1);
    }
    expect([...(await first.view(ecid)).ids].sort()).toEqual(['1234567', String(GOLF), String(HIGH_VALUE)]);
    expect(simulator.overlaps).toEqual([]);
  });

  it('learn nothing old from a process that was stopped while it held a lock, for longer than a lock lives', async () => {
    const ROUNDS = process.env.FLEET_FORM === 'short' ? 2 : 10;
    const AT_A_TIME = 10;
    const dcs = { timeoutMs: 100 };
    const LOCK_MS = 2 * 100 + 250;
    const [stopped, other, third] = (await start(
      { holdEndMs: 150, aam: { dcs } },
      { aam: { dcs } },
      { aam: { dcs } },
    )) as [FleetProcess, FleetProcess, FleetProcess];
    for (let round = 0; round < ROUNDS; round++) {
      const visitors = Array.from({ length: AT_A_TIME }, (_, n) => ecidOf(round * AT_A_TIME + n));
      for (const ecid of visitors) simulator.visitor(ecid).in(GOLF);
      expect((await Promise.all(visitors.map((ecid) => stopped.view(ecid)))).map(({ status }) => status)).toEqual(
        visitors.map(() => 'fresh'),
      );
      // With the answers in its hands.
      stopped.stop();
      await sleep(LOCK_MS + 50);
      for (const ecid of visitors) simulator.visitor(ecid).in(HIGH_VALUE);
      const told = visitors.map((ecid, n) => {
        return n % 2 === 0 ? other.buy(ecid) : other.view(ecid, cookieOf(ecid, 9, 'global'));
      });
      await Promise.all(told);
      stopped.resume();
      await stopped.stats();
      await sleep(250);
      const asked = simulator.requests.length;
      const seen = await Promise.all(visitors.map((ecid) => third.view(ecid)));
      for (const { names } of seen) expect([...names].sort()).toEqual(['golfFans', 'highValue']);
      // Those who refused are asked about anew, since nothing is known: they agree again.
      expect(simulator.requests.length - asked).toBe(AT_A_TIME / 2);
      // And it has learned that its own memory is out of date.
      for (const { names } of await Promise.all(visitors.map((ecid) => stopped.view(ecid)))) {
        expect([...names].sort()).toEqual(['golfFans', 'highValue']);
      }
    }
  });

  it('run side by side in two versions, upwards and back, with calls doubled at most', async () => {
    const VISITORS = 40;
    const first = await start({ wireVersion: '1' }, { wireVersion: '2' });
    const view = async (fleet: readonly FleetProcess[]) => {
      for (let n = 0; n < VISITORS; n++) {
        simulator.visitor(ecidOf(n)).in(GOLF);
        for (const each of fleet)
          expect(await each.view(ecidOf(n))).toMatchObject({ httpStatus: 200, names: ['golfFans'] });
      }
    };
    await view(first);
    expect(simulator.requests.length).toBe(2 * VISITORS);
    // The deploy goes on, and is taken back: what each version has stored is still there.
    const second = await start({ wireVersion: '2' }, { wireVersion: '1' });
    await view(second);
    expect(simulator.requests.length).toBe(2 * VISITORS);
    for (const { shared } of await Promise.all(second.map((each) => each.stats()))) {
      expect(shared).toMatchObject({ status: 'ready', hits: VISITORS, failures: { other: 0 } });
    }
    await Promise.all(first.map((each) => each.kill()));
  });

  it('know the age of an answer whatever their clocks say', async () => {
    const [right, ahead, behind] = (await start({}, { clockOffMs: 3_600_000 }, { clockOffMs: -3_600_000 })) as [
      FleetProcess,
      FleetProcess,
      FleetProcess,
    ];
    for (const [n, asks] of [right, ahead, behind].entries()) {
      const ecid = ecidOf(n);
      await asks.view(ecid);
      const askedAt = performance.now();
      await sleep(1_000);
      for (const each of [right, ahead, behind]) {
        const { ageMs, status } = await each.view(ecid);
        expect(status).toBe('cached');
        expect(Math.abs((ageMs as number) - (performance.now() - askedAt))).toBeLessThan(50);
      }
    }
  });
});

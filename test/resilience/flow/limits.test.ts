import fc from 'fast-check';
import { dcsServer, http } from '../../dcs/dcs-server';
import { advanceableClock, closeSites, GOLF } from '../../helpers/site';
import { closeFlowSites, createFlowSite, ecidOf, passableTime, REFUSING } from './flow-site';

afterEach(async () => {
  jest.restoreAllMocks();
  jest.useRealTimers();
  await closeFlowSites();
  await closeSites();
});

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('a queue of which visitors leave by refusing', () => {
  it('serves those behind them as soon as a connection is free, and shows no ghosts', async () => {
    let isOpen = false;
    await using server = await dcsServer((socket) => isOpen && socket.write(http()));
    const { aam, view, settled } = await createFlowSite({
      maxWaitMs: 60_000,
      dcs: { origins: {}, defaultOrigin: server.origin.origin, connections: 4, timeoutMs: 60_000 },
    });
    const origin = () => aam.stats().origins[server.origin.origin];
    let visitors = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }), async (isRefusing) => {
        isOpen = false;
        const first = visitors;
        visitors += isRefusing.length;
        const before = server.heads.length;
        const views: Promise<{ status: string }>[] = [];
        for (const [n] of isRefusing.entries()) {
          views.push(view(first + n));
          while (aam.stats().inFlight < n + 1) await new Promise(setImmediate);
        }
        await server.received(before + 4);
        expect(origin()).toMatchObject({ running: 4, queued: 10 });
        const refusing = upTo(14).filter((n) => isRefusing[n]);
        await Promise.all(refusing.map((n) => view(first + n, REFUSING)));
        const { calls } = aam.stats();
        isOpen = true;
        server.answer(http());
        const statuses = (await Promise.all(views)).map(({ status }) => status);
        expect(statuses).toEqual(isRefusing.map((isRefused) => (isRefused ? 'excluded' : 'fresh')));
        await settled();
        expect(origin()).toMatchObject({ running: 0, queued: 0 });
        // Nobody was asked about any more who had refused.
        expect(aam.stats().calls - calls).toBeLessThanOrEqual(14 - refusing.length);
      }),
      // Four fill the gate, six behind them refuse.
      { numRuns: 12, examples: [[upTo(14).map((n) => n >= 4 && n < 10)], [upTo(14).map(() => true)]] },
    );
  }, 30_000);
});

describe('dcs.maxCallsPerMinute', () => {
  const perMinute = 7;

  it('holds for a visitor who refuses and agrees in turns, and the next minute is a new one', async () => {
    const clock = advanceableClock();
    const { simulator, view } = await createFlowSite({ dcs: { maxCallsPerMinute: perMinute } });
    for (let minute = 1; minute <= 3; minute++) {
      for (let n = 0; n < perMinute; n++) {
        expect(await view(1)).toMatchObject({ status: 'fresh' });
        expect(await view(1, REFUSING)).toMatchObject({ status: 'excluded' });
      }
      for (let n = 0; n < 30; n++) {
        expect(await view(1)).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
        await view(1, REFUSING);
      }
      expect(simulator.requests).toHaveLength(minute * perMinute);
      clock.advance(60_000);
    }
    expect(await view(2)).toMatchObject({ status: 'fresh' });
  });

  it('holds for calls that a refusal ends at once', async () => {
    advanceableClock();
    const { simulator, view, settled } = await createFlowSite({ dcs: { maxCallsPerMinute: perMinute } });
    simulator.fault({ kind: 'hang' });
    for (let n = 1; n <= perMinute; n++) {
      const pages = [view(1)];
      await simulator.received(n);
      pages.push(view(1, REFUSING));
      expect((await Promise.all(pages)).map(({ status }) => status)).toEqual(['excluded', 'excluded']);
      await settled();
    }
    for (let n = 0; n < 30; n++) {
      expect(await view(1)).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
      await view(1, REFUSING);
    }
    expect(simulator.requests).toHaveLength(perMinute);
    expect(simulator.overlaps).toEqual([]);
  });

  it('holds for forget() and for events, which wait and are told in order', async () => {
    const time = passableTime();
    const { aam, simulator, view, tell, ends, told, settled } = await createFlowSite({
      dcs: { maxCallsPerMinute: perMinute },
    });
    await view(1);
    for (let n = 0; n < 5; n++) {
      aam.forget({ ecid: ecidOf(1) });
      await view(1);
    }
    for (let n = 0; n < 5; n++) await tell(1, `what-${n}`);
    while (aam.stats().events.sent < 1) await new Promise(setImmediate);
    expect([simulator.requests.length, aam.stats().events]).toMatchObject([perMinute, { queued: 4, sent: 1 }]);
    // Pages are served from memory, and not held.
    simulator.visitor(ecidOf(1)).in(GOLF);
    expect(await view(1)).toMatchObject({ status: 'cached', names: [] });
    time.pass(60_000);
    expect(new Set(Object.values(await ends()))).toEqual(new Set(['fresh']));
    await settled();
    expect(told(1)).toEqual(['what-0', 'what-1', 'what-2', 'what-3', 'what-4']);
    expect(await view(1)).toMatchObject({ names: ['golfFans'] });
  });

  it('holds for ever new customer ids of one visitor, many at a time, one after the other at the DCS', async () => {
    const { simulator, aam, settled } = await createFlowSite({ dcs: { maxCallsPerMinute: perMinute } });
    const codes: Record<string, number> = {};
    for (let round = 0; round < 10; round++) {
      const lookups = upTo(6).map((n) => {
        const customerIds = [{ integrationCode: 'crm', id: `${round}-${n}` }];
        return aam.lookup({ ecid: ecidOf(1), region: 9, customerIds }).then(
          () => 'ok',
          ({ code }) => code,
        );
      });
      for (const code of await Promise.all(lookups)) codes[code] = (codes[code] ?? 0) + 1;
    }
    await settled();
    expect(codes).toEqual({ ok: perMinute, ERR_AAM_DCS_RATE_LIMITED: 60 - perMinute });
    expect([simulator.requests.length, simulator.overlaps]).toEqual([perMinute, []]);
  });

  it('does not count what is not sent, and serves old answers as stale', async () => {
    const clock = advanceableClock();
    const { simulator, view, settled } = await createFlowSite({
      cache: { ttlMs: 1_000, staleWhileRevalidateMs: 0 },
      dcs: { maxCallsPerMinute: 2 },
    });
    simulator.visitor(ecidOf(1)).in(GOLF);
    for (let n = 0; n < 2; n++) {
      expect(await view(1)).toMatchObject({ status: 'fresh' });
      clock.advance(1_001);
    }
    for (let n = 0; n < 10; n++) {
      expect(await view(1)).toMatchObject({ status: 'stale', reason: 'rate-limited', names: ['golfFans'] });
    }
    await settled();
    expect(simulator.requests).toHaveLength(2);
  });
});

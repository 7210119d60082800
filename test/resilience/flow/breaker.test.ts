import { advanceableClock, closeSites } from '../../helpers/site';
import { closeFlowSites, createFlowSite, ecidOf, REFUSING } from './flow-site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeFlowSites();
  await closeSites();
});

const HELD_MS = 60_000;

/** A site whose region 9 hangs. One failed view has opened its breaker, and the time to probe has come. */
async function siteToProbe(connections = 64) {
  const clock = advanceableClock();
  const site = await createFlowSite({
    // A page that is held for a probe would let its test time out.
    maxWaitMs: HELD_MS,
    dcs: {
      failureCooldownMs: 0,
      failover: false,
      connections,
      timeoutMs: HELD_MS,
      breaker: { minCalls: 1, probeAfterMs: 5_000 },
    },
  });
  site.simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
  await site.view(0);
  const origin = site.simulator.dcs.origins[9] as string;
  clock.advance(5_000);
  return { ...site, clock, breaker: () => site.aam.stats().origins[origin]?.breaker };
}

describe('a probe that its visitor’s refusal ends', () => {
  it('shows nothing: the breaker stays open, and the next call probes', async () => {
    const { aam, simulator, view, breaker, settled } = await siteToProbe();
    const hanging = simulator.fault({ kind: 'hang' });
    for (let n = 1; n <= 5; n++) {
      expect(await view(n)).toMatchObject({ status: 'unknown', reason: 'pending' });
      await simulator.received(n + 1);
      expect(breaker()).toBe('half-open');
      expect(await view(100 + n)).toMatchObject({ reason: 'circuit-open' });
      expect(await view(n, REFUSING)).toMatchObject({ status: 'excluded' });
      await settled();
      expect(breaker()).toBe('open');
    }
    hanging.clear();
    expect(await view(6)).toMatchObject({ reason: 'pending' });
    await settled();
    expect([breaker(), simulator.requests.length, aam.stats().inFlight]).toEqual(['closed', 7, 0]);
  });

  it('shows nothing either where events wait for it: one of them probes', async () => {
    const { aam, simulator, view, tell, ends, told, breaker } = await siteToProbe();
    const hanging = simulator.fault({ kind: 'hang' });
    await view(1);
    await simulator.received(2);
    for (const n of [2, 3, 4]) await tell(n, `what-${n}`);
    expect(aam.stats().events.queued).toBe(3);
    hanging.clear();
    await view(1, REFUSING);
    expect(Object.values(await ends())).toEqual(['fresh', 'fresh', 'fresh']);
    expect([told(2), told(3), told(4), breaker()]).toEqual([['what-2'], ['what-3'], ['what-4'], 'closed']);
  });
});

describe('the visitor whose call probes', () => {
  it('joins it on further views and in a second tab, and no page is held for it', async () => {
    const { simulator, view, settled } = await siteToProbe();
    simulator.fault({ kind: 'latency', latencyMs: 300 }, { calls: 1 });
    const views = [view(1), view(1)];
    await simulator.received(2);
    views.push(view(1), view(1));
    expect(await Promise.all(views)).toMatchObject(Array(4).fill({ status: 'unknown', reason: 'pending' }));
    expect(simulator.requests).toHaveLength(2);
    await settled();
    expect(await view(1)).toMatchObject({ status: 'cached' });
    expect(simulator.requests).toHaveLength(2);
  });
});

describe('an event that will probe when its visitor’s refresh has ended', () => {
  it('holds no page while it waits, nor while it probes', async () => {
    const { aam, simulator, clock, view, tell } = await siteToProbe();
    await view(1, {}, 6);
    // The answer is stale now, and the refresh in the healthy region slow.
    clock.advance(61_000);
    const slow = simulator.fault({ kind: 'latency', latencyMs: 300 }, { region: 6 });
    const hanging = simulator.fault({ kind: 'hang' }, { region: 9 });
    expect(await view(1, {}, 6)).toMatchObject({ status: 'stale', reason: 'revalidating' });
    await simulator.received(3);
    await tell(1, 'what');
    expect(aam.stats().events.queued).toBe(1);
    expect(await view(1, {}, 6)).toMatchObject({ status: 'stale', reason: 'revalidating' });
    await simulator.received(4);
    expect(await view(1, {}, 6)).toMatchObject({ status: 'cached' });
    expect([slow.used, hanging.used]).toEqual([1, 1]);
    // close() must not wait for the event.
    await view(1, REFUSING);
  });
});

describe('a second tab of a visitor whose call is on its way', () => {
  it('joins it when the breaker has opened meanwhile', async () => {
    const { simulator, view, breaker } = await siteToProbe();
    await view(1); // the probe, which closes it
    while (breaker() !== 'closed') await new Promise(setImmediate);
    simulator.fault({ kind: 'latency', latencyMs: 300 }, { visitor: ecidOf(2), calls: 1 });
    const first = view(2);
    await simulator.received(3);
    simulator.fault({ kind: 'status', status: 503 }, { visitor: ecidOf(3), calls: 1 });
    simulator.fault({ kind: 'status', status: 503 }, { visitor: ecidOf(4), calls: 1 });
    await Promise.all([view(3), view(4)]);
    expect(breaker()).toBe('open');
    expect(await view(5)).toMatchObject({ reason: 'circuit-open' });
    const second = view(2);
    expect(await Promise.all([first, second])).toMatchObject([{ status: 'fresh' }, { status: 'fresh' }]);
    expect(simulator.requestsOf(ecidOf(2))).toHaveLength(1);
  });

  it('joins it when every connection is taken and the queue is full', async () => {
    const dcs = { connections: 2, maxQueuedCalls: 2, timeoutMs: 10_000 };
    const { aam, simulator, view } = await createFlowSite({ dcs, maxWaitMs: 10_000 });
    // Long enough for the second tabs to come meanwhile, on a busy machine too.
    simulator.fault({ kind: 'latency', latencyMs: 1_500 }, { calls: 2 });
    const first = [1, 2, 3, 4].map((n) => view(n));
    while (aam.stats().inFlight < 4) await new Promise(setImmediate);
    expect(await view(5)).toMatchObject({ reason: 'overloaded' });
    // Of those that run and of those that are queued.
    const second = [1, 2, 3, 4].map((n) => view(n));
    expect(await Promise.all([...first, ...second])).toMatchObject(Array(8).fill({ status: 'fresh' }));
    expect(simulator.requests).toHaveLength(4);
  });
});

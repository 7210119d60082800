import { closeClients, createClient } from '../../helpers/client';
import { closeSites } from '../../helpers/site';
import { closeFlowSites, createFlowSite, ecidOf, REFUSING } from './flow-site';

afterEach(async () => {
  await closeFlowSites();
  await closeSites();
  await closeClients();
});

const DROPPED = 'ERR_AAM_EVENT_DROPPED';
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** How an event ended: the status of the segments, or the code of the error. */
const endOf = (sent: Promise<{ status: string }>) =>
  sent.then(
    ({ status }) => status,
    ({ code }: { code: string }) => code,
  );

function counted(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

describe('more events at once than may wait', () => {
  it('are sent but for those dropped; none is left behind', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'latency', latencyMs: 60 });
    let mostQueued = 0;
    const look = () => {
      mostQueued = Math.max(mostQueued, client.stats().events.queued);
    };
    const ends = upTo(1_400).map((n) => {
      const end = endOf(client.sendEvent({ ecid: ecidOf(n), region: 9 }, { c_n: n }));
      look();
      return end.finally(look);
    });
    const { fresh = 0, [DROPPED]: dropped = 0, ...others } = counted(await Promise.all(ends));
    expect(others).toEqual({});
    expect(fresh).toBeGreaterThanOrEqual(1_000);
    expect(fresh + dropped).toBe(1_400);
    expect(mostQueued).toBeLessThanOrEqual(1_000);
    expect(client.stats()).toMatchObject({ inFlight: 0, events: { queued: 0, sent: fresh, failed: 0, dropped } });
    expect(new Set(simulator.requests.map(({ params }) => params.c_n)).size).toBe(fresh);
    expect(simulator.requests).toHaveLength(fresh);
  }, 30_000);

  it('hold no page of these visitors afterwards', async () => {
    const { aam, simulator, view, tell, ends, settled } = await createFlowSite({
      maxWaitMs: 60_000,
      dcs: { maxQueuedEvents: 200 },
    });
    for (let n = 0; n < 400; n += 50) await Promise.all(upTo(50).map((m) => view(n + m)));
    simulator.fault({ kind: 'latency', latencyMs: 60 });
    const pages = await Promise.all(upTo(400).map((n) => tell(n, `what-${n}`)));
    expect(counted(pages.map(({ status }) => status))).toEqual({ cached: 400 });
    const { fresh = 0, [DROPPED]: dropped = 0, ...others } = counted(Object.values(await ends()));
    expect([others, fresh >= 200, fresh + dropped]).toEqual([{}, true, 400]);
    await settled();
    simulator.clear();
    const after = await Promise.all(upTo(400).map((n) => view(n)));
    expect(counted(after.map(({ status }) => status))).toEqual({ cached: 400 });
    expect(simulator.requests).toEqual([]);
    expect(aam.stats().events.queued).toBe(0);
  }, 30_000);

  it('are served in turn while some of their visitors refuse', async () => {
    const { aam, simulator, view, tell, ends, told, settled } = await createFlowSite({ dcs: { connections: 4 } });
    await Promise.all(upTo(90).map((n) => view(n)));
    simulator.clear();
    const slow = simulator.fault({ kind: 'hang' });
    await Promise.all(upTo(90).map((n) => tell(n, `what-${n}`)));
    // Two run, the others wait. A third of the visitors refuse, the first two among them.
    const refusing = upTo(90).filter((n) => n % 3 === 0 || n === 1);
    await Promise.all(refusing.map((n) => view(n, REFUSING)));
    const sentBefore = simulator.requests.length;
    slow.clear();
    const ended = await ends();
    await settled();
    for (const n of upTo(90)) {
      const isRefused = refusing.includes(n);
      expect([n, ended[`what-${n}`]]).toEqual([n, isRefused ? 'ERR_AAM_DCS_REJECTED' : 'fresh']);
      if (!isRefused) expect(told(n)).toEqual([`what-${n}`]);
    }
    const after = simulator.requests.slice(sentBefore).map(({ params }) => Number(String(params.c_what).slice(5)));
    expect(after.filter((n) => refusing.includes(n))).toEqual([]);
    expect(aam.stats()).toMatchObject({ inFlight: 0, events: { queued: 0, dropped: 0, failed: refusing.length } });
    expect(simulator.overlaps).toEqual([]);
  });
});

describe('a flood of events about invented visitors', () => {
  it('does not push out the events of visitors who were answered about', async () => {
    const { client } = await createClient({ dcs: { maxQueuedEvents: 60, connections: 2 } });
    const real = upTo(40).map((n) => ({ ecid: ecidOf(n), region: 9 }));
    for (const visitor of real) await client.lookup(visitor);
    const ofReal = real.map((visitor, n) => endOf(client.sendEvent(visitor, { c_real: n })));
    const invented = upTo(1_100).map((n) => {
      return endOf(client.sendEvent({ ecid: ecidOf(10_000 + n), region: 9 }, { c_invented: n }));
    });
    expect(client.stats().events.queued).toBe(60);
    expect(counted(await Promise.all(ofReal))).toEqual({ fresh: 40 });
    expect(counted(await Promise.all(invented))).toMatchObject({ fresh: 21, [DROPPED]: 1_079 });
    expect(client.stats()).toMatchObject({ inFlight: 0, events: { queued: 0 } });
  }, 30_000);

  it('and one visitor who floods pushes out their own', async () => {
    const { client, simulator } = await createClient({
      dcs: { maxQueuedEvents: 60, connections: 2, maxCallsPerMinute: 1_000 },
    });
    const flood = { ecid: ecidOf(0), region: 9 };
    await client.lookup(flood);
    simulator.fault({ kind: 'latency', latencyMs: 20 });
    const ofFlood = upTo(500).map((n) => endOf(client.sendEvent(flood, { c_n: n })));
    // Nobody was ever answered about these.
    const ofOthers = upTo(58).map((n) => endOf(client.sendEvent({ ecid: ecidOf(n + 1), region: 9 }, { c_n: n })));
    expect(counted(await Promise.all(ofOthers))).toEqual({ fresh: 58 });
    await Promise.all(ofFlood);
    const told = simulator.requestsOf(flood.ecid).flatMap(({ params }) => (params.c_n ?? []) as string);
    expect(told.map(Number)).toEqual([...told].map(Number).sort((a, b) => a - b));
    expect(told.at(-1)).toBe('499');
    expect(client.stats()).toMatchObject({ inFlight: 0, events: { queued: 0, dropped: 500 - told.length } });
  }, 30_000);
});

import { closeSites, GOLF } from '../../helpers/site';
import { closeFlowSites, createFlowSite, ecidOf, type FlowSite, passableTime } from './flow-site';

afterEach(async () => {
  jest.restoreAllMocks();
  jest.useRealTimers();
  await closeFlowSites();
  await closeSites();
});

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const TURN_AWAY = { kind: 'status', status: 429, headers: { 'Retry-After': '300' } } as const;

/** A site on which the first visitor's event was turned away for five minutes. */
async function pausedSite(options: Parameters<typeof createFlowSite>[0] = {}): Promise<FlowSite> {
  const site = await createFlowSite({ maxWaitMs: 60_000, ...options });
  await site.view(1);
  site.simulator.fault(TURN_AWAY, { region: 9, calls: 1 });
  await site.tell(1, 'turned-away');
  await site.simulator.received(2);
  while (site.aam.stats().events.queued === 0) await new Promise(setImmediate);
  return site;
}

describe('an event that its region’s pause holds back', () => {
  it('holds no page of its visitor, and lookups in a healthy region overtake it', async () => {
    const { aam, simulator, view, told } = await pausedSite({
      // close() waits for the event.
      dcs: { failureCooldownMs: 0, timeoutMs: 1_000 },
    });
    expect(await view(1)).toMatchObject({ status: 'cached' });
    aam.forget({ ecid: ecidOf(1) });
    simulator.visitor(ecidOf(1)).in(GOLF);
    expect(await view(1, {}, 6)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await view(1, {}, 6)).toMatchObject({ status: 'cached' });
    aam.forget({ ecid: ecidOf(1) });
    // In the paused region nothing can be asked: that is said at once.
    expect(await view(1)).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
    expect([told(1), aam.stats().events.queued]).toEqual([['turned-away'], 1]);
  });

  it('holds back later events of its visitor, which keep their order', async () => {
    const time = passableTime();
    const { aam, simulator, view, tell, ends, told, settled } = await pausedSite();
    for (const n of upTo(5)) await tell(1, `later-${n}`, {}, n % 2 === 0 ? 6 : 9);
    expect([aam.stats().events.queued, await view(1)]).toMatchObject([6, { status: 'cached' }]);
    time.pass(300_000);
    expect(Object.values(await ends())).toEqual(Array(6).fill('fresh'));
    await settled();
    expect(told(1)).toEqual(['turned-away', 'turned-away', ...upTo(5).map((n) => `later-${n}`)]);
    expect([simulator.overlaps, aam.stats().events.queued]).toEqual([[], 0]);
  });

  it('is sent when the pause is over, though its visitor never comes back', async () => {
    const { simulator, view, tell, ends, told } = await createFlowSite();
    await view(1);
    // A date: seconds are long for a test.
    const retryAfter = new Date(Date.now() + 300).toISOString();
    simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': retryAfter } }, { calls: 1 });
    await tell(1, 'once');
    expect(await ends()).toEqual({ once: 'fresh' });
    expect(told(1)).toEqual(['once', 'once']);
  });
});

describe('many events that a pause holds back', () => {
  it('hold no page, and are sent when it is over, each visitor’s in order', async () => {
    const time = passableTime();
    const { aam, simulator, view, tell, ends, told } = await pausedSite({ dcs: { connections: 4 } });
    const visitors = upTo(30).map((n) => n + 10);
    for (const step of ['a', 'b', 'c']) await Promise.all(visitors.map((n) => tell(n, `${step}-${n}`)));
    expect(aam.stats().events.queued).toBe(91);
    const pages = await Promise.all(visitors.map((n) => view(n)));
    expect(new Set(pages.map(({ reason }) => reason))).toEqual(new Set(['rate-limited']));
    expect(await Promise.all(visitors.map((n) => view(n, {}, 6)))).toMatchObject(
      visitors.map(() => ({ status: 'fresh' })),
    );
    time.pass(300_000);
    expect(new Set(Object.values(await ends()))).toEqual(new Set(['fresh']));
    for (const n of visitors) expect(told(n)).toEqual([`a-${n}`, `b-${n}`, `c-${n}`]);
    expect([simulator.overlaps, aam.stats().events.queued]).toEqual([[], 0]);
  });
});

import type { AamSegmentsOptions } from 'express-aam-segments';
import { dcsServer, http } from '../dcs/dcs-server';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

/** The nth of many visitors. */
const ecidOf = (n: number) => String(n).padStart(38, '4');
const visitorOf = (n: number, region: number | null = 9) => cookieOf(ecidOf(n), region);

/** A site whose region 9 answers HTTP 503 until it is repaired. Ten failed views have opened its breaker. */
async function siteWithBrokenRegion(dcs: Partial<NonNullable<AamSegmentsOptions['dcs']>> = {}) {
  const clock = advanceableClock();
  const site = await createSite({ maxWaitMs: 10_000, dcs: { failureCooldownMs: 0, ...dcs } });
  let isBroken = true;
  const breakNext = () => isBroken && site.simulator.fault({ kind: 'status', status: 503 }, { region: 9, calls: 1 });
  for (let n = 0; n < 10; n++) {
    breakNext();
    expect(await site.view(visitorOf(n))).toMatchObject({ status: 'unknown', reason: 'http-status' });
  }
  const origin = site.simulator.dcs.origins[9] as string;
  return {
    ...site,
    clock,
    breaker: () => site.aam.stats().origins[origin]?.breaker,
    regionsAsked: () => site.simulator.requests.slice(10).map(({ region }) => region ?? 'alias'),
    breakNext,
    repair: () => (isBroken = false),
    /** Resolves when no call is in flight. */
    async settled() {
      while (site.aam.stats().inFlight > 0) await new Promise(setImmediate);
    },
  };
}

describe('a region whose breaker is open, without failover', () => {
  it('is not called: visitors without a cached answer are unknown at once', async () => {
    const { view, regionsAsked, breaker } = await siteWithBrokenRegion({ failover: false });
    expect(breaker()).toBe('open');
    expect(await view(visitorOf(50))).toMatchObject({ status: 'unknown', reason: 'circuit-open' });
    expect(regionsAsked()).toEqual([]);
  });

  it('does not affect visitors of other regions', async () => {
    const { view, simulator } = await siteWithBrokenRegion({ failover: false });
    simulator.visitor(ECID).in(GOLF);
    expect(await view(cookieOf(ECID, 6))).toMatchObject({ status: 'fresh', names: ['golfFans'] });
  });

  it('serves stale answers in both windows, and rejects lookup() only without one', async () => {
    const clock = advanceableClock();
    const { view, simulator, aam } = await createSite({
      maxWaitMs: 10_000,
      dcs: { failureCooldownMs: 0, failover: false },
    });
    simulator.visitor(ECID).in(GOLF);
    await view();
    clock.advance(61_000);
    simulator.fault({ kind: 'status', status: 503 }, { calls: 10 });
    for (let n = 0; n < 10; n++) await view(visitorOf(n));
    expect(await view()).toMatchObject({ status: 'stale', reason: 'circuit-open', names: ['golfFans'] });
    clock.advance(700_000);
    const calls = aam.stats().calls;
    simulator.fault({ kind: 'hang' }, { calls: 1 }); // the probe
    expect(await view(visitorOf(60))).toMatchObject({ status: 'unknown', reason: 'pending' });
    expect(await view()).toMatchObject({ status: 'stale', reason: 'circuit-open', names: ['golfFans'] });
    expect((await aam.lookup({ ecid: ECID, region: 9 })).status).toBe('stale');
    await expect(aam.lookup({ ecid: ecidOf(61), region: 9 })).rejects.toMatchObject({
      code: 'ERR_AAM_DCS_CIRCUIT_OPEN',
    });
    expect(aam.stats().calls).toBe(calls + 1);
  });
});

describe('the page whose call probes the region', () => {
  it('does not wait, and a successful probe closes the breaker', async () => {
    const { view, clock, breaker, repair, settled, regionsAsked } = await siteWithBrokenRegion({ failover: false });
    repair();
    clock.advance(5_000);
    expect(await view(visitorOf(70))).toMatchObject({ status: 'unknown', reason: 'pending' });
    await settled();
    expect(breaker()).toBe('closed');
    expect(await view(visitorOf(70))).toMatchObject({ status: 'cached' });
    expect(await view(visitorOf(71))).toMatchObject({ status: 'fresh' });
    expect(regionsAsked()).toEqual([9, 9]);
  });

  it('is the only one among simultaneous pages, and a failed probe keeps the breaker open', async () => {
    const site = await siteWithBrokenRegion({ failover: false });
    const { view, clock, breaker, breakNext, settled, regionsAsked } = site;
    clock.advance(5_000);
    breakNext();
    const views = await Promise.all(Array.from({ length: 20 }, (_, n) => view(visitorOf(100 + n))));
    const reasons = views.map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === 'pending')).toHaveLength(1);
    expect(reasons.filter((reason) => reason === 'circuit-open')).toHaveLength(19);
    await settled();
    expect(breaker()).toBe('open');
    expect(regionsAsked()).toEqual([9]);
    expect(await view(visitorOf(130))).toMatchObject({ reason: 'circuit-open' });
  });

  it('lets lookup() wait for its call', async () => {
    const { aam, clock, repair } = await siteWithBrokenRegion({ failover: false });
    repair();
    clock.advance(5_000);
    expect((await aam.lookup({ ecid: ecidOf(80), region: 9 })).status).toBe('fresh');
  });
});

describe('failover', () => {
  it('calls the default origin for visitors of a region whose breaker is open, and for no others', async () => {
    const { view, simulator, regionsAsked } = await siteWithBrokenRegion();
    simulator.visitor(ECID).in(GOLF);
    expect(await view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await view(visitorOf(50, 6))).toMatchObject({ status: 'fresh' });
    expect(regionsAsked()).toEqual(['alias', 6]);
  });

  it('never repeats a call of the same request', async () => {
    const { simulator } = await siteWithBrokenRegion();
    expect(simulator.requests.map(({ region }) => region)).toEqual(Array(10).fill(9));
  });

  it('depends on the breaker of the default origin too', async () => {
    const { view, simulator, regionsAsked, aam } = await siteWithBrokenRegion();
    simulator.fault({ kind: 'status', status: 503 }, { region: 'alias', calls: 10 });
    for (let n = 0; n < 10; n++) expect(await view(visitorOf(20 + n))).toMatchObject({ reason: 'http-status' });
    expect(await view(visitorOf(40))).toMatchObject({ status: 'unknown', reason: 'circuit-open' });
    expect(regionsAsked()).toEqual(Array(10).fill('alias'));
    expect(Object.values(aam.stats().origins).map(({ breaker }) => breaker)).toEqual(['open', 'open']);
  });

  it('ends when the region’s breaker closes', async () => {
    const { view, clock, repair, settled, regionsAsked } = await siteWithBrokenRegion();
    repair();
    await view(visitorOf(50));
    clock.advance(5_000);
    await view(visitorOf(51));
    await settled();
    expect(await view(visitorOf(52))).toMatchObject({ status: 'fresh' });
    expect(regionsAsked()).toEqual(['alias', 9, 9]);
  });

  it('does not happen on 429, nor on an error code of the DCS', async () => {
    const { view, simulator } = await createSite({ maxWaitMs: 10_000, dcs: { failureCooldownMs: 0 } });
    simulator.fault({ kind: 'body', body: '{"errors":[{"code":2,"msg":""}]}' }, { calls: 12 });
    jest.spyOn(process, 'emitWarning').mockImplementation();
    for (let n = 0; n < 12; n++) expect(await view(visitorOf(n))).toMatchObject({ reason: 'dcs-error' });
    simulator.fault({ kind: 'status', status: 429 }, { calls: 1 });
    expect(await view(visitorOf(20))).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
    expect(await view(visitorOf(21))).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
    expect(simulator.requests.map(({ region }) => region)).toEqual(Array(13).fill(9));
  });
});

describe('a DCS that answers 429', () => {
  it('gets no calls until the pause is over: cached visitors are stale, others rate-limited at once', async () => {
    const clock = advanceableClock();
    const { view, simulator } = await createSite({ maxWaitMs: 10_000, dcs: { failureCooldownMs: 0 } });
    simulator.visitor(ECID).in(GOLF);
    await view();
    clock.advance(61_000);
    simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': '30' } }, { calls: 1 });
    expect(await view(visitorOf(1))).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
    expect(await view()).toMatchObject({ status: 'stale', reason: 'rate-limited', names: ['golfFans'] });
    clock.advance(29_000);
    expect(await view(visitorOf(2))).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
    expect(simulator.requests).toHaveLength(2);
    clock.advance(1_000);
    expect(await view(visitorOf(2))).toMatchObject({ status: 'fresh' });
  });

  it('may give a date in Retry-After', async () => {
    const { view, simulator, aam } = await createSite({ maxWaitMs: 10_000 });
    const date = new Date(Date.now() + 40_000).toUTCString();
    simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': date } }, { calls: 1 });
    await view();
    const [origin] = Object.values(aam.stats().origins);
    expect(origin?.pausedForMs).toBeGreaterThan(35_000);
    expect(origin?.pausedForMs).toBeLessThanOrEqual(40_000);
  });

  it.each(['soon', '-5', '0', 'Wed, 21 Oct 2015 07:28:00 GMT', ''])(
    'is left alone for about a second where Retry-After is %p',
    async (retryAfter) => {
      const { view, simulator, aam } = await createSite({ maxWaitMs: 10_000 });
      simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': retryAfter } }, { calls: 1 });
      await view();
      const [origin] = Object.values(aam.stats().origins);
      expect(origin?.pausedForMs).toBeGreaterThan(0);
      expect(origin?.pausedForMs).toBeLessThanOrEqual(1_000);
    },
  );
});

describe('more visitors than connections', () => {
  it('are queued up to maxQueuedCalls; those beyond are overloaded at once', async () => {
    let isCrowded = true;
    let overloaded = 0;
    await using server = await dcsServer((socket) => !isCrowded && socket.write(http()));
    const dcs = {
      origins: {},
      defaultOrigin: server.origin.origin,
      connections: 2,
      maxQueuedCalls: 3,
      timeoutMs: 10_000,
    };
    const { view, aam } = await createSite({ maxWaitMs: 10_000, dcs });
    const views = Array.from({ length: 12 }, async (_, n) => {
      const seen = await view(visitorOf(n));
      // The DCS answers once all overloaded pages have been served.
      if (seen.reason === 'overloaded' && ++overloaded === 7) {
        isCrowded = false;
        server.answer(http());
      }
      return seen;
    });
    const reasons = (await Promise.all(views)).map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === 'overloaded')).toHaveLength(7);
    expect(reasons.filter((reason) => reason === undefined)).toHaveLength(5);
    expect([server.heads.length, aam.stats().calls]).toEqual([5, 5]);
  });
});

import type { AamSegmentsOptions } from 'express-aam-segments';
import { closeSites, GOLF, HIGH_VALUE } from '../../helpers/site';
import { closeFlowSites, createFlowSite, ecidOf, REFUSING } from './flow-site';

afterEach(async () => {
  await closeFlowSites();
  await closeSites();
});

const LATENCY = { kind: 'latency', latencyMs: 100 } as const;
const visitorOf = (n: number) => ({ ecid: ecidOf(n), region: 9 });

/** A promise, and what settles it. */
function later<T = void>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('what was asked before forget()', () => {
  it('is served to who asked, but not to a later page, and not remembered', async () => {
    const { aam, simulator, view } = await createFlowSite();
    simulator.visitor(ecidOf(1)).in(GOLF);
    simulator.fault(LATENCY, { calls: 1 });
    const before = view(1);
    await simulator.received(1);
    simulator.visitor(ecidOf(1)).out(GOLF).in(HIGH_VALUE);
    aam.forget(visitorOf(1));
    const after = view(1);
    expect(await before).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await after).toMatchObject({ status: 'fresh', names: ['highValue'] });
    expect(await view(1)).toMatchObject({ status: 'cached', names: ['highValue'] });
    expect([simulator.requests.length, simulator.overlaps]).toEqual([2, []]);
  });

  it('is not served and not remembered either when it is an event’s answer, nor when forget() comes again and again', async () => {
    const { aam, simulator, view, tell, ends } = await createFlowSite();
    await view(1);
    for (const what of ['a', 'b', 'c']) {
      simulator.visitor(ecidOf(1)).in(GOLF);
      simulator.fault(LATENCY, { calls: 1 });
      const calls = simulator.requests.length;
      await tell(1, what);
      await simulator.received(calls + 1);
      simulator.visitor(ecidOf(1)).out(GOLF);
      aam.forget(visitorOf(1));
      aam.forget(visitorOf(1));
      expect(await view(1)).toMatchObject({ status: 'fresh', names: [] });
      expect((await ends())[what]).toBe('fresh');
      expect(await view(1)).toMatchObject({ status: 'cached', names: [] });
    }
  });

  it('does not overwrite what was asked after it', async () => {
    const { aam, simulator, view } = await createFlowSite();
    for (let n = 0; n < 20; n++) {
      simulator.clear();
      simulator.visitor(ecidOf(n)).in(GOLF);
      const views = [view(n)];
      await simulator.received(1);
      simulator.visitor(ecidOf(n)).out(GOLF);
      aam.forget(visitorOf(n));
      views.push(view(n), view(n));
      await Promise.all(views);
      expect([n, await view(n)]).toMatchObject([n, { status: 'cached', names: [] }]);
      expect(simulator.overlaps).toEqual([]);
    }
  });
});

describe('a request from before a refusal in another tab', () => {
  it('tells nothing any more, and has nothing remembered', async () => {
    const { app, aam, simulator, view, get } = await createFlowSite();
    const refused = later();
    const entered = later();
    const told = later<object>();
    app.get('/slow', async (req, res) => {
      entered.resolve();
      await refused.promise;
      const { status, reason } = await aam.sendEvent(req, { c_n: 1 });
      told.resolve({ status, reason });
      res.json({});
    });
    await view(1);
    const slow = get(1, '/slow');
    await entered.promise;
    expect(await view(1, REFUSING)).toMatchObject({ status: 'excluded' });
    refused.resolve();
    expect(await told.promise).toEqual({ status: 'excluded', reason: 'no-consent' });
    await slow;
    expect(simulator.requests).toHaveLength(1);
    // Who agrees again is asked about anew.
    expect(await view(1)).toMatchObject({ status: 'fresh' });
  });

  it('is not asked about when the site’s consent.given() agrees later', async () => {
    const answers: ((isGiven: boolean) => void)[] = [];
    const consent: AamSegmentsOptions['consent'] = {
      given: ({ headers }) => headers['x-later'] === undefined || new Promise<boolean>((done) => answers.push(done)),
    };
    const { simulator, view, settled } = await createFlowSite({ consent });
    const asked = [view(1, { 'x-later': '1' }), view(1, { 'x-later': '1' }), view(2, { 'x-later': '1' })];
    while (answers.length < 3) await new Promise(setImmediate);
    expect(await view(1, REFUSING)).toMatchObject({ status: 'excluded' });
    for (const answer of answers) answer(true);
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(['excluded', 'excluded', 'fresh']);
    await settled();
    expect(simulator.requests.map(({ visitor }) => visitor)).toEqual([ecidOf(2)]);
    expect(await view(1)).toMatchObject({ status: 'fresh' });
  });

  it('is not asked about after a refusal that showed another id of the same visitor', async () => {
    const answers: ((isGiven: boolean) => void)[] = [];
    const { simulator, view } = await createFlowSite({
      consent: {
        given: ({ headers }) => headers['x-later'] === undefined || new Promise<boolean>((done) => answers.push(done)),
      },
      identity: { customerIds: () => [{ integrationCode: 'crm', id: 'u1', authState: 'authenticated' }] },
    });
    const asked = view(1, { 'x-later': '1' });
    while (answers.length < 1) await new Promise(setImmediate);
    // The same customer on another device.
    await view(2, REFUSING);
    for (const answer of answers) answer(true);
    expect(await asked).toMatchObject({ status: 'excluded' });
    expect(simulator.requests).toEqual([]);
  });

  it('ends its lookup in flight, running or queued, and what waits behind', async () => {
    const { aam, simulator, view, tell, ends, told, settled } = await createFlowSite({ dcs: { connections: 1 } });
    await view(1);
    aam.forget(visitorOf(1));
    const hanging = simulator.fault({ kind: 'hang' });
    const running = view(2);
    await simulator.received(2);
    const queued = view(1);
    while (aam.stats().inFlight < 2) await new Promise(setImmediate);
    const refusals = await Promise.all([view(1, REFUSING), view(2, REFUSING)]);
    expect(refusals).toMatchObject([{ status: 'excluded' }, { status: 'excluded' }]);
    expect(await Promise.all([running, queued])).toMatchObject([{ status: 'excluded' }, { status: 'excluded' }]);
    hanging.clear();
    await settled();
    expect(simulator.requests).toHaveLength(2);
    await tell(1, 'again');
    expect([await ends(), told(1)]).toEqual([{ again: 'fresh' }, ['again']]);
  });
});

describe('an opt-out that the DCS has told', () => {
  it('is not forgotten by a refusal: the visitor is not asked about again', async () => {
    const { simulator, view, tell, ends } = await createFlowSite();
    simulator.visitor(ecidOf(1)).optOut();
    expect(await view(1)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    for (let n = 0; n < 5; n++) {
      await view(1, REFUSING);
      expect(await view(1)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
      await tell(1, `what-${n}`);
    }
    await ends();
    expect(simulator.requests).toHaveLength(1);
  });

  it('is remembered as well when the visitor refuses while the DCS is telling it', async () => {
    const { simulator, view, settled } = await createFlowSite();
    simulator.visitor(ecidOf(1)).optOut();
    // Longer than any page takes: the refusal ends it.
    simulator.fault({ kind: 'latency', latencyMs: 2_000 }, { calls: 1 });
    const before = view(1);
    await simulator.received(1);
    await view(1, REFUSING);
    await before;
    await settled();
    expect(await view(1)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    expect(await view(1)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    // The first was ended by the refusal, so its answer was not heard.
    expect(simulator.requests).toHaveLength(2);
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { createDcsClient } from 'express-aam-segments';
import { createMemoryStore } from 'express-aam-segments/testing';
import request from 'supertest';
import { advanceableClock, GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { closeSites, cookieOf, createFleet, ECID, type Fleet, KEY_SECRET, type Member, until } from './fleet';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const OPTED_OUT = cookieOf(ECID, 9, 'global');

async function fleetOf(size: number, ...rest: Parameters<typeof createFleet> extends [number, ...infer R] ? R : never) {
  const fleet = await createFleet(size, ...rest);
  fleet.simulator.visitor(ECID).in(GOLF);
  for (const { line } of fleet.members) line.commands.length = 0;
  const [a, b, c] = fleet.members as [Member, Member, Member];
  return { ...fleet, a, b, c };
}

/** Sends an event for the visitor, and resolves with the segments after it. */
async function buy({ app, aam }: Member, cookie = cookieOf(ECID)): Promise<{ status: string; ids: string[] }> {
  app.post('/buy', (req, res) => {
    aam.sendEvent(req, { c_product: 'irons' }).then(
      ({ status, ids }) => res.json({ status, ids }),
      ({ code }) => res.json({ code }),
    );
  });
  return (await request(app).post('/buy').set('Cookie', cookie)).body;
}

/** What a store in memory does and publishes, it has done by the next turn of the event loop. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
}

/** Everything that was begun behind the visitors' backs is done. */
async function quiet({ members }: Fleet): Promise<void> {
  await until(() => members.every(({ aam }) => aam.stats().inFlight === 0));
  await settled();
}

describe('a fleet', () => {
  it('asks about a visitor once, whichever process gets the next page', async () => {
    const { a, b, calls } = await fleetOf(2);
    expect(await a.view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    await sleep(40);
    const seen = await b.view();
    expect(seen).toMatchObject({ status: 'cached', names: ['golfFans'] });
    // From when the DCS answered the other process.
    expect(seen.ageMs).toBeGreaterThanOrEqual(30);
    expect(calls()).toBe(1);
    // From memory now, which costs no command.
    b.line.commands.length = 0;
    expect(await b.view()).toMatchObject({ status: 'cached' });
    expect(b.line.commands).toEqual([]);
  });

  it('takes two commands before a cold visitor is asked about, and one after', async () => {
    const { a } = await fleetOf(1);
    await a.view();
    await until(() => a.line.commands.includes('end'));
    expect(a.line.commands).toEqual(['read', 'take', 'end']);
  });

  it('asks once about a visitor who opens pages of all processes at the same time', async () => {
    const { members, simulator, calls } = await fleetOf(3);
    simulator.fault({ kind: 'latency', latencyMs: 60 }, { calls: 1 });
    const seen = await Promise.all([...members, ...members, ...members].map(({ view }) => view()));
    for (const each of seen) expect(each).toMatchObject({ names: ['golfFans'] });
    expect(seen.filter(({ status }) => status === 'fresh').length).toBeGreaterThan(0);
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set(['fresh', 'cached']));
    expect(calls()).toBe(1);
    expect(simulator.overlaps).toEqual([]);
    const waits = members.reduce((sum, { aam }) => sum + (aam.stats().shared?.waits ?? 0), 0);
    expect(waits).toBe(2);
  });

  it('refreshes an answer that is past its ttl once', async () => {
    const fleet = await fleetOf(3);
    const { members, calls } = fleet;
    const clock = advanceableClock();
    for (const { view } of members) await view();
    clock.advance(60_000);
    const seen = await Promise.all(members.map(({ view }) => view()));
    for (const each of seen) expect(each.status).toMatch(/stale|cached/);
    await quiet(fleet);
    expect(calls()).toBe(2);
  });

  it('serves what it finds past its ttl as stale, and refreshes it', async () => {
    const fleet = await fleetOf(2);
    const { a, b, calls } = fleet;
    const clock = advanceableClock();
    await a.view();
    await quiet(fleet);
    clock.advance(60_000);
    expect(await b.view()).toMatchObject({ status: 'stale', reason: 'revalidating', names: ['golfFans'] });
    await quiet(fleet);
    expect(calls()).toBe(2);
    expect(await b.view()).toMatchObject({ status: 'cached' });
  });

  it('keeps what sites with other options learn apart', async () => {
    const fleet = await fleetOf(2);
    const { a, store } = fleet;
    const [other] = (await createFleet(1, { cache: { shared: store }, dcs: { segmentIds: 'legacy' } })).members;
    await a.view();
    await other?.view();
    expect(fleet.calls()).toBe(1);
    expect(other?.simulator.requests).toHaveLength(1);
  });

  it('waits neither for the store nor for another process with maxWaitMs: 0, and has the answer for the next page', async () => {
    const fleet = await fleetOf(2, { maxWaitMs: 0 });
    const { a, b, calls } = fleet;
    expect(await a.view()).toMatchObject({ status: 'unknown', reason: 'pending' });
    await quiet(fleet);
    expect(await b.view()).toMatchObject({ status: 'unknown', reason: 'pending' });
    await quiet(fleet);
    expect(await b.view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(calls()).toBe(1);
  });

  it('leaves a visitor alone after a call of any process has failed', async () => {
    const fleet = await fleetOf(2, { dcs: { failureCooldownMs: 60_000 } });
    const { a, b, simulator, calls } = fleet;
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    expect(await a.view()).toMatchObject({ status: 'unknown', reason: 'http-status' });
    await quiet(fleet);
    expect(await b.view()).toMatchObject({ status: 'unknown', reason: 'http-status' });
    expect(calls()).toBe(1);
    // From now on without the store.
    b.line.commands.length = 0;
    expect(await b.view()).toMatchObject({ status: 'unknown', reason: 'http-status' });
    expect(b.line.commands).not.toContain('take');
  });

  it('makes no more than maxCallsPerMinute calls about a visitor', async () => {
    const fleet = await fleetOf(3, { dcs: { maxCallsPerMinute: 4 } });
    for (let n = 0; n < 4; n++) {
      for (const { aam, view } of fleet.members) {
        await view();
        aam.forget({ ecid: ECID });
      }
      await quiet(fleet);
    }
    expect(fleet.calls()).toBe(4);
    expect(await fleet.a.view()).toMatchObject({ status: 'unknown', reason: 'rate-limited' });
  });

  it('asks about a visitor whose process has died after the life of its lock', async () => {
    const fleet = await fleetOf(2, { dcs: { timeoutMs: 100 } });
    const { a, b, simulator } = fleet;
    simulator.fault({ kind: 'hang' }, { calls: 1 });
    const hanging = a.view();
    await simulator.received(1);
    // It is never heard of again.
    a.line.isStuck = true;
    const began = performance.now();
    expect(await b.view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(performance.now() - began).toBeGreaterThan(200);
    await hanging;
  });
});

describe('a change in one process of a fleet', () => {
  it('is honoured by all others when a visitor is forgotten', async () => {
    const fleet = await fleetOf(3);
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    fleet.a.aam.forget({ ecid: ECID });
    fleet.simulator.visitor(ECID).in(HIGH_VALUE);
    await settled();
    expect(await fleet.b.view()).toMatchObject({ status: 'fresh', names: ['golfFans', 'highValue'] });
    await quiet(fleet);
    expect(await fleet.c.view()).toMatchObject({ status: 'cached', names: ['golfFans', 'highValue'] });
    expect(fleet.calls()).toBe(2);
  });

  it('is honoured when a visitor refuses: nothing is served, and what is under way is not stored', async () => {
    const fleet = await fleetOf(3);
    const { a, b, c, simulator } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    a.aam.forget({ ecid: ECID });
    await settled();
    simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 1 });
    const underWay = b.view();
    await simulator.received(2);
    expect(await c.view(OPTED_OUT)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    // The call is ended, and its page learns nothing.
    expect(await underWay).toMatchObject({ status: 'excluded', reason: 'opted-out', names: [] });
    await quiet(fleet);
    // Who agrees again is asked about anew.
    expect(await a.view()).toMatchObject({ status: 'fresh' });
  });

  it('is honoured when an event has brought other segments', async () => {
    const fleet = await fleetOf(3);
    const { a, b, c, simulator } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    simulator.visitor(ECID).in(HIGH_VALUE);
    expect(await buy(a)).toMatchObject({ status: 'fresh' });
    await quiet(fleet);
    for (const { view } of [b, c]) {
      expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans', 'highValue'] });
    }
    expect(fleet.calls()).toBe(2);
  });

  it('is waited for by pages of all processes while the event is under way', async () => {
    const fleet = await fleetOf(2);
    const { a, b, simulator } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    simulator.visitor(ECID).in(HIGH_VALUE);
    simulator.fault({ kind: 'latency', latencyMs: 80 }, { calls: 1 });
    const bought = buy(a);
    await simulator.received(2);
    expect(await b.view()).toMatchObject({ status: 'cached', names: ['golfFans', 'highValue'] });
    await bought;
    expect(fleet.calls()).toBe(2);
    expect(simulator.overlaps).toEqual([]);
  });

  it('is one call after the other when events are sent by all processes', async () => {
    const fleet = await fleetOf(3);
    const { simulator } = fleet;
    simulator.fault({ kind: 'latency', latencyMs: 20 }, { calls: 3 });
    await Promise.all(fleet.members.map((member) => buy(member)));
    await quiet(fleet);
    const told = simulator.requests.filter(({ params }) => params.c_product === 'irons');
    expect(told).toHaveLength(3);
    expect(simulator.overlaps).toEqual([]);
  });

  it('is what the DCS says about the visitor: one process hears it, all go by it', async () => {
    const fleet = await fleetOf(2);
    const { a, b, simulator } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    simulator.fault({ kind: 'body', body: JSON.stringify({ errors: [{ code: 171, msg: '' }] }) }, { calls: 1 });
    expect(await buy(a)).toMatchObject({ status: 'excluded' });
    await quiet(fleet);
    expect(await b.view()).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    expect(fleet.calls()).toBe(2);
  });

  it('costs one command and no message when strangers refuse, and no more within the ttl', async () => {
    const fleet = await fleetOf(2);
    const { a, b } = fleet;
    const sent = a.aam.stats().shared?.invalidations.sent;
    const received = b.aam.stats().shared?.invalidations.received;
    for (let n = 0; n < 5; n++) {
      expect(await a.view(OPTED_OUT)).toMatchObject({ status: 'excluded' });
    }
    await settled();
    expect(a.line.commands).toEqual(['invalidate']);
    expect(a.aam.stats().shared?.invalidations.sent).toBe(sent);
    expect(b.aam.stats().shared?.invalidations.received).toBe(received);
  });
});

describe('a client without Express', () => {
  it('changes the next page of the site, which then has what its event has brought', async () => {
    const fleet = await fleetOf(2);
    const { a, b, simulator, store } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    const cache = { keySecret: KEY_SECRET, shared: store };
    const client = createDcsClient({ orgId: ORG, partner: 'acme', dcs: simulator.dcs, cache });
    // It does not ask, either.
    expect((await client.lookup({ ecid: ECID })).status).toBe('cached');
    simulator.visitor(ECID).in(HIGH_VALUE);
    await client.sendEvent({ ecid: ECID, region: 9 }, { c_product: 'irons' });
    await until(() => client.stats().shared?.writes === 1);
    await settled();
    for (const { view } of [a, b]) {
      expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans', 'highValue'] });
    }
    expect(fleet.calls()).toBe(2);
    await client.close();
    expect(client.stats().shared?.status).toBe('closed');
  });

  it.each([
    [{ shared: createMemoryStore() }, 'options.cache.shared needs options.cache.keySecret'],
    [
      { shared: {}, keySecret: KEY_SECRET },
      'options.cache.shared must be a shared store, such as redisStore() returns',
    ],
    [{ shared: null, keySecret: KEY_SECRET }, 'options.cache.shared must be a shared store'],
    [{ keySecret: 'short' }, 'options.cache.keySecret must be'],
    [{ maxVisitors: 1 }, 'options.cache.maxVisitors is not an option'],
  ])('refuses %j', (cache, message) => {
    expect(() => createDcsClient({ orgId: ORG, partner: 'acme', cache: cache as never })).toThrow(message);
  });
});

describe('a fleet whose store fails', () => {
  it('goes on with each process on its own, and shares again when it is back', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fleet = await fleetOf(2);
    const { a, b, store } = fleet;
    store.isReady = false;
    for (const { line } of fleet.members) line.isReady = false;
    expect(await a.view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await b.view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(fleet.calls()).toBe(2);
    await until(() => a.aam.stats().shared?.status === 'failing');
    store.isReady = true;
    for (const { line } of fleet.members) line.isReady = true;
    await until(() => fleet.members.every(({ aam }) => aam.stats().shared?.status === 'ready'));
    const stranger = cookieOf('1'.repeat(38));
    await a.view(stranger);
    await quiet(fleet);
    expect(await b.view(stranger)).toMatchObject({ status: 'cached' });
    expect(fleet.calls()).toBe(3);
  });

  it('waits for a store that does not answer no longer than a command may take, and soon not at all', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fleet = await fleetOf(1, {}, 30);
    const { a } = fleet;
    a.line.isStuck = true;
    const visitors = Array.from({ length: 10 }, (_, n) => cookieOf(String(n).repeat(38)));
    for (const each of visitors) expect(await a.view(each)).toMatchObject({ status: 'fresh' });
    const { failures, status } = a.aam.stats().shared as { failures: { timeout: number }; status: string };
    // Half of at least five.
    expect(failures.timeout).toBeLessThan(8);
    expect(status).toMatch(/ready|failing/);
    expect(fleet.calls()).toBe(10);
  });

  it('tells what could not be told before it reads again', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fleet = await fleetOf(2);
    const { a, b } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    a.line.isReady = false;
    a.aam.forget({ ecid: ECID });
    expect(await b.view()).toMatchObject({ status: 'cached' });
    a.line.isReady = true;
    a.line.commands.length = 0;
    await until(() => a.aam.stats().shared?.status === 'ready' && a.line.commands.includes('invalidate'));
    expect(a.line.commands.slice(0, 2)).toEqual(['beat', 'invalidate']);
    await settled();
    expect(await b.view()).toMatchObject({ status: 'fresh' });
  });

  it('checks what it remembers if the store may not have got it', async () => {
    const fleet = await fleetOf(2, { dcs: { timeoutMs: 20_000 } });
    const { a, b, storeClock } = fleet;
    const received = a.aam.stats().shared?.invalidations.received;
    const { end } = a.line;
    a.line.end = () => Promise.reject(new Error('lost on the way'));
    await a.view();
    await until(() => a.aam.stats().shared?.failures.other === 1);
    a.line.end = end;
    // The lock that nobody gave back is over, so nothing is published: nobody knows that there is something to forget.
    storeClock.aheadMs = 50_000;
    await b.view(OPTED_OUT);
    expect(a.aam.stats().shared?.invalidations.received).toBe(received);
    fleet.simulator.visitor(ECID).in(HIGH_VALUE);
    await settled();
    // Who agrees within the same millisecond counts as having refused.
    storeClock.aheadMs += 1_000;
    expect(await a.view()).toMatchObject({ status: 'fresh', names: ['golfFans', 'highValue'] });
  });

  it('checks what it remembers after messages were lost, at the first view', async () => {
    const fleet = await fleetOf(2);
    const { a, b } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    const found = b.line.loseMessages();
    a.aam.forget({ ecid: ECID });
    await settled();
    found();
    fleet.simulator.visitor(ECID).in(HIGH_VALUE);
    expect(await b.view()).toMatchObject({ status: 'fresh', names: ['golfFans', 'highValue'] });
  });

  it('keeps what the check has not disproved, and checks it once', async () => {
    const fleet = await fleetOf(2);
    const { a, b } = fleet;
    for (const { view } of fleet.members) await view();
    await quiet(fleet);
    b.line.loseMessages()();
    await until(() => b.line.commands.at(-1) === 'beat');
    await settled();
    b.line.commands.length = 0;
    for (let n = 0; n < 3; n++) expect(await b.view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(b.line.commands).toEqual(['read']);
    expect(fleet.calls()).toBe(1);
    expect(a.aam.stats().shared?.status).toBe('ready');
  });

  it('serves what it cannot check for its ttl only', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fleet = await fleetOf(1);
    const { a } = fleet;
    const clock = advanceableClock();
    await a.view();
    await quiet(fleet);
    a.line.loseMessages();
    a.line.isReady = false;
    expect(await a.view()).toMatchObject({ status: 'cached' });
    clock.advance(60_000);
    // Without the gap it would be 'stale'.
    expect(await a.view()).toMatchObject({ status: 'fresh' });
  });

  it('fills a store that comes back empty with what is used, without asking the DCS again', async () => {
    const fleet = await fleetOf(2);
    const { a, b, store } = fleet;
    await a.view();
    await quiet(fleet);
    a.line.commands.length = 0;
    store.clear();
    // Noticed with the next sign of life.
    await until(() => a.line.commands.includes('beat'));
    await settled();
    expect(await a.view()).toMatchObject({ status: 'cached' });
    await until(() => a.line.commands.includes('refill'));
    await settled();
    expect(await b.view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(fleet.calls()).toBe(1);
  });

  it('is not held up by close(), which leaves nothing behind', async () => {
    const fleet = await fleetOf(2);
    const { a, b } = fleet;
    await a.view();
    await a.aam.close();
    expect(a.aam.stats().shared?.status).toBe('closed');
    a.line.commands.length = 0;
    expect(await a.view()).toMatchObject({ status: 'cached' });
    expect(a.line.commands).toEqual([]);
    expect(await b.view()).toMatchObject({ status: 'cached' });
  });
});

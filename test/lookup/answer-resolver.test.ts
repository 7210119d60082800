import type { Visitor } from '../../src/identity/visitor';
import { AnswerResolver, type PendingAnswer } from '../../src/lookup/answer-resolver';
import { idsOf } from '../../src/segments/packed-answer';
import type { ServedAnswer } from '../../src/segments/served-answer';
import { ANSWER, dcsServer, http } from '../dcs/dcs-server';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE } from '../helpers/site';
import { type FakeCall, fakeDcs } from './fake-dcs';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

/** What the resolver asks of a request. */
function asker(mayCall: boolean) {
  return { mayCall, signals: () => '' };
}

/** A resolver whose calls the test begins and ends. */
function resolverOf() {
  const { dcs, calls } = fakeDcs();
  const clock = { nowMs: 0 };
  const cache = {
    maxVisitors: 100,
    maxBytes: 1_048_576,
    ttlMs: 60_000,
    emptyTtlMs: 15_000,
    staleWhileRevalidateMs: 600_000,
    staleIfErrorMs: 3_600_000,
    keySecret: undefined,
  };
  const config = { destinations: new Map(), dcs: { segmentIds: 'sid' }, cache };
  const resolver = new AnswerResolver(config, dcs, () => clock.nowMs);
  const begin = (visitor: Visitor = { ecid: ECID }, tcString?: string) =>
    resolver.begin(visitor, tcString, asker(true), clock.nowMs);
  const pending = (visitor?: Visitor) => (begin(visitor) as PendingAnswer).flight;
  const served = (visitor?: Visitor) => {
    const { status, reason } = begin(visitor) as ServedAnswer;
    return [status, reason];
  };
  /** The call that was made last. */
  const last = () => calls.at(-1) as FakeCall;
  /** Has the visitor asked about and answered. */
  const learn = (segment: number, visitor?: Visitor) => {
    pending(visitor);
    last().begin();
    last().answer(segment);
  };
  return { resolver, dcs, calls, clock, begin, pending, served, last, learn };
}

/** A site whose visitor has been seen once and is in golfFans. */
async function seenOnce(options: Parameters<typeof createSite>[0] = {}) {
  const site = await createSite({ maxWaitMs: 5_000, ...options });
  site.simulator.visitor(ECID).in(GOLF);
  const clock = advanceableClock();
  await site.view();
  return { ...site, clock };
}

describe('an answer older than its ttl', () => {
  it('is served at once while one refresh runs, which replaces it completely', async () => {
    await using dcs = await dcsServer((socket, nth) => nth === 1 && socket.write(http()));
    const { view, clock, aam } = await seenOnce({ dcs: { origins: {}, defaultOrigin: dcs.origin.origin } });
    clock.advance(60_000);
    const views = await Promise.all(Array.from({ length: 10 }, () => view()));
    for (const each of views)
      expect(each).toMatchObject({ status: 'stale', reason: 'revalidating', names: ['golfFans'] });
    await dcs.received(2);
    dcs.answer(http(ANSWER.replace(String(GOLF), String(HIGH_VALUE))));
    await idle(aam);
    expect(await view()).toMatchObject({ status: 'cached', names: ['highValue'] });
    expect(dcs.heads).toHaveLength(2);
  });

  it('is kept with the reason when the refresh fails, and no call is made during the cooldown', async () => {
    const { view, simulator, clock, aam } = await seenOnce();
    simulator.fault({ kind: 'status', status: 503 });
    clock.advance(60_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'revalidating', names: ['golfFans'] });
    await idle(aam);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'http-status', names: ['golfFans'] });
    expect(simulator.requests).toHaveLength(2);
    clock.advance(1_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'revalidating', names: ['golfFans'] });
    await simulator.received(3);
  });

  it('past staleWhileRevalidateMs holds the request for the refresh, and is replaced', async () => {
    const { view, simulator, clock } = await seenOnce();
    simulator.visitor(ECID).in(HIGH_VALUE);
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'fresh', names: ['golfFans', 'highValue'] });
    expect(simulator.requests).toHaveLength(2);
  });

  it('past staleWhileRevalidateMs is still served when the refresh fails', async () => {
    const { view, simulator, clock } = await seenOnce();
    simulator.fault({ kind: 'reset' });
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'network', names: ['golfFans'] });
    expect(await view()).toMatchObject({ status: 'stale', reason: 'network', names: ['golfFans'] });
    // The first call is reset on the kept-alive socket and on the new one of its retry.
    expect(simulator.requests).toHaveLength(3);
  });

  it('past staleWhileRevalidateMs is still served when the refresh is late', async () => {
    const { view, simulator, clock } = await seenOnce({ maxWaitMs: 30, dcs: { timeoutMs: 60_000 } });
    simulator.fault({ kind: 'hang' });
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'revalidating', names: ['golfFans'] });
    await simulator.received(2);
  });

  it('is not served past staleIfErrorMs', async () => {
    const { view, simulator, clock } = await seenOnce();
    simulator.fault({ kind: 'reset' });
    clock.advance(3_660_000);
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'network', ids: [] });
  });

  it('is served after close(), with the reason closed', async () => {
    const { view, clock, aam } = await seenOnce();
    await aam.close();
    clock.advance(60_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'closed', names: ['golfFans'] });
    clock.advance(600_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'closed', names: ['golfFans'] });
  });
});

describe('the region that is called', () => {
  it('is the one in the cookie at the time of the refresh', async () => {
    const { view, simulator, clock } = await seenOnce();
    clock.advance(660_000);
    await view(cookieOf(ECID, 6));
    expect(simulator.requests.map(({ region }) => region)).toEqual([9, 6]);
  });

  it('is the visitor’s last known one if the cookie has none', async () => {
    const { view, simulator, clock } = await seenOnce();
    await view(cookieOf(ECID, 6));
    clock.advance(660_000);
    await view(cookieOf(ECID, null));
    clock.advance(660_000);
    await view(cookieOf(ECID, null));
    expect(simulator.requests.map(({ region }) => region)).toEqual([9, 6, 6]);
  });

  it('is never taken from an answer of the alias', async () => {
    const { view, simulator } = await createSite();
    const clock = advanceableClock();
    expect(await view(cookieOf(ECID, null))).toMatchObject({ region: 7 });
    clock.advance(660_000);
    await view(cookieOf(ECID, null));
    expect(simulator.requests.map(({ region }) => region)).toEqual(['alias', 'alias']);
  });
});

describe('an answer without segments', () => {
  it('is refreshed after emptyTtlMs', async () => {
    const { view, simulator } = await createSite();
    const clock = advanceableClock();
    expect(await view()).toMatchObject({ status: 'fresh', ids: [] });
    clock.advance(14_000);
    expect(await view()).toMatchObject({ status: 'cached', ids: [] });
    clock.advance(1_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'revalidating', ids: [] });
    await simulator.received(2);
  });

  it('is not an answer with a configured destination value, though raw destinations are no segments', async () => {
    const { view, simulator } = await createSite({ destinations: { aam: { keys: ['seg'] } } });
    const clock = advanceableClock();
    simulator.visitor(ECID).destination('aam', `seg=${GOLF},seg=sports-fan`).destination('other', 'seg=7');
    expect(await view()).toMatchObject({
      ids: [String(GOLF)],
      names: ['golfFans'],
      destinations: { aam: `seg=${GOLF},seg=sports-fan`, other: 'seg=7' },
    });
    clock.advance(15_000);
    expect(await view()).toMatchObject({ status: 'cached' });
  });

  it('replaces earlier segments', async () => {
    const { view, simulator, clock } = await seenOnce();
    simulator.visitor(ECID).out();
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'fresh', ids: [] });
  });
});

describe('a visitor that the DCS excludes', () => {
  it.each([
    [171, 'opted-out', 7_200_000],
    [173, 'opted-out', 7_200_000],
    [315, 'opted-out', 7_200_000],
    [101, 'invalid-id', 21_600_000],
    [102, 'invalid-id', 21_600_000],
    [172, 'refused', 3_600_000],
    [198, 'refused', 3_600_000],
    [199, 'refused', 3_600_000],
  ])(
    'by code %d is excluded as %s without the cached answer, and looked up again when that expires',
    async (code, reason, ttlMs) => {
      jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const { view, simulator, clock } = await seenOnce();
      simulator.visitor(ECID).fails(code);
      clock.advance(660_000);
      expect(await view()).toMatchObject({ status: 'excluded', reason, ids: [] });
      clock.advance(ttlMs - 1_000);
      expect(await view()).toMatchObject({ status: 'excluded', reason, ids: [] });
      expect(simulator.requests).toHaveLength(2);
      simulator.visitor(ECID).fails(undefined);
      clock.advance(1_000);
      expect(await view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    },
  );

  it.each([306, 307])('by code %d is never looked up again', async (code) => {
    const { view, simulator, clock, aam } = await seenOnce();
    simulator.visitor(ECID).fails(code);
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'excluded', reason: 'denylisted', ids: [] });
    aam.forget({ ecid: ECID });
    clock.advance(2_147_483_647);
    expect(await view()).toMatchObject({ status: 'excluded', reason: 'denylisted', ids: [] });
    expect(simulator.requests).toHaveLength(2);
  });
});

describe('an answer without data', () => {
  it.each([0, 10, 200, 201, 202, 203, 204, 205])('of code %d leaves the cached answer', async (code) => {
    const { view, simulator, clock } = await seenOnce();
    simulator.visitor(ECID).fails(code);
    clock.advance(660_000);
    expect(await view()).toMatchObject({ status: 'stale', reason: 'dcs-error', names: ['golfFans'] });
  });

  it.each(['{}', ''])(
    'with body %p leaves a new visitor unknown until the next call after emptyTtlMs',
    async (body) => {
      const { view, simulator } = await createSite({ maxWaitMs: 5_000 });
      const clock = advanceableClock();
      simulator.fault({ kind: 'body', body });
      expect(await view()).toMatchObject({ status: 'unknown', reason: 'dcs-error' });
      clock.advance(14_000);
      expect(await view()).toMatchObject({ status: 'unknown', reason: 'dcs-error' });
      expect(simulator.requests).toHaveLength(1);
      clock.advance(1_000);
      expect(await view()).toMatchObject({ status: 'unknown', reason: 'dcs-error' });
      expect(simulator.requests).toHaveLength(2);
    },
  );
});

describe('a code that the site can fix', () => {
  it('is warned about once, with what to do and without identifiers', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { view } = await createSite({ partner: 'someone-else', maxWaitMs: 5_000 });
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'dcs-error' });
    expect(await view(cookieOf(ECID.replace(/^2/, '3')))).toMatchObject({ status: 'unknown', reason: 'dcs-error' });
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(/^DCS error 1: the partner is unknown; check the option 'partner'/),
        expect.objectContaining({ code: 'WRN_AAM_DCS' }),
      ],
    ]);
  });

  it('is warned about also when the answer is usable', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { view, simulator } = await createSite();
    const body = JSON.stringify({ segments: [GOLF], uuid: '1', errors: [{ code: 311, msg: ECID }] });
    simulator.fault({ kind: 'body', body });
    expect(await view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(warned).toHaveBeenCalledTimes(1);
    expect(String(warned.mock.calls[0]?.[0])).not.toContain(ECID);
  });
});

describe('forget()', () => {
  it('makes the next page view look the visitor up again', async () => {
    const { view, simulator, aam } = await seenOnce();
    aam.forget({ ecid: ECID });
    expect(await view()).toMatchObject({ status: 'fresh' });
    expect(simulator.requests).toHaveLength(2);
  });

  it('rejects an invalid visitor, without the id in the message', async () => {
    const { aam } = await createSite();
    const wrong = [{ ecid: '12345' }, { uuid: ECID, ecid: ECID }, {}, null, undefined, { ecid: ECID, region: 'x' }];
    for (const visitor of wrong) {
      expect(() => aam.forget(visitor as never)).toThrow(expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' }));
      expect(() => aam.forget(visitor as never)).not.toThrow('12345');
    }
  });
});

/** Resolves once no call is in flight and all its waiters have been notified. */
async function idle(aam: Awaited<ReturnType<typeof createSite>>['aam']): Promise<void> {
  while (aam.stats().inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

describe('an answer that is still to come', () => {
  it('is shared by those who ask the same, also when no other call could be made', () => {
    const { dcs, calls, pending, served } = resolverOf();
    const flight = pending();
    dcs.unavailable.mockReturnValue({ reason: 'circuit-open', message: '' });
    expect([pending(), calls.length]).toEqual([flight, 1]);
    expect(served({ ecid: ECID.replace('2', '3') })).toEqual(['unknown', 'circuit-open']);
  });

  it('is not shared by those who ask something else', () => {
    const { calls, begin, pending, last } = resolverOf();
    pending();
    begin({ ecid: ECID }, 'consent');
    begin({ uuid: ECID });
    expect(calls).toHaveLength(3);
    for (const call of calls) call.answer(7);
    expect([begin({ ecid: ECID }), begin({ ecid: ECID }, 'consent')]).toEqual(
      Array(2).fill(expect.objectContaining({ status: 'cached' })),
    );
    begin({ ecid: ECID, customerIds: [{ id: 'c1', dataSourceId: 1 }] });
    last().fail({ reason: 'opted-out', dcsCode: 171 });
    // Whatever is asked.
    expect(begin({ ecid: ECID }, 'consent')).toMatchObject({ status: 'excluded', reason: 'opted-out' });
    expect(calls).toHaveLength(4);
  });

  it('is waited for where the visitor has sent an event, even when what is known is fresh', () => {
    const { resolver, dcs, last, learn, pending, served } = resolverOf();
    learn(7);
    void resolver.sendEvent({ ecid: ECID }, undefined, '&c_a=b').catch(() => {});
    const flight = pending();
    expect(flight).toHaveProperty('promise');
    dcs.isImminent.mockReturnValue(false);
    expect(served()).toEqual(['cached', undefined]);
    dcs.isImminent.mockReturnValue(true);
    last().begin();
    last().answer(8);
    expect(served()).toEqual(['cached', undefined]);
  });

  it('is what was known, and still fresh, when the event fails or is late', () => {
    const { resolver, learn, begin } = resolverOf();
    learn(7);
    void resolver.sendEvent({ ecid: ECID }, undefined, '&c_a=b').catch(() => {});
    const { fallback } = begin() as PendingAnswer;
    const failure = { reason: 'timeout', message: '' } as const;
    expect(resolver.failed({ failure }, fallback, 0)).toMatchObject({ status: 'cached', reason: undefined });
    expect(resolver.pending(fallback, 0)).toMatchObject({ status: 'cached' });
    expect(resolver.failed({ isDropped: true }, undefined, 0)).toMatchObject({ status: 'unknown', reason: 'pending' });
  });

  it('is not waited for by a prefetch, which asks nobody', () => {
    const { resolver, calls, clock, learn } = resolverOf();
    const prefetch = () => {
      const { status, reason } = resolver.begin({ ecid: ECID }, undefined, asker(false), clock.nowMs) as ServedAnswer;
      return [status, reason];
    };
    expect(prefetch()).toEqual(['excluded', 'skipped']);
    learn(7);
    expect(prefetch()).toEqual(['cached', undefined]);
    clock.nowMs = 60_000;
    expect([prefetch(), calls.length]).toEqual([['stale', 'skipped'], 1]);
  });
});

describe('what is known', () => {
  it('is served with its age while it is fresh and when it is stale', () => {
    const { clock, begin, learn } = resolverOf();
    clock.nowMs = 1_000;
    learn(7);
    clock.nowMs = 3_000;
    expect(begin()).toMatchObject({ status: 'cached', ageMs: 2_000 });
    clock.nowMs = 70_000;
    expect(begin()).toMatchObject({ status: 'stale', ageMs: 69_000 });
  });
});

describe('what is out of date', () => {
  it.each(['forget', 'withdraw'] as const)('is not joined, served or remembered after %s()', async (what) => {
    const { resolver, calls, pending, served, last } = resolverOf();
    const before = pending();
    last().begin();
    if (what === 'forget') resolver.forget({ ecid: ECID });
    else resolver.withdraw({ ecid: ECID }, 'no-consent');
    const after = pending();
    expect([after === before, calls.length]).toEqual([false, 2]);
    calls[0]?.answer(7);
    expect(pending()).toBe(after);
    expect(idsOf(await before.promise)).toEqual(['7']);
    last().begin();
    last().answer(8);
    expect(served()).toEqual(['cached', undefined]);
    expect(idsOf(await after.promise)).toEqual(['8']);
  });

  it('by a withdrawal is what earlier requests want, by every id that the visitor shows', () => {
    const { resolver, dcs, calls, pending } = resolverOf();
    const customerIds = [{ id: 'c1', dataSourceId: 1 }] as const;
    pending({ ecid: ECID, customerIds });
    pending({ customerIds });
    pending({ ecid: '91563127448770346027793623225009407783' });
    const before = resolver.moment;
    resolver.forget({ ecid: ECID, customerIds });
    expect(resolver.hasWithdrawnSince(before, { ecid: ECID })).toBe(false);
    resolver.withdraw({ ecid: ECID, customerIds }, 'no-consent');
    expect(resolver.hasWithdrawnSince(before, { ecid: ECID })).toBe(true);
    expect(resolver.hasWithdrawnSince(before, { customerIds })).toBe(true);
    expect(resolver.hasWithdrawnSince(resolver.moment, { ecid: ECID, customerIds })).toBe(false);
    expect(dcs.abandon.mock.calls).toEqual([[calls.slice(0, 2), 'no-consent']]);
  });

  it('by a withdrawal are segments, and never what the DCS has said about the visitor', () => {
    const { resolver, calls, pending, served, last, learn } = resolverOf();
    pending();
    last().fail({ reason: 'opted-out', dcsCode: 171 });
    resolver.withdraw({ ecid: ECID }, 'no-consent');
    expect([served(), calls.length]).toEqual([['excluded', 'opted-out'], 1]);
    const other = { uuid: ECID };
    learn(7, other);
    resolver.withdraw(other, 'no-consent');
    expect([pending(other), calls.length]).toEqual([expect.anything(), 3]);
  });

  it('under one of the ids that a visitor shows is so under the others, but for what the DCS has said', () => {
    const { resolver, pending, served, last, learn } = resolverOf();
    const customerIds = [{ id: 'c1', dataSourceId: 1 }] as const;
    const visitor = { ecid: ECID, customerIds };
    learn(7, visitor);
    expect(served(visitor)).toEqual(['cached', undefined]);
    resolver.forget({ customerIds });
    expect(pending(visitor)).toHaveProperty('promise');
    last().fail({ reason: 'opted-out', dcsCode: 171 });
    resolver.withdraw({ customerIds }, 'no-consent');
    expect(served(visitor)).toEqual(['excluded', 'opted-out']);
  });

  it('by an opt-out is everything, before it is answered and after', async () => {
    const { resolver, calls, pending, last, learn } = resolverOf();
    learn(7);
    const before = resolver.moment;
    const done = resolver.optOut({ ecid: ECID });
    expect(resolver.hasWithdrawnSince(before, { ecid: ECID })).toBe(true);
    const optOut = last();
    const meanwhile = pending();
    last().begin();
    optOut.answer();
    await done;
    expect(pending()).not.toBe(meanwhile);
    expect(calls.map(({ kind }) => kind)).toEqual(['lookup', 'opt-out', 'lookup', 'lookup']);
  });

  it('by an opt-out that failed is everything as well', async () => {
    const { resolver, last } = resolverOf();
    const done = resolver.optOut({ ecid: ECID });
    last().fail({ reason: 'timeout' });
    await expect(done).rejects.toMatchObject({ code: 'ERR_AAM_DCS_TIMEOUT' });
  });
});

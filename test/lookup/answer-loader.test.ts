import { AnswerCache } from '../../src/cache/answer-cache';
import { ttlMsOf } from '../../src/cache/stamps';
import { AnswerLoader } from '../../src/lookup/answer-loader';
import { Generations } from '../../src/lookup/generations';
import { unpackAnswer } from '../../src/segments/packed-answer';
import { about, ECID } from '../dcs/client-of';
import { replyTo } from '../dcs/outcome';
import { type FakeCall, fakeDcs } from './fake-dcs';

const QUESTION = about({ ecid: ECID, region: 6 });

function setup(segmentIds: string | false = 'sid') {
  const { dcs, calls } = fakeDcs();
  const cache = new AnswerCache({
    maxVisitors: 100,
    maxBytes: 1_048_576,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    nowMs: () => 0,
  });
  const generations = new Generations();
  const config = { destinations: new Map(), dcs: { segmentIds }, cache: { ttlMs: 60_000, emptyTtlMs: 15_000 } };
  const loader = new AnswerLoader(config as never, dcs, cache, generations);
  const lookup = (key = 'a') => {
    const flight = loader.lookup([key], QUESTION);
    return { flight, call: calls.at(-1) as FakeCall };
  };
  const sendEvent = (isAwaited = true) => {
    const flight = loader.sendEvent(['a'], QUESTION, isAwaited);
    return { flight, call: calls.at(-1) as FakeCall };
  };
  /** What is remembered, with its ttl. */
  const known = () => {
    const entry = cache.get('a', '');
    return entry === undefined ? undefined : { ...unpackAnswer(entry), ttlMs: ttlMsOf(entry) };
  };
  const ids = () => known()?.ids;
  return { dcs, calls, cache, generations, loader, lookup, sendEvent, known, ids };
}

describe('a lookup', () => {
  it('is joined by those who ask the same until it has ended, and remembered when its promise settles', async () => {
    const { loader, lookup, ids } = setup();
    const { flight, call } = lookup();
    expect([loader.lookupOf('a', ''), loader.lookupOf('a', 'in'), loader.lookupOf('b', '')]).toEqual([
      flight,
      undefined,
      undefined,
    ]);
    call.begin();
    expect(loader.lookupOf('a', '')).toBe(flight);
    call.answer(7);
    expect(loader.lookupOf('a', '')).toBeUndefined();
    expect([ids(), unpackAnswer(await flight.promise).ids]).toEqual([['7'], ['7']]);
  });

  it('is remembered for as long as its answer is worth', () => {
    const { known, lookup } = setup();
    const { call } = lookup();
    call.begin();
    call.answer(7);
    expect(known()).toMatchObject({ ttlMs: 60_000, cookieRegion: 6 });
    const { call: other } = lookup();
    other.begin();
    other.answer();
    expect(known()).toMatchObject({ ttlMs: 15_000 });
  });

  it.each(['forget', 'withdraw'] as const)(
    'that began before a visitor said %s is not joined or stored',
    async (what) => {
      const { loader, generations, lookup, ids } = setup();
      const { flight, call } = lookup();
      call.begin();
      if (what === 'forget') generations.renew('a');
      else generations.withdraw('a');
      expect(loader.lookupOf('a', '')).toBeUndefined();
      const { flight: younger, call: second } = lookup();
      expect(loader.lookupOf('a', '')).toBe(younger);
      second.begin();
      second.answer(8);
      call.answer(7);
      // Who joined before gets it.
      expect(unpackAnswer(await flight.promise).ids).toEqual(['7']);
      expect([ids(), unpackAnswer(await younger.promise).ids]).toEqual([['8'], ['8']]);
    },
  );

  it('belongs to the moment at which it is sent, not to that at which it is queued', () => {
    const { loader, generations, lookup, ids } = setup();
    const { flight, call } = lookup();
    generations.renew('a');
    expect(loader.lookupOf('a', '')).toBe(flight);
    call.begin();
    call.answer(7);
    expect(ids()).toEqual(['7']);
  });

  it('is out of date when any key of the visitor is', async () => {
    const { loader, calls, generations, ids } = setup();
    const flight = loader.lookup(['a', 'customer'], QUESTION);
    calls[0]?.begin();
    generations.renew('customer');
    expect(loader.lookupOf('a', '')).toBeUndefined();
    calls[0]?.answer(7);
    await flight.promise;
    expect(ids()).toBeUndefined();
  });

  it('that fails rejects with why, which nobody has to wait for, and leaves what is known', async () => {
    const { lookup, ids } = setup();
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const { call: first } = lookup();
    first.answer(7);
    const { flight, call } = lookup();
    call.fail({ reason: 'timeout' });
    await new Promise(setImmediate);
    process.removeListener('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    await expect(flight.promise).rejects.toEqual({ failure: { reason: 'timeout', message: '' } });
    expect(ids()).toEqual(['7']);
  });

  it.each([
    [{ reason: 'opted-out', optOutTtlMs: 5_000 }, 5_000],
    [{ reason: 'opted-out', dcsCode: 171 }, 7_200_000],
    [{ reason: 'invalid-id', dcsCode: 101 }, 21_600_000],
    [{ reason: 'refused', dcsCode: 198 }, 3_600_000],
    [{ reason: 'denylisted', dcsCode: 307 }, 2_592_000_000],
  ] as const)('remembers %j as an answer', async (failure, ttlMs) => {
    const { cache, known, lookup } = setup();
    const { flight, call } = lookup();
    call.fail(failure);
    expect(unpackAnswer(await flight.promise)).toEqual(unpackAnswer(cache.get('a', 'any') as string));
    expect(known()).toMatchObject({ excluded: failure.reason, ttlMs });
  });

  it.each(['opted-out', 'no-consent'] as const)('is no answer when it was the visitor who said %s', async (reason) => {
    const { cache, lookup } = setup();
    const { flight, call } = lookup();
    call.fail({ reason });
    await expect(flight.promise).rejects.toMatchObject({ failure: { reason } });
    expect(cache.has('a')).toBe(false);
  });

  it('that ends before it returns is not joined', async () => {
    const { dcs, loader } = setup();
    const real = dcs.lookup;
    dcs.lookup = (key, question, observer) => {
      const call = real(key, question, observer);
      call.fail({ reason: 'overloaded' });
      return call;
    };
    const flight = loader.lookup(['a'], QUESTION);
    expect(loader.lookupOf('a', '')).toBeUndefined();
    await expect(flight.promise).rejects.toMatchObject({ failure: { reason: 'overloaded' } });
  });

  it('says whether its call is a probe', () => {
    const { lookup } = setup();
    const { flight, call } = lookup();
    expect(flight.isProbe).toBe(false);
    call.isProbe = true;
    expect(flight.isProbe).toBe(true);
  });
});

describe('an event', () => {
  it('is worth waiting for while it is imminent and the page waits for events', () => {
    const { dcs, loader, sendEvent } = setup();
    expect(loader.imminentEventOf('a', '')).toBeUndefined();
    const { flight, call } = sendEvent();
    expect([loader.imminentEventOf('a', ''), loader.imminentEventOf('a', 'in')]).toEqual([flight, undefined]);
    expect([loader.imminentEventOf('b', ''), loader.lookupOf('a', '')]).toEqual([undefined, undefined]);
    expect(dcs.isImminent).toHaveBeenCalledWith(call);
    dcs.isImminent.mockReturnValue(false);
    expect(loader.imminentEventOf('a', '')).toBeUndefined();
    dcs.isImminent.mockReturnValue(true);
    call.answer(7);
    expect(loader.imminentEventOf('a', '')).toBeUndefined();
  });

  it('that the page does not wait for is not, nor is a lookup', () => {
    const { loader, sendEvent, lookup } = setup();
    sendEvent(false);
    lookup();
    expect(loader.imminentEventOf('a', '')).toBeUndefined();
  });

  it('is the newest of those that are imminent', () => {
    const { loader, sendEvent } = setup();
    sendEvent();
    const { flight } = sendEvent();
    expect(loader.imminentEventOf('a', '')).toBe(flight);
  });

  it('makes what was asked before out of date with its answer', async () => {
    const { loader, lookup, sendEvent, ids } = setup();
    const { call: older } = lookup();
    older.begin();
    const { call: event } = sendEvent();
    event.begin();
    event.answer(8);
    expect(loader.lookupOf('a', '')).toBeUndefined();
    older.answer(7);
    expect(ids()).toEqual(['8']);
  });

  it('that fails does not', () => {
    const { loader, lookup, sendEvent } = setup();
    const { flight, call } = lookup();
    call.begin();
    const { call: event } = sendEvent();
    event.begin();
    event.fail({});
    expect(loader.lookupOf('a', '')).toBe(flight);
  });

  it('that is ended unsent by what another call has brought does not, nor one that waits again', () => {
    const { loader, lookup, sendEvent } = setup();
    const { flight, call } = lookup();
    call.begin();
    sendEvent().call.fail({ reason: 'refused', dcsCode: 172 });
    expect(loader.lookupOf('a', '')).toBe(flight);
    const { call: again } = sendEvent();
    again.begin();
    again.phase = 'waiting';
    again.fail({ reason: 'refused', dcsCode: 172 });
    expect(loader.lookupOf('a', '')).toBe(flight);
  });

  it('that began before the visitor withdrew consent is not remembered, and renews nothing', () => {
    const { loader, generations, lookup, sendEvent, ids } = setup();
    const { call: event } = sendEvent();
    event.begin();
    generations.withdraw('a');
    const { flight, call } = lookup();
    call.begin();
    event.answer(8);
    expect([ids(), loader.lookupOf('a', '')]).toEqual([undefined, flight]);
  });

  it('is one of a stranger where nothing is known about the visitor', () => {
    const { calls, sendEvent } = setup();
    sendEvent().call.answer(7);
    sendEvent();
    expect(calls.map(({ isStranger }) => isStranger)).toEqual([true, false]);
  });

  it('that was dropped rejects with that', async () => {
    const { sendEvent } = setup();
    const { flight, call } = sendEvent();
    call.end({ isDropped: true });
    await expect(flight.promise).rejects.toEqual({ isDropped: true });
  });
});

describe('several calls about a visitor', () => {
  it('are joined until each of them has ended', () => {
    const { loader, lookup, sendEvent } = setup();
    const { call } = lookup();
    const { flight, call: event } = sendEvent();
    call.answer(7);
    expect([loader.lookupOf('a', ''), loader.imminentEventOf('a', '')]).toEqual([undefined, flight]);
    event.answer(7);
    expect(loader.imminentEventOf('a', '')).toBeUndefined();
  });

  it('are not forgotten when another one ends before it returns', async () => {
    const { dcs, loader, sendEvent } = setup();
    const { flight } = sendEvent();
    const real = dcs.sendEvent;
    dcs.sendEvent = (...args) => {
      const call = real(...args);
      call.fail({ reason: 'closed' });
      return call;
    };
    await expect(loader.sendEvent(['a'], QUESTION, true).promise).rejects.toMatchObject({
      failure: { reason: 'closed' },
    });
    expect(loader.imminentEventOf('a', '')).toBe(flight);
  });
});

describe('an opt-out', () => {
  it('ends what names the visitor, but for a call in flight about the same visitor, which it waits for', () => {
    const { dcs, loader, calls } = setup();
    for (const keys of [['a'], ['a'], ['b', 'a'], ['c']] as const) loader.lookup(keys, QUESTION);
    const [first, second, byOtherKey] = calls as [FakeCall, FakeCall, FakeCall];
    for (const call of [first, byOtherKey]) call.phase = 'running';
    loader.optOut(['a'], { ecid: ECID }).catch(() => {});
    expect(dcs.abandon).toHaveBeenCalledWith([second, byOtherKey], 'opted-out');
  });

  it('ends nothing that has ended', () => {
    const { dcs, loader, calls } = setup();
    for (const keys of [['a'], ['b', 'a'], ['c', 'a']] as const) loader.lookup(keys, QUESTION);
    const [first, second, third] = calls as [FakeCall, FakeCall, FakeCall];
    for (const call of [first, second]) call.answer(7);
    loader.abandon(['a'], 'no-consent');
    third.answer(7);
    loader.abandon(['a'], 'no-consent');
    expect(dcs.abandon.mock.calls).toEqual([
      [[third], 'no-consent'],
      [[], 'no-consent'],
    ]);
  });

  it('settles when it has been answered', async () => {
    const { loader, calls } = setup();
    const done = loader.optOut(['a'], { ecid: ECID });
    calls[0]?.answer();
    expect(await done).toBeUndefined();
  });

  it('rejects with an error of its own when it failed', async () => {
    const { loader, calls } = setup();
    const done = [loader.optOut(['a'], { ecid: ECID }), loader.optOut(['a'], { ecid: ECID })];
    for (const call of calls) call.fail({ reason: 'timeout', message: 'late' });
    const [first, second] = await Promise.all(done.map((each) => each.catch((error: Error) => error)));
    expect(first).toMatchObject({ code: 'ERR_AAM_DCS_TIMEOUT', message: 'late' });
    expect(first).not.toBe(second);
  });
});

describe('advice', () => {
  it.each([
    ['sid', [expect.stringContaining('d_cts')]],
    [false, []],
  ] as const)('says that segment ids are missing where they are wanted: %p', (segmentIds, advice) => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { loader, lookup } = setup(segmentIds);
    for (let n = 0; n < 10; n++) lookup().call.end({ reply: replyTo({ stuff: [{ cn: 'x', cv: 'y' }] }) });
    expect(loader.advice).toEqual(advice);
    jest.restoreAllMocks();
  });

  it('comes from the answers and from the codes of failures', () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { loader, lookup } = setup();
    lookup().call.fail({ reason: 'dcs-error', dcsCode: 2 });
    expect(loader.advice).toEqual([expect.stringContaining('orgId')]);
    lookup().call.end({ reply: replyTo({ stuff: [{ cn: 'x', cv: 'y' }] }, '313') });
    expect(loader.advice).toContainEqual(expect.stringContaining('consent management platform'));
    jest.restoreAllMocks();
  });
});

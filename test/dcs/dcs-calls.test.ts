import { DcsCalls, type DcsCallsConfig } from '../../src/dcs/dcs-calls';
import type { Call, CallResult } from '../../src/dcs/flow/call';
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import { Regions } from '../../src/dcs/protocol/regions';
import { about, ECID } from './client-of';
import { FakeTransport, type Sent } from './fake-transport';
import { FakeClock } from './flow/fake-clock';

const TIMEOUT: DcsFailure = { reason: 'timeout', message: 'late' };
const LIMITED: DcsFailure = { reason: 'rate-limited', message: '', retryAfterMs: 300_000 };
const BREAKER = { minCalls: 2, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 };

/** The calls, on a wire and by a clock that are the test's. */
function setup(config: Partial<DcsCallsConfig> = {}) {
  const clock = new FakeClock();
  const transport = new FakeTransport();
  const [origin, ninth] = [new URL('http://alias.example'), new URL('http://ninth.example')];
  const dcs = new DcsCalls(
    {
      orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
      regions: new Regions(new Map([[9, ninth]]), origin),
      segmentIds: 'sid',
      timeoutMs: 1_000,
      connections: 4,
      maxQueuedCalls: 128,
      maxQueuedEvents: 1_000,
      breaker: BREAKER,
      failover: false,
      failureCooldownMs: 1_000,
      noDataCooldownMs: 15_000,
      maxCallsPerMinute: 1_000,
      ...config,
    },
    transport,
    clock,
  );
  const all: Call[] = [];
  const made = (make: (ended: (result: CallResult) => void) => ReturnType<typeof dcs.lookup>) => {
    const results: string[] = [];
    const call = make((result) => {
      results.push('reply' in result ? 'answered' : 'failure' in result ? result.failure.reason : 'dropped');
    });
    all.push(call);
    return { call, results };
  };
  const began = () => {};
  return {
    dcs,
    clock,
    transport,
    sent: transport.sent as readonly Sent[],
    lookup: (key: string, region?: number) =>
      made((ended) => dcs.lookup(key, about({ ecid: ECID, region }), { began, ended })),
    sendEvent: (key: string, isStranger = false) =>
      made((ended) =>
        dcs.sendEvent(key, { ...about({ ecid: ECID }), signals: '&c_a=b' }, isStranger, { began, ended }),
      ),
    abandon: (key: string, reason: 'no-consent' | 'opted-out') =>
      dcs.abandon(
        all.filter((call) => call.key === key && call.kind !== 'opt-out'),
        reason,
      ),
    optOut: (key: string) => made((ended) => dcs.optOut(key, { ecid: ECID }, { began, ended })),
    paths: () => transport.sent.map(({ outgoing }) => outgoing.request.path),
    /** Answers all that is on the wire, until nothing is. */
    answerAll: () => {
      while (transport.running.size > 0) for (const each of transport.running) each.answer();
    },
  };
}

const OPT_OUT = expect.stringContaining('/demoptout.jpg');
const EVENT = expect.stringContaining('c_a=b');

describe('events', () => {
  it('of 1 400 visitors at once are sent or dropped, and nothing is left', () => {
    const { dcs, clock, transport, sendEvent, answerAll } = setup({ connections: 64 });
    const events = Array.from({ length: 1_400 }, (_, n) => sendEvent(`v${n}`));
    expect(dcs.stats().events.queued).toBe(1_000);
    answerAll();
    const { sent, dropped, queued, failed } = dcs.stats().events;
    expect([sent + dropped, queued, failed, dcs.stats().inFlight]).toEqual([1_400, 0, 0, 0]);
    expect(sent).toBeGreaterThanOrEqual(1_000);
    // What was dropped was not sent.
    expect(transport.sent).toHaveLength(sent);
    expect(events.every(({ results }) => results.length === 1)).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('take half of the connections at most, whatever waits', () => {
    const { transport, lookup, sendEvent } = setup();
    for (let n = 0; n < 10; n++) sendEvent(`e${n}`);
    expect(transport.running.size).toBe(2);
    for (let n = 0; n < 10; n++) lookup(`l${n}`);
    expect(transport.running.size).toBe(4);
  });

  it('that are dropped make way for the lookup behind them', () => {
    const { sent, lookup, sendEvent } = setup({ maxQueuedEvents: 1 });
    for (const key of ['x', 'y']) sendEvent(key);
    const event = sendEvent('a');
    const { results } = lookup('a');
    expect([sent.length, results]).toEqual([2, []]);
    sendEvent('b');
    expect([event.results, event.call.phase]).toEqual([['dropped'], 'over']);
    sent[2]?.answer();
    expect(results).toEqual(['answered']);
  });

  it('are imminent while they are sent, or next and not held back', () => {
    const { dcs, clock, sent, sendEvent, abandon } = setup();
    const [first, second, third] = [sendEvent('a'), sendEvent('a'), sendEvent('a')];
    const imminent = () => [first, second, third].map(({ call }) => dcs.isImminent(call));
    expect(imminent()).toEqual([true, true, false]);
    sent[0]?.answer(TIMEOUT);
    // No call may be made about the visitor for now.
    expect(imminent()).toEqual([false, false, false]);
    clock.advance(1_000);
    expect(imminent()).toEqual([false, true, true]);
    abandon('a', 'no-consent');
    expect(imminent()).toEqual([false, false, false]);
  });

  it('that the server turned away are held back with their order, and lookups overtake them', () => {
    const { dcs, clock, sent, lookup, sendEvent } = setup();
    const [first, second] = [sendEvent('a'), sendEvent('a')];
    expect(dcs.isImminent(first.call)).toBe(true);
    sent[0]?.answer(LIMITED);
    expect([first.results, dcs.stats().events.queued]).toEqual([[], 2]);
    expect(dcs.isImminent(first.call)).toBe(false);
    clock.advance(1_000);
    // Its cookie now names a region that is well.
    const { results } = lookup('a', 9);
    expect(sent).toHaveLength(2);
    sent[1]?.answer();
    expect(results).toEqual(['answered']);
    clock.advance(299_000);
    sent[2]?.answer();
    sent[3]?.answer();
    expect([first.results, second.results, dcs.stats().inFlight]).toEqual([['answered'], ['answered'], 0]);
  });
});

describe('an opt-out', () => {
  it('is sent after the call in flight, and what waits to be asked and told is not', () => {
    const { paths, sent, lookup, sendEvent, optOut } = setup();
    const [running, event, second] = [lookup('a'), sendEvent('a'), lookup('a')];
    const done = optOut('a');
    expect([event.results, second.results, running.results]).toEqual([['opted-out'], ['opted-out'], []]);
    sent[0]?.answer();
    sent[1]?.answer();
    expect(paths()).toEqual([expect.anything(), OPT_OUT]);
    expect([running.results, done.results]).toEqual([['answered'], ['answered']]);
  });

  it.each(['before', 'after'])('is not followed by an event that the server turns away %s it', (when) => {
    const { dcs, clock, paths, sent, sendEvent, optOut } = setup();
    const event = sendEvent('a');
    if (when === 'before') sent[0]?.settle(LIMITED);
    optOut('a');
    if (when === 'after') sent[0]?.settle(LIMITED);
    sent[0]?.release();
    sent[1]?.answer();
    clock.advance(3_600_000);
    expect(paths()).toEqual([EVENT, OPT_OUT]);
    expect([event.results, dcs.stats().events, dcs.stats().inFlight]).toEqual([
      ['opted-out'],
      { queued: 0, sent: 0, failed: 1, dropped: 0 },
      0,
    ]);
  });

  it('goes out though the lookup before it is queued, the gate is full and the breaker open', () => {
    const { sent, lookup, optOut } = setup({ connections: 2 });
    lookup('x');
    lookup('y');
    const queued = lookup('a');
    const first = optOut('a');
    expect([queued.results, sent.length]).toEqual([['opted-out'], 3]);
    sent[2]?.answer();
    expect(first.results).toEqual(['answered']);
    for (const each of sent.slice(0, 2)) each.answer(TIMEOUT);
    expect(lookup('b').results).toEqual(['circuit-open']);
    optOut('c');
    expect(sent).toHaveLength(4);
  });

  it('is waited for by close(), lookups are not, and later ones are rejected', async () => {
    const { dcs, sent, lookup, optOut, sendEvent } = setup();
    const [asked, done] = [lookup('a'), optOut('b')];
    const closed = dcs.close();
    expect([asked.results, sent[0]?.isAborted, done.results, sent[1]?.isAborted]).toEqual([
      ['closed'],
      true,
      [],
      false,
    ]);
    sent[0]?.release();
    sent[1]?.answer();
    await closed;
    expect(done.results).toEqual(['answered']);
    for (const make of [lookup, sendEvent, optOut]) expect(make('c').results).toEqual(['closed']);
  });

  it('and the events in flight are both waited for by close(), with what waits for its turn', async () => {
    const { dcs, clock, sent, sendEvent, optOut } = setup();
    const [event, second, done] = [sendEvent('a'), sendEvent('a'), optOut('b')];
    const closed = dcs.close();
    expect(clock.keepingAlive).toBe(1);
    sent[0]?.answer();
    sent[1]?.answer();
    expect(clock.keepingAlive).toBe(1);
    sent[2]?.answer();
    await closed;
    expect([event.results, second.results, done.results]).toEqual(Array(3).fill(['answered']));
    expect([clock.pending, dcs.stats().inFlight]).toEqual([0, 0]);
  });

  it('is ended by close() when it has had the time of one call and that of one before it', async () => {
    const { dcs, clock, sent, optOut } = setup();
    const done = optOut('a');
    const closed = dcs.close();
    clock.advance(1_000);
    await Promise.resolve();
    clock.advance(999);
    expect(done.results).toEqual([]);
    clock.advance(1);
    await closed;
    expect([done.results, sent[0]?.isAborted]).toEqual([['closed'], true]);
  });
});

describe('visitors who withdraw consent', () => {
  it('are neither asked about nor told of any more, but for their opt-out', () => {
    const { dcs, paths, sent, lookup, sendEvent, optOut, abandon } = setup();
    const [asked, done, told] = [lookup('a'), optOut('a'), sendEvent('a')];
    abandon('a', 'no-consent');
    expect([asked.results, told.results, sent[0]?.isAborted]).toEqual([['no-consent'], ['no-consent'], true]);
    sent[0]?.release();
    sent[1]?.answer();
    expect([paths(), done.results]).toEqual([[expect.anything(), OPT_OUT], ['answered']]);
    expect(dcs.stats()).toMatchObject({ inFlight: 0, events: { queued: 0, failed: 1 } });
  });

  it('while they wait for a connection leave it to those behind them', () => {
    const { dcs, sent, lookup, abandon } = setup();
    for (let n = 0; n < 4; n++) lookup(`running${n}`);
    const withdrawn = Array.from({ length: 6 }, (_, n) => lookup(`withdrawn${n}`));
    const behind = Array.from({ length: 4 }, (_, n) => lookup(`behind${n}`));
    for (let n = 0; n < 6; n++) abandon(`withdrawn${n}`, 'no-consent');
    expect(withdrawn.map(({ results }) => results)).toEqual(Array(6).fill(['no-consent']));
    expect(dcs.stats().inFlight).toBe(8);
    for (const each of sent.slice(0, 4)) each.answer();
    expect(sent).toHaveLength(8);
    for (const each of sent.slice(4)) each.answer();
    expect(behind.map(({ results }) => results)).toEqual(Array(4).fill(['answered']));
    expect(dcs.stats().inFlight).toBe(0);
  });

  it('keep the connection of a call in flight until its socket has closed', () => {
    const { sent, lookup, abandon } = setup({ connections: 1 });
    const { results } = lookup('a');
    abandon('a', 'no-consent');
    expect([results, sent[0]?.isAborted]).toEqual([['no-consent'], true]);
    const again = lookup('a');
    lookup('b');
    expect(sent).toHaveLength(1);
    sent[0]?.release();
    expect(sent).toHaveLength(2);
    sent[1]?.answer();
    sent[2]?.answer();
    expect(again.results).toEqual(['answered']);
  });

  it('just when their call begins have it aborted', () => {
    const { dcs, sent, lookup } = setup();
    lookup('a');
    const ended = jest.fn();
    const began = () => dcs.abandon([call], 'no-consent');
    const call: Call = dcs.lookup('a', about({ ecid: ECID }), { began, ended });
    sent[0]?.answer();
    expect(ended).toHaveBeenCalledTimes(1);
    expect([sent[1]?.isAborted, dcs.stats().inFlight]).toEqual([true, 1]);
    sent[1]?.release();
    expect(dcs.stats().inFlight).toBe(0);
  });

  it('during the probe of a broken server leave its breaker open, and the next call probes', () => {
    const { dcs, clock, sent, lookup, abandon } = setup();
    for (const key of ['x', 'y']) lookup(key);
    for (const each of sent.slice()) each.answer(TIMEOUT);
    clock.advance(5_000);
    const probe = lookup('a');
    expect(probe.call.isProbe).toBe(true);
    abandon('a', 'opted-out');
    const [origin] = Object.values(dcs.stats().origins);
    expect([probe.results, origin?.breaker]).toEqual([['opted-out'], 'open']);
    expect(lookup('b').call.isProbe).toBe(true);
  });
});

describe('a lookup that would fail at once', () => {
  it('is told from one that can be tried, for the visitor and the origin, and when to try again', async () => {
    const { dcs, sent, lookup } = setup();
    const why = (key: string) => [dcs.unavailable(key, {})?.reason, dcs.retryInMs(key, {})];
    expect(why('a')).toEqual([undefined, 0]);
    lookup('a');
    sent[0]?.answer(TIMEOUT);
    expect([why('a'), why('b')]).toEqual([
      ['timeout', 1_000],
      [undefined, 0],
    ]);
    lookup('b');
    sent[1]?.answer(TIMEOUT);
    expect([why('a'), why('c')]).toEqual([
      ['timeout', 5_000],
      ['circuit-open', 5_000],
    ]);
    await dcs.close();
    expect(why('c')[0]).toBe('closed');
  });
});

describe('a call', () => {
  it('may be sent twice unless it tells the DCS something, and has its answer read unless it is an opt-out', () => {
    const { sent, lookup, sendEvent, optOut } = setup();
    lookup('a');
    sendEvent('b');
    optOut('c');
    expect(sent.map(({ outgoing }) => [outgoing.isRepeatable, outgoing.readsBody])).toEqual([
      [true, true],
      [false, true],
      [true, false],
    ]);
  });
});

describe('calls about one visitor', () => {
  it('are bounded within a minute, whoever makes them', () => {
    const { clock, sent, lookup, abandon } = setup({ maxCallsPerMinute: 20 });
    for (let n = 0; n < 101; n++) {
      lookup('a');
      abandon('a', 'no-consent');
      for (const each of sent) if (each.isAborted) each.release();
      clock.advance(2);
    }
    expect(sent).toHaveLength(20);
    clock.advance(60_000);
    lookup('a');
    expect(sent).toHaveLength(21);
  });

  it('all end when the DCS denylists the visitor, and no further one is made', () => {
    const { dcs, sent } = setup();
    const ended: string[] = [];
    for (const name of ['first', 'second']) {
      const end = (result: CallResult) => ended.push(`${name} ${'failure' in result && result.failure.reason}`);
      dcs.lookup('a', about({ ecid: ECID }), { began: () => {}, ended: end });
    }
    sent[0]?.answer({ reason: 'denylisted', message: '', dcsCode: 306 });
    expect([ended.sort(), sent.length]).toEqual([['first denylisted', 'second denylisted'], 1]);
  });

  it('are not more than eight different lookups', () => {
    const { dcs, sent, lookup } = setup();
    for (let n = 0; n < 8; n++) expect(lookup('a').results).toEqual([]);
    expect(lookup('a').results).toEqual(['overloaded']);
    expect([sent.length, dcs.stats().inFlight]).toEqual([1, 8]);
  });
});

import type { Call } from '../../../src/dcs/flow/call';
import { CallHistory, type CallHistoryConfig } from '../../../src/dcs/flow/call-history';
import { LocalVisitorLane } from '../../../src/dcs/flow/visitor-lane';
import { FakeClock } from './fake-clock';
import { newCall } from './new-call';

/** A lane, with a host that begins and rejects calls, and answers all events alike. */
function setup(config: Partial<CallHistoryConfig> = {}) {
  const clock = new FakeClock();
  const history = new CallHistory(
    { failureCooldownMs: 1_000, noDataCooldownMs: 15_000, maxCallsPerMinute: 1_000, ...config },
    () => clock.nowMs(),
  );
  const begun: Call[] = [];
  const rejected: [Call, string][] = [];
  const host = {
    offer: jest.fn((_event: Call): 'begin' | 'wait' | 'held' => 'begin'),
    begin: (call: Call) => {
      begun.push(call);
    },
    reject: (call: Call, { reason }: { reason: string }) => {
      rejected.push([call, reason]);
    },
  };
  const lane = new LocalVisitorLane(clock, history, {
    offer: (event) => host.offer(event),
    begin: (call) => host.begin(call),
    reject: (call, why) => host.reject(call, why),
  });
  const add = (kind: Call['kind'], key = 'a') => {
    const call = newCall(kind, key);
    lane.add(call);
    return call;
  };
  return { clock, history, lane, host, begun, rejected, add };
}

describe('the lane of a visitor', () => {
  it('has one call at a time, in the order in which they came', () => {
    const { lane, begun, add } = setup();
    const calls = [add('lookup'), add('event'), add('lookup'), add('event')];
    expect([begun, lane.size, lane.callsAbout('a')]).toEqual([[calls[0]], 4, calls]);
    for (const call of calls) lane.leave(call);
    expect(begun).toEqual(calls);
    expect([lane.size, lane.keys(), lane.callsAbout('a')]).toEqual([0, [], []]);
  });

  it('does not hold up other visitors', () => {
    const { lane, begun, add } = setup();
    const calls = [add('lookup', 'a'), add('lookup', 'b'), add('event', 'c')];
    expect([begun, lane.size, lane.keys()]).toEqual([calls, 3, ['a', 'b', 'c']]);
  });

  it('does not end a turn because of a call that does not have it', () => {
    const { lane, begun, add } = setup();
    const [first, second] = [add('lookup'), add('lookup')];
    lane.leave(second);
    lane.leaveForLater(second);
    lane.leave(newCall('lookup', 'nobody'));
    lane.leaveForLater(newCall('event', 'nobody'));
    expect([begun, lane.size, lane.keys()]).toEqual([[first], 2, ['a']]);
    lane.leave(first);
    lane.leave(first);
    expect([begun, lane.size]).toEqual([[first, second], 1]);
  });

  it('lets opt-outs go first, whatever the history of the visitor and the servers say', () => {
    const { lane, history, host, begun, add } = setup();
    host.offer.mockReturnValue('held');
    const running = add('lookup');
    add('event');
    const optOuts = [add('opt-out'), add('opt-out')];
    history.failed('a', { reason: 'timeout', message: '' });
    expect(lane.callsAbout('a')[1]).toBe(optOuts[0]);
    lane.leave(running);
    lane.leave(optOuts[0] as Call);
    expect(begun).toEqual([running, ...optOuts]);
  });

  it('passes over an event that its server holds back, and over those behind it, for a lookup', () => {
    const { lane, host, begun, add } = setup();
    host.offer.mockReturnValue('held');
    const [first, second] = [add('event'), add('event')];
    const [lookup, later] = [add('lookup'), add('lookup')];
    expect(begun).toEqual([lookup]);
    // Each time only the first was asked about.
    expect(new Set(host.offer.mock.calls.flat())).toEqual(new Set([first]));
    lane.leave(lookup);
    lane.leave(later);
    host.offer.mockReturnValue('begin');
    lane.advance('a');
    lane.leave(first);
    expect(begun).toEqual([lookup, later, first, second]);
  });

  it('keeps the order behind an event that waits for room', () => {
    const { lane, host, begun, add } = setup();
    host.offer.mockReturnValue('wait');
    const [event, lookup] = [add('event'), add('lookup')];
    lane.advance('a');
    expect([begun, lane.size]).toEqual([[], 2]);
    host.offer.mockReturnValue('begin');
    lane.advance('a');
    expect(begun).toEqual([event]);
    lane.leave(event);
    expect(begun).toEqual([event, lookup]);
  });

  it('gives an event that has to go again its next turn before all that wait', () => {
    const { lane, host, begun, add } = setup();
    const [event, other, lookup] = [add('event'), add('event'), add('lookup')];
    host.offer.mockReturnValue('held');
    lane.leaveForLater(event);
    expect([begun, lane.size, lane.callsAbout('a')]).toEqual([[event, lookup], 3, [lookup, event, other]]);
    host.offer.mockReturnValue('begin');
    lane.leave(lookup);
    lane.leave(event);
    lane.leave(other);
    expect(begun).toEqual([event, lookup, event, other]);
    expect(lane.keys()).toEqual([]);
  });

  it('gives up those who are taken, and nobody a turn for that before it is told to', () => {
    const { lane, host, begun, add } = setup();
    host.offer.mockReturnValue('wait');
    const [event, lookup, second] = [add('event'), add('lookup'), add('event')];
    const taken = lane.takeWaiting('a', ({ kind }) => kind === 'event');
    expect([taken, begun, lane.size]).toEqual([[event, second], [], 1]);
    lane.advance('a');
    expect(begun).toEqual([lookup]);
    const optOut = add('opt-out');
    expect(lane.takeWaiting('a', () => true)).toEqual([optOut]);
    expect([lane.takeWaiting('a', () => true), lane.takeWaiting('nobody', () => true), lane.size]).toEqual([[], [], 1]);
    lane.leave(lookup);
    expect(lane.keys()).toEqual([]);
  });

  it('knows who has the turn or is next', () => {
    const { lane, host, add } = setup();
    const [first, second, third] = [add('lookup'), add('event'), add('lookup')];
    expect([first, second, third].map((call) => lane.isNext(call))).toEqual([true, true, false]);
    add('opt-out');
    expect(lane.isNext(second)).toBe(false);
    host.offer.mockReturnValue('held');
    expect(lane.isNext(newCall('lookup', 'nobody'))).toBe(false);
  });

  it('serves all that wait when each ends as soon as it begins', () => {
    const { lane, host, begun, add } = setup();
    const first = add('lookup');
    const later = Array.from({ length: 50 }, () => add('event'));
    host.begin = (call) => {
      begun.push(call);
      lane.leave(call);
    };
    lane.leave(first);
    expect([begun, lane.size, lane.keys()]).toEqual([[first, ...later], 0, []]);
  });

  it('takes a call that is added by one that ends', () => {
    const { lane, host, begun, add } = setup();
    let added: Call | undefined;
    host.begin = (call) => {
      begun.push(call);
      if (begun.length > 1) return;
      added = add('lookup');
      lane.leave(call);
    };
    const first = add('lookup');
    expect(begun).toEqual([first, added]);
    expect([lane.size, lane.callsAbout('a')]).toEqual([1, [added]]);
  });
});

describe('a visitor about whom no call may be made for now', () => {
  const FAILURE = { reason: 'timeout', message: '' } as const;

  it('has lookups rejected, and events wait for the moment from which calls may be made again', () => {
    const { clock, lane, history, begun, rejected, add } = setup();
    const running = add('lookup');
    const [lookup, event, second] = [add('lookup'), add('event'), add('event')];
    history.failed('a', FAILURE);
    lane.leave(running);
    expect([rejected, lane.size]).toEqual([[[lookup, 'timeout']], 2]);
    const late = add('lookup');
    expect(rejected[1]).toEqual([late, 'timeout']);
    expect([clock.pending, clock.keepingAlive]).toEqual([1, 0]);
    clock.advance(999);
    expect(begun).toEqual([running]);
    clock.advance(1);
    expect([begun, clock.pending]).toEqual([[running, event], 0]);
    lane.leave(event);
    expect(begun).toEqual([running, event, second]);
  });

  it('is woken up again when the pause was made longer meanwhile', () => {
    const { clock, history, begun, add } = setup();
    history.failed('a', FAILURE);
    const event = add('event');
    clock.advance(500);
    history.failed('a', FAILURE);
    clock.advance(500);
    expect([begun, clock.nextInMs]).toEqual([[], 500]);
    clock.advance(500);
    expect(begun).toEqual([event]);
  });

  it('is not woken up for events that were taken or overtaken by an opt-out', () => {
    const { clock, lane, history, begun, add } = setup();
    history.failed('a', FAILURE);
    add('event');
    lane.takeWaiting('a', () => true);
    lane.advance('a');
    expect([clock.pending, lane.keys()]).toEqual([0, []]);
    history.failed('a', FAILURE);
    const event = add('event');
    const optOut = add('opt-out');
    expect([begun, clock.pending]).toEqual([[optOut], 0]);
    lane.leave(optOut);
    expect(clock.pending).toBe(1);
    clock.advance(1_000);
    expect(begun).toEqual([optOut, event]);
  });

  it('has everything but opt-outs rejected when that is for ever', () => {
    const { clock, lane, history, begun, rejected, add } = setup();
    history.denylist('a', 307);
    const [event, lookup, optOut] = [add('event'), add('lookup'), add('opt-out')];
    expect(rejected).toEqual([
      [event, 'denylisted'],
      [lookup, 'denylisted'],
    ]);
    expect([begun, lane.size, clock.pending]).toEqual([[optOut], 1, 0]);
    lane.leave(optOut);
    expect(lane.keys()).toEqual([]);
  });

  it('loses no call and rejects none twice, whatever those who are rejected do', () => {
    const { lane, history, host, rejected, add } = setup();
    const running = add('lookup');
    for (let n = 0; n < 3; n++) add('lookup');
    host.reject = (call, { reason }) => {
      rejected.push([call, reason]);
      if (rejected.length === 1) for (const each of lane.takeWaiting('a', () => true)) rejected.push([each, 'taken']);
    };
    history.failed('a', FAILURE);
    lane.leave(running);
    expect(rejected.map(([, reason]) => reason)).toEqual(['timeout', 'taken', 'taken']);
    expect([new Set(rejected.map(([call]) => call)).size, lane.size, lane.keys()]).toEqual([3, 0, []]);
  });
});

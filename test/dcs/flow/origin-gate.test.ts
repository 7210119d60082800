import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { Call } from '../../../src/dcs/flow/call';
import { OriginGate, type OriginGateConfig } from '../../../src/dcs/flow/origin-gate';
import { FakeClock } from './fake-clock';
import { newCall } from './new-call';

const BREAKER = { minCalls: 2, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 };

/** A gate, and a record of what it does with the calls. */
function setup(config: Partial<OriginGateConfig> = {}) {
  const clock = new FakeClock();
  const started: Call[] = [];
  const turnedAway: [string, string][] = [];
  const changed = jest.fn();
  const gate = new OriginGate(
    { connections: 2, maxQueuedCalls: 3, timeoutMs: 1_000, breaker: BREAKER, ...config },
    clock,
    {
      start: (call) => started.push(call),
      turnAway: (call, { reason, message }) => turnedAway.push([call.key, `${reason}: ${message}`]),
      changed,
    },
  );
  const enter = (...keys: string[]) => {
    return keys.map((key) => {
      const call = newCall('lookup', key);
      gate.enter(call);
      return call;
    });
  };
  const end = (call: Call, outcome: 'success' | 'failure' | 'neutral' = 'success') => {
    gate.settle(call, outcome);
    gate.release(call.kind);
  };
  const keys = () => started.map(({ key }) => key);
  return { clock, gate, started, keys, turnedAway, changed, enter, end };
}

/** A gate whose breaker has just opened. */
function opened(config: Partial<OriginGateConfig> = {}) {
  const scene = setup(config);
  for (const call of scene.enter('x', 'y')) scene.end(call, 'failure');
  expect(scene.gate.stats().breaker).toBe('open');
  scene.started.length = 0;
  scene.changed.mockClear();
  return scene;
}

describe('the connections of an origin', () => {
  it('are given to lookups as they come, then to those who wait, in their order', () => {
    const { gate, keys, started, enter, end } = setup();
    const [, , c] = enter('a', 'b', 'c', 'd');
    expect([keys(), c?.phase]).toEqual([['a', 'b'], 'queued']);
    expect(gate.stats()).toEqual({ breaker: 'closed', running: 2, queued: 2, pausedForMs: 0 });
    end(started[1] as Call);
    expect(keys()).toEqual(['a', 'b', 'c']);
    end(started[0] as Call);
    expect(keys()).toEqual(['a', 'b', 'c', 'd']);
    for (const call of started.slice(2)) end(call);
    expect(gate.stats()).toMatchObject({ running: 0, queued: 0 });
  });

  it('are waited for by maxQueuedCalls lookups and no more', () => {
    const { gate, turnedAway, enter } = setup();
    enter('a', 'b', 'c', 'd');
    expect([gate.unavailable, gate.retryInMs]).toEqual([undefined, 0]);
    enter('e');
    expect([gate.unavailable?.reason, gate.closedBecause, gate.retryInMs]).toEqual(['overloaded', undefined, 50]);
    enter('f');
    expect(turnedAway).toEqual([['f', 'overloaded: Call not made: too many calls are queued for this origin.']]);
    expect(gate.stats().queued).toBe(3);
  });

  it('are waited for as long as a call may take, and no timer outlives the waiting', () => {
    const { clock, gate, turnedAway, enter, end } = setup();
    const [a] = enter('a', 'b', 'c');
    clock.advance(400);
    enter('d');
    clock.advance(599);
    expect(turnedAway).toEqual([]);
    clock.advance(1);
    expect(turnedAway).toEqual([['c', 'overloaded: Call not made: no connection was free in time.']]);
    expect([gate.stats().queued, clock.pending]).toEqual([1, 1]);
    end(a as Call);
    expect(clock.pending).toBe(0);
    clock.advance(10_000);
    expect(turnedAway).toHaveLength(1);
  });

  it('are not waited for by a lookup that has left', () => {
    const { clock, gate, keys, enter, end } = setup();
    const [a, , c, d] = enter('a', 'b', 'c', 'd');
    gate.leave(c as Call);
    gate.leave(c as Call);
    expect(gate.stats().queued).toBe(1);
    end(a as Call);
    expect([keys(), clock.pending]).toEqual([['a', 'b', 'd'], 0]);
    gate.leave(d as Call);
    expect(gate.stats()).toMatchObject({ running: 2, queued: 0 });
  });

  it('hold on to no lookup that has left', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const { gate, enter, started, turnedAway, end } = setup();
    const left = (() => {
      const [a, , c, d] = enter('a', 'b', 'c', 'd') as Call[];
      gate.leave(d as Call);
      end(a as Call);
      end(c as Call);
      started.length = 0;
      turnedAway.length = 0;
      return [c, d].map((call) => new WeakRef(call as Call));
    })();
    await new Promise(setImmediate);
    collectGarbage();
    expect(left.map((call) => call.deref())).toEqual([undefined, undefined]);
    expect(gate.stats()).toMatchObject({ running: 1, queued: 0 });
  });

  it('are never waited for while one is free, nor exceeded by lookups, whoever comes, ends and leaves', () => {
    const operation = fc.tuple(fc.constantFrom('enter', 'end', 'leave', 'wait'), fc.nat(9));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const { clock, gate, started, turnedAway, enter, end } = setup({ breaker: false });
        const entered: Call[] = [];
        let gone = 0;
        for (const [what, n] of operations) {
          if (what === 'enter') entered.push(...enter(String(entered.length)));
          if (what === 'wait') clock.advance(n * 100);
          const running = started.filter(({ phase }) => phase !== 'over');
          const call = running[n];
          if (what === 'end' && call !== undefined) {
            call.phase = 'over';
            end(call);
          }
          const queued = entered.filter((each) => each.phase === 'queued' && !started.includes(each));
          const waiting = queued.filter(({ key }) => !turnedAway.some(([other]) => other === key))[n];
          if (what === 'leave' && waiting !== undefined) {
            waiting.phase = 'over';
            gate.leave(waiting);
            gone++;
          }
          const stats = gate.stats();
          expect(stats.running).toBe(started.filter(({ phase }) => phase !== 'over').length);
          expect(stats.queued).toBe(entered.length - started.length - turnedAway.length - gone);
          expect(stats.running).toBeLessThanOrEqual(2);
          expect(stats.queued).toBeLessThanOrEqual(3);
          if (stats.queued > 0) expect([stats.running, clock.pending]).toEqual([2, 1]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('events and lookups', () => {
  const beginEvent = (gate: OriginGate) => {
    const event = newCall('event');
    gate.begin(event);
    return event;
  };

  it.each([
    [1, 1],
    [4, 2],
    [5, 3],
  ])('of %i connections events get %i at most', (connections, most) => {
    const { gate } = setup({ connections });
    for (let n = 0; n < most; n++) {
      expect(gate.hasRoomForEvent).toBe(true);
      beginEvent(gate);
    }
    expect(gate.hasRoomForEvent).toBe(false);
    gate.release('lookup');
    expect(gate.hasRoomForEvent).toBe(false);
    gate.release('event');
    expect(gate.hasRoomForEvent).toBe(true);
  });

  it('leaves no room for events where lookups have taken it all', () => {
    const { gate, enter, end } = setup();
    const [a] = enter('a', 'b');
    expect(gate.hasRoomForEvent).toBe(false);
    end(a as Call);
    expect(gate.hasRoomForEvent).toBe(true);
  });

  it('begins an event after three lookups while both wait, and lets the events go first', () => {
    const { gate, started, keys, changed, enter, end } = setup({ connections: 1, maxQueuedCalls: 20 });
    changed.mockImplementation(() => {
      if (gate.hasRoomForEvent) started.push(beginEvent(gate));
    });
    const [first] = enter(...Array.from({ length: 8 }, (_, n) => `l${n}`));
    end(first as Call);
    while (started.length < 10) end(started.at(-1) as Call);
    expect(keys()).toEqual(['l0', 'l1', 'l2', 'a', 'l3', 'l4', 'l5', 'a', 'l6', 'l7']);
  });

  it('an opt-out takes a connection beyond them, also while no other call may begin', () => {
    const { clock, gate, enter } = setup();
    const [a] = enter('a', 'b', 'c');
    const optOut = newCall('opt-out');
    gate.begin(optOut);
    expect(gate.stats()).toMatchObject({ running: 3, queued: 1 });
    gate.release('lookup');
    expect(gate.stats()).toMatchObject({ running: 2, queued: 1 });
    gate.release('opt-out');
    expect(gate.stats()).toMatchObject({ running: 2, queued: 0 });
    gate.settle(a as Call, 'failure');
    gate.settle(optOut, 'failure');
    clock.advance(5_000);
    gate.begin(optOut);
    expect([optOut.isProbe, gate.closedBecause]).toEqual([false, undefined]);
  });
});

describe('the breaker of an origin', () => {
  it('turns away those who wait and those who come, and says that something has changed', () => {
    const { gate, clock, turnedAway, changed, enter, end } = setup();
    const [a, b] = enter('a', 'b', 'c', 'd');
    gate.settle(a as Call, 'failure');
    expect(changed).not.toHaveBeenCalled();
    gate.settle(b as Call, 'failure');
    const open = 'circuit-open: Call not made: circuit breaker open.';
    expect(turnedAway).toEqual([
      ['c', open],
      ['d', open],
    ]);
    expect(changed).toHaveBeenCalledTimes(1);
    enter('e');
    expect(turnedAway[2]).toEqual(['e', open]);
    expect(gate.closedBecause?.reason).toBe('circuit-open');
    expect([gate.opensInMs, gate.retryInMs, clock.pending]).toEqual([5_000, 5_000, 0]);
    for (const call of [a, b]) end(call as Call, 'neutral');
    expect(gate.stats()).toEqual({ breaker: 'open', running: 0, queued: 0, pausedForMs: 0 });
  });

  it('does not go by calls that ended without saying anything about the server', () => {
    const { gate, enter, end } = setup();
    for (let n = 0; n < 10; n++) end(enter('a')[0] as Call, 'neutral');
    end(enter('a')[0] as Call, 'failure');
    expect(gate.stats().breaker).toBe('closed');
  });

  it.each(['lookup', 'event'] as const)('lets one %s through as its probe, which closes it', (kind) => {
    const { clock, gate, changed, turnedAway, enter } = opened();
    clock.advance(4_999);
    expect([gate.closedBecause?.reason, gate.wouldProbe]).toEqual(['circuit-open', false]);
    clock.advance(1);
    expect([gate.closedBecause, gate.unavailable, gate.wouldProbe]).toEqual([undefined, undefined, true]);
    const probe = newCall(kind, 'probe');
    if (kind === 'lookup') gate.enter(probe);
    else gate.begin(probe);
    expect([probe.isProbe, gate.stats().breaker, gate.closedBecause?.reason]).toEqual([
      true,
      'half-open',
      'circuit-open',
    ]);
    enter('other');
    expect(turnedAway.map(([key]) => key)).toEqual(['other']);
    expect([gate.opensInMs, gate.retryInMs]).toEqual([0, 50]);
    // Once because nothing else may begin any more, and once because it may again.
    expect(changed).toHaveBeenCalledTimes(1);
    gate.settle(probe, 'success');
    expect(changed).toHaveBeenCalledTimes(2);
    expect([probe.isProbe, gate.closedBecause, gate.stats().breaker]).toEqual([false, undefined, 'closed']);
  });

  it('turns away those who waited before the probe began', () => {
    const { clock, gate, turnedAway, started, enter } = setup();
    const [a, b] = enter('a', 'b');
    gate.settle(a as Call, 'failure');
    gate.settle(b as Call, 'failure');
    clock.advance(5_000);
    enter('c', 'd');
    expect(gate.stats().queued).toBe(2);
    gate.release('lookup');
    expect([started.at(-1)?.key, started.at(-1)?.isProbe]).toEqual(['c', true]);
    expect(turnedAway.map(([key]) => key)).toEqual(['d']);
  });

  it('stays open when the probe ends without a result, and the next call probes at once', () => {
    const { clock, gate, changed, enter, end } = opened();
    clock.advance(5_000);
    const probe = enter('a')[0] as Call;
    end(probe, 'neutral');
    expect([gate.stats().breaker, gate.closedBecause]).toEqual(['open', undefined]);
    expect(changed).toHaveBeenCalled();
    const next = enter('b')[0] as Call;
    expect(next.isProbe).toBe(true);
    gate.settle(next, 'failure');
    expect([gate.stats().breaker, gate.opensInMs]).toEqual(['open', 5_000]);
    // Told again, as when its socket closes later.
    gate.settle(next, 'neutral');
    expect(gate.closedBecause?.reason).toBe('circuit-open');
  });
});

describe('a pause of an origin', () => {
  it('lasts as long as the server asked for, though not for more than ten minutes', () => {
    const { clock, gate, turnedAway, changed, enter } = setup();
    enter('a', 'b', 'c');
    gate.pause(3_000);
    const paused = 'rate-limited: Call not made: the DCS is rate limiting (HTTP 429).';
    expect(turnedAway).toEqual([['c', paused]]);
    expect(changed).toHaveBeenCalledTimes(1);
    expect([gate.opensInMs, gate.retryInMs, gate.stats().pausedForMs]).toEqual([3_000, 3_000, 3_000]);
    enter('d');
    expect(turnedAway[1]).toEqual(['d', paused]);
    gate.release('lookup');
    clock.advance(2_999);
    expect(gate.closedBecause?.reason).toBe('rate-limited');
    clock.advance(1);
    expect([gate.closedBecause, gate.opensInMs]).toEqual([undefined, 0]);
    gate.pause(86_400_000);
    expect(gate.opensInMs).toBe(600_000);
  });

  it('is not shortened by a later answer', () => {
    const { gate } = setup();
    gate.pause(10_000);
    gate.pause(1_000);
    gate.pause(undefined);
    expect(gate.opensInMs).toBe(10_000);
  });

  it('doubles from one to sixty seconds while the server does not say, once for calls that ran together', () => {
    const { clock, gate, enter, end } = setup();
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const pauses: number[] = [];
    for (let n = 0; n < 8; n++) {
      for (let call = 0; call < 3; call++) gate.pause(undefined);
      pauses.push(gate.opensInMs);
      clock.advance(gate.opensInMs);
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    end(enter('a')[0] as Call);
    jest.spyOn(Math, 'random').mockReturnValue(0);
    gate.pause(undefined);
    expect(gate.opensInMs).toBe(500);
    jest.restoreAllMocks();
  });

  it('is not taken for over because of a call that was answered during it', () => {
    const { clock, gate, enter } = setup();
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const a = enter('a')[0] as Call;
    gate.pause(undefined);
    gate.settle(a, 'success');
    expect(gate.opensInMs).toBe(1_000);
    clock.advance(1_000);
    gate.pause(undefined);
    expect(gate.opensInMs).toBe(2_000);
    jest.restoreAllMocks();
  });

  it('ends with the breaker still open, and the longer of both counts', () => {
    const { gate } = opened();
    gate.pause(1_000);
    expect([gate.opensInMs, gate.closedBecause?.reason]).toEqual([5_000, 'circuit-open']);
    gate.pause(8_000);
    expect(gate.opensInMs).toBe(8_000);
  });
});

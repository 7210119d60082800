import { CircuitState } from 'cockatiel';
import fc from 'fast-check';
import { RecentCalls } from '../../../src/dcs/flow/recent-calls';

const LIMITS = { windowMs: 10_000, minCalls: 10, failurePercent: 50 };
const { Closed, HalfOpen } = CircuitState;

function recentCalls(limits = LIMITS) {
  const clock = { nowMs: 0 };
  const calls = new RecentCalls(limits, () => clock.nowMs);
  const fail = (times: number) => Array.from({ length: times }, () => calls.failure(Closed));
  const succeed = (times: number) => Array.from({ length: times }, () => calls.success(Closed));
  return { calls, clock, fail, succeed };
}

describe('RecentCalls', () => {
  it('opens at the tenth failure of ten calls, not before', () => {
    expect(recentCalls().fail(10)).toEqual([...Array(9).fill(false), true]);
  });

  it('opens when half of the calls failed, not before', () => {
    const { fail, succeed } = recentCalls();
    succeed(10);
    expect(fail(10)).toEqual([...Array(9).fill(false), true]);
  });

  it('forgets calls older than the window, however few followed', () => {
    const { clock, fail } = recentCalls();
    fail(9);
    clock.nowMs = 10_000;
    expect(fail(9)).not.toContain(true);
    expect(fail(1)).toEqual([true]);
  });

  it('counts all calls within the window', () => {
    const { clock, calls } = recentCalls();
    const opened = Array.from({ length: 10 }, (_, n) => {
      clock.nowMs = n * 1_000;
      return calls.failure(Closed);
    });
    expect(opened.indexOf(true)).toBe(9);
  });

  it('opens at once when the probe fails', () => {
    expect(recentCalls().calls.failure(HalfOpen)).toBe(true);
  });

  it('starts over when the probe succeeds', () => {
    const { calls, fail } = recentCalls();
    fail(30);
    calls.success(HalfOpen);
    expect(calls.counts()).toEqual({ calls: 1, failures: 0 });
    expect(fail(8)).not.toContain(true);
  });

  it('keeps only the slices of its window', () => {
    const { calls, clock } = recentCalls({ ...LIMITS, windowMs: 10 });
    for (clock.nowMs = 0; clock.nowMs < 1_000; clock.nowMs++) calls.success(Closed);
    clock.nowMs = 999;
    expect(calls.counts().calls).toBe(10);
  });

  it('counts like a list of all calls would, at any times', () => {
    const events = fc.array(fc.record({ gapMs: fc.nat(4_000), fails: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(events, (list) => {
        const { calls, clock } = recentCalls();
        const all: { atMs: number; fails: boolean }[] = [];
        for (const { gapMs, fails } of list) {
          clock.nowMs += gapMs;
          all.push({ atMs: clock.nowMs, fails });
          if (fails) calls.failure(Closed);
          else calls.success(Closed);
          // Slices are whole seconds: the current one and the nine before it.
          const oldestMs = (Math.floor(clock.nowMs / 1_000) - 9) * 1_000;
          const recent = all.filter(({ atMs }) => atMs >= oldestMs);
          expect(calls.counts()).toEqual({
            calls: recent.length,
            failures: recent.filter((each) => each.fails).length,
          });
        }
      }),
    );
  });
});

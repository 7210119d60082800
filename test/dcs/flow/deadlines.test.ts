import fc from 'fast-check';
import { Deadlines } from '../../../src/dcs/flow/deadlines';
import { FakeClock } from './fake-clock';

const LENGTH_MS = 100;
type Place = ReturnType<Deadlines['set']>;

function setup() {
  const clock = new FakeClock();
  return { clock, deadlines: new Deadlines(LENGTH_MS, clock) };
}

const operation = fc.oneof(
  fc.constant('set' as const),
  fc.nat(20).map((nth) => ({ clear: nth })),
  fc.nat(150).map((ms) => ({ advance: ms })),
);

describe('Deadlines', () => {
  it('expire at their moment and in their order, unless cleared, with one timer while there are any', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const { clock, deadlines } = setup();
        const places: Place[] = [];
        const expired: [number, number][] = [];
        let pending: [number, number][] = [];
        for (const each of operations) {
          if (each === 'set') {
            const n = places.length;
            places.push(deadlines.set(() => expired.push([n, clock.nowMs()])));
            pending.push([n, clock.nowMs() + LENGTH_MS]);
          } else if ('clear' in each) {
            const place = places[each.clear];
            if (place !== undefined) deadlines.clear(place);
            pending = pending.filter(([n]) => n !== each.clear);
          } else {
            expired.length = 0;
            clock.advance(each.advance);
            expect(expired).toEqual(pending.filter(([, atMs]) => atMs <= clock.nowMs()));
            pending = pending.filter(([, atMs]) => atMs > clock.nowMs());
          }
          const timers = pending.length === 0 ? 0 : 1;
          expect([clock.pending, clock.keepingAlive]).toEqual([timers, timers]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('can be set and cleared by one that expires', () => {
    const { clock, deadlines } = setup();
    const expired: string[] = [];
    deadlines.set(() => {
      expired.push('first');
      deadlines.clear(second);
      deadlines.set(() => expired.push('set by the first'));
    });
    const second = deadlines.set(() => expired.push('second'));
    deadlines.set(() => expired.push('third'));
    clock.advance(LENGTH_MS);
    expect([expired, clock.pending]).toEqual([['first', 'third'], 1]);
    clock.advance(LENGTH_MS - 1);
    expect(expired).toHaveLength(2);
    clock.advance(1);
    expect(expired.slice(2)).toEqual(['set by the first']);
    expect(clock.pending).toBe(0);
  });

  it('do not expire early when the timer does', () => {
    const timers: (() => void)[] = [];
    let nowMs = 0;
    const deadlines = new Deadlines(LENGTH_MS, {
      nowMs: () => nowMs,
      after: (_delayMs, callback) => {
        timers.push(callback);
        return () => {};
      },
    });
    const expired = jest.fn();
    deadlines.set(expired);
    nowMs = 99.5;
    timers.shift()?.();
    expect([expired.mock.calls.length, timers.length]).toEqual([0, 1]);
    nowMs = 100;
    timers.shift()?.();
    expect([expired.mock.calls.length, timers.length]).toEqual([1, 0]);
  });
});

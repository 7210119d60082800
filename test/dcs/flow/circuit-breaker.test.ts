import fc from 'fast-check';
import { type BreakerLimits, type CallOutcome, CircuitBreaker } from '../../../src/dcs/flow/circuit-breaker';
import { FakeClock } from './fake-clock';

const LIMITS: BreakerLimits = { windowMs: 1_000, minCalls: 4, failurePercent: 50, probeAfterMs: 500 };

function setup(limits: BreakerLimits | false = LIMITS) {
  const clock = new FakeClock();
  return { clock, breaker: new CircuitBreaker(limits, () => clock.nowMs()) };
}

/** A breaker that has just opened. */
function opened() {
  const scene = setup();
  for (let n = 0; n < 4; n++) scene.breaker.end('failure', false);
  expect(scene.breaker.state).toBe('open');
  return scene;
}

/** The same rules, with a list of all calls. */
class Model {
  calls: { slice: number; isFailure: boolean }[] = [];
  state: 'closed' | 'open' | 'half-open' = 'closed';
  mayProbeAtMs = 0;

  constructor(readonly clock: FakeClock) {}

  get slice() {
    return Math.floor(this.clock.nowMs() / 100);
  }

  get admits() {
    return this.state === 'closed' || (this.state === 'open' && this.clock.nowMs() >= this.mayProbeAtMs);
  }

  get retryInMs() {
    return this.state === 'open' ? Math.max(0, this.mayProbeAtMs - this.clock.nowMs()) : 0;
  }

  begin() {
    if (this.state !== 'open') return false;
    this.state = 'half-open';
    return true;
  }

  end(outcome: CallOutcome, isProbe: boolean) {
    if (isProbe) {
      if (outcome === 'success') this.calls = [{ slice: this.slice, isFailure: false }];
      if (outcome === 'failure') this.mayProbeAtMs = this.clock.nowMs() + LIMITS.probeAfterMs;
      this.state = outcome === 'success' ? 'closed' : 'open';
      return outcome === 'failure';
    }
    if (outcome === 'neutral') return false;
    this.calls.push({ slice: this.slice, isFailure: outcome === 'failure' });
    const recent = this.calls.filter(({ slice }) => slice > this.slice - 10);
    const share = recent.filter(({ isFailure }) => isFailure).length / recent.length;
    if (outcome === 'success' || this.state !== 'closed' || recent.length < 4 || share < 0.5) return false;
    this.state = 'open';
    this.mayProbeAtMs = this.clock.nowMs() + LIMITS.probeAfterMs;
    return true;
  }
}

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.constant('begin' as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      nth: fc.nat(5),
      outcome: fc.constantFrom<CallOutcome>('success', 'failure', 'failure', 'failure', 'neutral'),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(1, 30, 99, 100, 400, 499, 500, 1_000) },
);

describe('CircuitBreaker', () => {
  it('does as a list of all calls says, whatever succeeds, fails or ends without a result', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 60, maxLength: 60 }), (operations) => {
        const { clock, breaker } = setup();
        const model = new Model(clock);
        /** By call: whether it is the probe. */
        const running: boolean[] = [];
        for (const each of operations) {
          if (typeof each === 'number') clock.advance(each);
          else if (each === 'begin') {
            if (breaker.admits) {
              const isProbe = breaker.begin();
              expect(isProbe).toBe(model.begin());
              running.push(isProbe);
            }
          } else if (running.length > 0) {
            const [isProbe] = running.splice(each.nth % running.length, 1) as [boolean];
            expect(breaker.end(each.outcome, isProbe)).toBe(model.end(each.outcome, isProbe));
          }
          const { state, admits, retryInMs } = breaker;
          const { state: expected, admits: isAdmitting, retryInMs: expectedMs } = model;
          expect({ state, admits, retryInMs }).toEqual({ state: expected, admits: isAdmitting, retryInMs: expectedMs });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('opens when enough calls have failed, and when half of many have', () => {
    const { breaker } = setup();
    const ends = ['success', 'success', 'failure', 'failure'] as const;
    expect(ends.map((outcome) => breaker.end(outcome, false))).toEqual([false, false, false, true]);
    expect([breaker.state, breaker.admits, breaker.retryInMs]).toEqual(['open', false, 500]);
  });

  it('does not open on three of seven, nor on fewer calls than it takes', () => {
    const { breaker } = setup();
    for (let n = 0; n < 3; n++) expect(breaker.end('failure', false)).toBe(false);
    const { breaker: other } = setup();
    for (let n = 0; n < 4; n++) other.end('success', false);
    for (let n = 0; n < 3; n++) expect(other.end('failure', false)).toBe(false);
    expect([breaker.state, other.state]).toEqual(['closed', 'closed']);
  });

  it('forgets calls after its window', () => {
    const { breaker, clock } = setup();
    for (let n = 0; n < 3; n++) breaker.end('failure', false);
    clock.advance(1_000);
    expect(breaker.end('failure', false)).toBe(false);
  });

  it('lets one probe through, and closes when it succeeds, with nothing left of the past', () => {
    const { breaker, clock } = opened();
    clock.advance(500);
    expect([breaker.admits, breaker.begin(), breaker.admits, breaker.state]).toEqual([true, true, false, 'half-open']);
    expect(breaker.begin()).toBe(false);
    expect(breaker.end('success', true)).toBe(false);
    expect([breaker.state, breaker.admits]).toEqual(['closed', true]);
    for (let n = 0; n < 2; n++) expect(breaker.end('failure', false)).toBe(false);
    expect(breaker.end('failure', false)).toBe(true);
  });

  it('stays open for as long again when its probe fails', () => {
    const { breaker, clock } = opened();
    clock.advance(700);
    breaker.begin();
    expect(breaker.retryInMs).toBe(0);
    expect(breaker.end('failure', true)).toBe(true);
    expect([breaker.state, breaker.admits, breaker.retryInMs]).toEqual(['open', false, 500]);
  });

  it('does not go by calls from before it opened, nor open on a success', () => {
    const { breaker, clock } = opened();
    clock.advance(400);
    for (const outcome of ['failure', 'success'] as const) expect(breaker.end(outcome, false)).toBe(false);
    expect(breaker.retryInMs).toBe(100);
    const { breaker: other } = setup();
    for (let n = 0; n < 3; n++) other.end('failure', false);
    expect([other.end('success', false), other.state]).toEqual([false, 'closed']);
  });

  it('counts calls of its whole window', () => {
    const { breaker, clock } = setup();
    for (let n = 0; n < 3; n++) {
      breaker.end('failure', false);
      clock.advance(300);
    }
    expect(breaker.end('failure', false)).toBe(true);
  });

  it('gives the place of a neutral probe to the next call at once', () => {
    const { breaker, clock } = opened();
    clock.advance(500);
    breaker.begin();
    expect(breaker.end('neutral', true)).toBe(false);
    expect([breaker.state, breaker.admits, breaker.begin()]).toEqual(['open', true, true]);
  });

  it('never opens without limits', () => {
    const { breaker } = setup(false);
    for (let n = 0; n < 1_000; n++) expect(breaker.end('failure', false)).toBe(false);
    expect([breaker.state, breaker.admits, breaker.begin(), breaker.retryInMs]).toEqual(['closed', true, false, 0]);
  });
});

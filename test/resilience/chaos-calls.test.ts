import type { LoggedCall } from './chaos-calls';
import { verdictsOfCalls } from './chaos-verdicts';

/** Calls, 100 ms apart, each of which ends before the next. */
function callsOf(...parts: Partial<LoggedCall>[]): LoggedCall[] {
  return parts.map((part, n) => ({
    visitor: 'a',
    at: n * 100,
    endedAt: n * 100 + 50,
    isOptOut: false,
    isTurnedAway: false,
    overlapped: false,
    event: undefined,
    seq: undefined,
    ...part,
  }));
}

/** The verdicts that are not met. */
function unmet(report: Partial<Parameters<typeof verdictsOfCalls>[0]>): string[] {
  const whole = { calls: [], refusals: [], optOuts: [], settledInMs: 1, end: undefined, ...report };
  return verdictsOfCalls(whole)
    .filter(({ isMet }) => !isMet)
    .map(({ wanted }) => wanted);
}

const OPT_OUT = { visitor: 'a', seq: 5, answeredAt: 1_000, code: undefined };

describe('a verdict of the chaos suite', () => {
  it('is met by a log in which all is well', () => {
    const calls = callsOf(
      { event: 1, isTurnedAway: true, seq: 1 },
      { event: 1, seq: 1 },
      { event: 3, visitor: 'b' },
      { event: 2, seq: 2 },
      { isOptOut: true },
      { event: 4, seq: 6 },
    );
    const refusals = [{ visitor: 'a', seq: 3, answeredAt: 350 }];
    const lost = { ...OPT_OUT, visitor: 'c', code: 'ERR_AAM_DCS_TIMEOUT' };
    expect(unmet({ calls, refusals, optOuts: [OPT_OUT, lost] })).toEqual([]);
  });

  it.each([
    ['no simultaneous calls for a visitor', { calls: callsOf({ endedAt: 200 }, { overlapped: true }) }],
    ['no simultaneous calls for a visitor', { calls: callsOf({ endedAt: undefined }, { overlapped: true }) }],
    ['no event twice, unless it was turned away', { calls: callsOf({ event: 1 }, { event: 1 }) }],
    [
      'no event twice, unless it was turned away',
      { calls: callsOf({ event: 1, isTurnedAway: true }, { event: 1 }, { event: 1 }) },
    ],
    ['the events of a visitor in their order', { calls: callsOf({ event: 2 }, { event: 1 }) }],
    [
      'no call after a refusal',
      { calls: callsOf({ at: 500, seq: 1 }), refusals: [{ visitor: 'a', seq: 2, answeredAt: 400 }] },
    ],
    ['every opt-out sent', { calls: callsOf({}), optOuts: [OPT_OUT] }],
    ['every opt-out sent', { calls: callsOf({}), optOuts: [{ ...OPT_OUT, code: 'ERR_AAM_DCS_CIRCUIT_OPEN' }] }],
    [
      'nothing told after an opt-out that was to be told before',
      { calls: callsOf({ isOptOut: true }, { event: 1, seq: 4 }), optOuts: [OPT_OUT] },
    ],
    ['at most 60 calls a minute for a visitor', { calls: callsOf(...Array(61).fill({})) }],
    ['nothing left when the DCS is well again', { settledInMs: undefined }],
  ])('fails: %s', (wanted, report) => {
    expect(unmet(report)).toEqual([wanted]);
  });
});

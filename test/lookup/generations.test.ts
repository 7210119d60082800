import fc from 'fast-check';
import { Generations } from '../../src/lookup/generations';

const KEYS = ['a', 'b', 'c', 'd', 'e'];
const operation = fc.record({ what: fc.constantFrom('renew', 'withdraw'), key: fc.constantFrom(...KEYS) });

describe('the generations of a visitor', () => {
  it('are renewed for answers from before, and for them only', () => {
    const generations = new Generations();
    const before = generations.now;
    generations.renew('a');
    const after = generations.now;
    expect([generations.isOutdated(['a'], before), generations.isOutdated(['a'], after)]).toEqual([true, false]);
    expect(generations.isOutdated(['b'], before)).toBe(false);
    expect(generations.isWithdrawn(['a'], before)).toBe(false);
  });

  it('are withdrawn for answers and requests from before', () => {
    const generations = new Generations();
    const before = generations.now;
    generations.withdraw('a');
    const after = generations.now;
    for (const is of [generations.isOutdated.bind(generations), generations.isWithdrawn.bind(generations)]) {
      expect([is(['a'], before), is(['a'], after), is(['b'], before)]).toEqual([true, false, false]);
    }
  });

  it('stay withdrawn when they are renewed later', () => {
    const generations = new Generations();
    const before = generations.now;
    generations.withdraw('a');
    const between = generations.now;
    generations.renew('a');
    expect([generations.isWithdrawn(['a'], before), generations.isWithdrawn(['a'], between)]).toEqual([true, false]);
    expect(generations.isOutdated(['a'], between)).toBe(true);
  });

  it('count for each key of a visitor', () => {
    const generations = new Generations();
    const before = generations.now;
    generations.withdraw('customer');
    expect(generations.isOutdated(['ecid', 'customer'], before)).toBe(true);
    expect(generations.isWithdrawn(['ecid', 'customer'], before)).toBe(true);
    expect(generations.isWithdrawn(['ecid', 'other'], before)).toBe(false);
  });

  it('forget no mark but the oldest, and then take everything from before it for out of date', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(operation, { maxLength: 30 }), (maxMarks, operations) => {
        const generations = new Generations(maxMarks);
        let marks: { key: string; answersFrom: number; requestsFrom: number }[] = [];
        const floor = { answersFrom: 0, requestsFrom: 0 };
        for (const { what, key } of operations) {
          const old = marks.find((mark) => mark.key === key);
          if (what === 'renew') generations.renew(key);
          else generations.withdraw(key);
          const { now } = generations;
          marks = marks.filter((mark) => mark !== old);
          marks.push({ key, answersFrom: now, requestsFrom: what === 'renew' ? (old?.requestsFrom ?? 0) : now });
          const dropped = marks.length > maxMarks ? marks.shift() : undefined;
          floor.answersFrom = Math.max(floor.answersFrom, dropped?.answersFrom ?? 0);
          floor.requestsFrom = Math.max(floor.requestsFrom, dropped?.requestsFrom ?? 0);
          const seen: boolean[] = [];
          const expected: boolean[] = [];
          for (const each of KEYS) {
            const mark = marks.find((other) => other.key === each) ?? floor;
            for (let then = 1; then <= now; then++) {
              seen.push(generations.isOutdated([each], then), generations.isWithdrawn([each], then));
              expected.push(then < Math.max(mark.answersFrom, floor.answersFrom));
              expected.push(then < Math.max(mark.requestsFrom, floor.requestsFrom));
            }
          }
          expect(seen).toEqual(expected);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('are 100 000', () => {
    const generations = new Generations();
    const before = generations.now;
    for (let n = 0; n < 100_000; n++) generations.withdraw(String(n));
    expect(generations.isWithdrawn(['a stranger'], before)).toBe(false);
    generations.withdraw('one more');
    expect(generations.isWithdrawn(['a stranger'], before)).toBe(true);
    expect(generations.isWithdrawn(['a stranger'], generations.now)).toBe(false);
  });
});

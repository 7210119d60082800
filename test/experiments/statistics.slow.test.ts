import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Allocate, printed, sigmasOf, statisticsOf } from './statistics';

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'experiments.md'), 'utf8');

jest.setTimeout(120_000);

describe('the allocation, over 200 000 units', () => {
  // CI runs this with each version of Node.
  it('is fair, independent and moves the fewest: the same numbers everywhere, those of docs/experiments.md', () => {
    const verdicts = statisticsOf(200_000);
    expect(verdicts.filter(({ isFine }) => !isFine)).toEqual([]);
    const [, published] = /^```text\n(.*?)^```$/ms.exec(docs) as unknown as [string, string];
    expect(printed(verdicts)).toBe(published);
  });

  it('would not pass if all experiments drew by the same number, and variants by ranges of it', () => {
    const byRanges: Allocate = (_salt, variants) => (unit) => {
      const total = variants.reduce((sum, { weight }) => sum + weight, 0);
      let left = (createHash('sha256').update(unit).digest().readUInt32BE() / 2 ** 32) * total;
      for (const { variant, weight } of variants) {
        left -= weight;
        if (left < 0) return variant as string;
      }
      return variants[0]?.variant as string;
    };
    const off = statisticsOf(20_000, byRanges).filter(({ isFine }) => !isFine);
    expect(off.map(({ question }) => question)).toEqual(
      expect.arrayContaining([
        'two experiments are independent',
        'moves from {"a":40,"b":30} to {"a":40,"b":30,"c":30}',
      ]),
    );
  });

  it('measures chi-squared in standard deviations, as tables have it', () => {
    // Of a normal distribution, 0.1 % lie beyond 3.09 sigma, and 5 % beyond 1.645.
    expect(sigmasOf(10.828, 1)).toBeCloseTo(3.09, 1);
    expect(sigmasOf(27.877, 9)).toBeCloseTo(3.09, 1);
    expect(sigmasOf(9.488, 4)).toBeCloseTo(1.645, 1);
  });
});

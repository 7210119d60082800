import { createHash } from 'node:crypto';
import { sigmasOf, statisticsOf } from './statistics';

describe('the allocation, over 50 000 units', () => {
  it('is fair, independent and moves the fewest', () => {
    expect(statisticsOf(50_000).filter(({ isFine }) => !isFine)).toEqual([]);
  });

  it('would not pass if all experiments drew by the same number, and variants by ranges of it', () => {
    const byRanges: Parameters<typeof statisticsOf>[1] = (_salt, variants, unit) => {
      const total = variants.reduce((sum, { weight }) => sum + weight, 0);
      let left = (createHash('sha256').update(unit).digest().readUInt32BE() / 2 ** 32) * total;
      for (const { variant, weight } of variants) {
        left -= weight;
        if (left < 0) return variant as never;
      }
      return variants[0]?.variant as never;
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

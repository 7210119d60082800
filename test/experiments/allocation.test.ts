import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { holdoutDraw, variantDraw } from '../../src/experiments/allocation';
import { SeenUnits } from '../../src/experiments/seen-units';

interface Vectors {
  readonly variants: readonly { salt: string; weights: [string, number][]; unit: string; variant: string }[];
  readonly holdouts: readonly { holdout: string; percent: number; unit: string; isHeldOut: boolean }[];
}
const vectors: Vectors = JSON.parse(
  readFileSync(join(__dirname, '..', '..', 'docs', 'experiment-vectors.json'), 'utf8'),
);

describe('the published test vectors', () => {
  it('are what the package does, with every variant among them', () => {
    for (const { salt, weights, unit, variant } of vectors.variants) {
      const variants = weights.map(([name, weight]) => ({ variant: name, weight }));
      expect([salt, unit, variantDraw(salt, variants)(unit).result]).toEqual([salt, unit, variant]);
    }
    for (const { holdout, percent, unit, isHeldOut: expected } of vectors.holdouts) {
      expect([holdout, unit, holdoutDraw(holdout, percent)(unit).result]).toEqual([holdout, unit, expected]);
    }
    expect(new Set(vectors.variants.map(({ variant }) => variant)).size).toBeGreaterThan(3);
    expect(new Set(vectors.holdouts.map((each) => each.isHeldOut)).size).toBe(2);
  });
});

it('a draw is by the first 52 bits of SHA-256, as docs/experiments.md has it', () => {
  for (const unit of ['20265673158980419722735089753036633573', '1234:crm-7', 'größer']) {
    const digits = createHash('sha256').update(`holdout\nglobal\n\n${unit}`).digest('hex').slice(0, 13);
    expect(holdoutDraw('global', 10)(unit).unitNumber).toBe(Number.parseInt(digits, 16));
  }
});

describe('weights and percentages at their ends', () => {
  const units = Array.from({ length: 500 }, (_, n) => String(n));

  it('never give a variant with weight 0, also where it is the first', () => {
    const variants = [
      { variant: 'off', weight: 0 },
      { variant: 'on', weight: 1e-9 },
    ];
    const draw = variantDraw('x', variants);
    expect(new Set(units.map((unit) => draw(unit).result))).toEqual(new Set(['on']));
  });

  it('hold out nobody at 0 percent and everybody at 100', () => {
    const [nobody, everybody] = [holdoutDraw('h', 0), holdoutDraw('h', 100)];
    expect(units.some((unit) => nobody(unit).result)).toBe(false);
    expect(units.every((unit) => everybody(unit).result)).toBe(true);
  });
});

describe('the units that were seen', () => {
  it('are told once, and the oldest are forgotten first', () => {
    const seen = new SeenUnits(3);
    expect([1, 2, 3, 1, 4].map((unit) => seen.add(unit))).toEqual([true, true, true, false, true]);
    expect([1, 2, 3, 4].map((unit) => seen.has(unit))).toEqual([false, true, true, true]);
    expect([5, 6, 7, 2].map((unit) => seen.add(unit))).toEqual([true, true, true, true]);
    expect([5, 6, 7, 2].map((unit) => seen.has(unit))).toEqual([false, true, true, true]);
  });
});

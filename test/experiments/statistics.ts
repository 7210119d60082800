import { createHash } from 'node:crypto';
import { holdoutDraw, variantDraw, type WeightedVariant } from '../../src/experiments/allocation';

/** One question about the allocation, and by how many standard deviations the answer is off. */
export interface Verdict {
  readonly question: string;
  readonly detail: string;
  readonly isFine: boolean;
}

/**
 * Corrected for the number of questions: a fair allocation is off by so much in one of them once in some 2 500 seeds. The seed
 * is fixed.
 */
const MAX_SIGMAS = 4;
const SEED = 'express-aam-segments';

/** Visitor ids as a fixed seed gives them: 38 digits each. */
export function unitsOf(seed: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) =>
    BigInt(`0x${createHash('sha256').update(`${seed}:${n}`).digest('hex')}`)
      .toString()
      .slice(0, 38)
      .padStart(38, '1'),
  );
}

const weights = (record: Record<string, number>): WeightedVariant[] =>
  Object.entries(record).map(([variant, weight]) => ({ variant, weight }));

/** Chi-squared as standard deviations from what is expected (Wilson and Hilferty's approximation). */
export function sigmasOf(chiSquared: number, freedom: number): number {
  const variance = 2 / (9 * freedom);
  return (Math.cbrt(chiSquared / freedom) - (1 - variance)) / Math.sqrt(variance);
}

function verdict(question: string, chiSquared: number, freedom: number): Verdict {
  const sigmas = sigmasOf(chiSquared, freedom);
  const detail = `chi-squared ${chiSquared.toFixed(3)}, df ${freedom}, ${sigmas.toFixed(2)} sigma`;
  return { question, detail, isFine: sigmas < MAX_SIGMAS };
}

function count(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** By which unit gets which variant. */
export type Allocate = (salt: string, variants: readonly WeightedVariant[]) => (unit: string) => string;

const byDraw: Allocate = (salt, variants) => {
  const draw = variantDraw(salt, variants);
  return (unit) => draw(unit).result;
};

function shares(units: readonly string[], record: Record<string, number>, allocate: Allocate): Verdict {
  const variants = weights(record);
  const total = variants.reduce((sum, { weight }) => sum + weight, 0);
  const counts = count(units.map(allocate('shares', variants)));
  const chiSquared = variants.reduce((sum, { variant, weight }) => {
    const expected = (units.length * weight) / total;
    return sum + ((counts.get(variant) ?? 0) - expected) ** 2 / expected;
  }, 0);
  return verdict(`shares of ${JSON.stringify(record)}`, chiSquared, variants.length - 1);
}

function independence(question: string, first: readonly string[], second: readonly string[]): Verdict {
  const [rows, columns] = [count(first), count(second)];
  const cells = count(first.map((value, n) => `${value}|${second[n]}`));
  let chiSquared = 0;
  for (const [row, inRow] of rows) {
    for (const [column, inColumn] of columns) {
      const expected = (inRow * inColumn) / first.length;
      chiSquared += ((cells.get(`${row}|${column}`) ?? 0) - expected) ** 2 / expected;
    }
  }
  return verdict(question, chiSquared, (rows.size - 1) * (columns.size - 1));
}

/**
 * Nobody moves between variants whose weight has not changed, and as few as the new shares allow move at all, or the share that
 * is expected.
 */
function moves(
  allocated: (record: Record<string, number>) => readonly string[],
  before: Record<string, number>,
  after: Record<string, number>,
  expectedShare = fewestMoves(before, after),
): Verdict {
  const isTouched = (name: string) => before[name] !== after[name];
  const [was, is] = [allocated(before), allocated(after)];
  let moved = 0;
  let between = 0;
  for (const [n, from] of was.entries()) {
    const to = is[n] as string;
    if (from === to) continue;
    moved += 1;
    if (!isTouched(from) && !isTouched(to)) between += 1;
  }
  const expected = expectedShare * was.length;
  const sigmas = Math.abs(moved - expected) / Math.sqrt(expected * (1 - expectedShare));
  return {
    question: `moves from ${JSON.stringify(before)} to ${JSON.stringify(after)}`,
    detail: `${moved} of ${expected.toFixed(0)} expected, ${sigmas.toFixed(2)} sigma, ${between} between untouched variants`,
    isFine: between === 0 && sigmas < MAX_SIGMAS,
  };
}

function fewestMoves(before: Record<string, number>, after: Record<string, number>): number {
  const share = (record: Record<string, number>, name: string) =>
    (record[name] ?? 0) / Object.values(record).reduce((sum, weight) => sum + weight, 0);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.reduce((sum, name) => sum + Math.max(0, share(after, name) - share(before, name)), 0);
}

/** A line for each question. */
export function printed(verdicts: readonly Verdict[]): string {
  return verdicts
    .map(({ question, detail, isFine }) => `${isFine ? 'fine' : 'OFF '} ${question}: ${detail}\n`)
    .join('');
}

/** All questions. @param allocate what is asked, so that a test can ask an unfair one */
export function statisticsOf(unitCount: number, allocate: Allocate = byDraw): Verdict[] {
  const units = unitsOf(SEED, unitCount);
  const even = weights({ control: 50, links: 50 });
  const first = units.map(allocate('first', even));
  const second = units.map(allocate('second', weights({ a: 20, b: 30, c: 50 })));
  const heldOutBy = (name: string) => {
    const draw = holdoutDraw(name, 10);
    return units.map((unit) => String(draw(unit).result));
  };
  // Each is asked for several times.
  const known = new Map<string, readonly string[]>();
  const allocated = (record: Record<string, number>) => {
    const key = JSON.stringify(record);
    const variants = known.get(key) ?? units.map(allocate('moves', weights(record)));
    known.set(key, variants);
    return variants;
  };
  const [two, three] = [
    { a: 40, b: 30 },
    { a: 40, b: 30, c: 30 },
  ];
  return [
    shares(units, { control: 50, links: 50 }, allocate),
    shares(units, { control: 90, links: 9, more: 1 }, allocate),
    shares(units, { a: 1, b: 1, c: 1, d: 1, e: 1 }, allocate),
    independence('two experiments are independent', first, second),
    independence('an experiment and a holdout are independent', first, heldOutBy('global')),
    independence('an experiment and a holdout of its name', first, heldOutBy('first')),
    ...[1, 10, 50].map((points) => moves(allocated, three, { ...three, b: 30 + points })),
    moves(allocated, two, three),
    moves(allocated, three, two),
    // The new name draws anew: who stays has a smaller draw than those of both names.
    moves(allocated, three, { ...two, renamed: 30 }, 60 / 130),
  ];
}

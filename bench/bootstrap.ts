import { median } from './interleaved';

const RESAMPLES = 2_000;

/**
 * The 95 % interval of the median of ratios that were measured in several rounds. Rounds are drawn first, and then ratios within
 * them, since ratios of one round have in common what the JIT compiler and the memory layout of its processes happened to be.
 */
export function bootstrapInterval(rounds: readonly (readonly number[])[]): readonly [number, number] {
  const random = seededRandom();
  const draw = <T>(values: readonly T[]): T[] => values.map(() => values[Math.floor(random() * values.length)] as T);
  const medians = Array.from({ length: RESAMPLES }, () => median(draw(rounds).flatMap(draw)));
  medians.sort((x, y) => x - y);
  return [medians[Math.floor(RESAMPLES * 0.025)] as number, medians[Math.ceil(RESAMPLES * 0.975) - 1] as number];
}

/** The same numbers in every run (mulberry32). */
function seededRandom(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

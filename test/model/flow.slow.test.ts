import { checkFlow, described } from './check-flow';
import { MINIMUM_COVERAGE } from './minimum-coverage';

const STEPS = 100_000;
const SEED = 14;

it('keeps every rule for 100 000 steps, and meets every limit on the way', async () => {
  const { failure, steps, coverage } = await checkFlow({ steps: STEPS, seed: SEED });
  if (failure !== undefined) throw new Error(described(failure));
  expect(steps).toBeGreaterThanOrEqual(STEPS);
  expect(MINIMUM_COVERAGE.filter(([what, count]) => coverage.of(what) < count)).toEqual([]);
}, 180_000);

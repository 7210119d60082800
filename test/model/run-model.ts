/** `npm run model -- [steps] [--seed n] [--path p] [--no-shrink]`: the model of flow control, for as many steps as you like. */
import { parseArgs } from 'node:util';
import { checkFlow, described, ruleBrokenBy } from './check-flow';
import { MINIMUM_COVERAGE } from './minimum-coverage';
import { REGRESSIONS } from './regressions';

/** From so many steps on everything must have been met. */
const STEPS_FOR_COVERAGE = 100_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: 'string' }, path: { type: 'string' }, 'no-shrink': { type: 'boolean' } },
  });
  const wanted = Number(positionals[0] ?? 1_000_000);
  const seed = Number(values.seed ?? Date.now() % 2_147_483_647);
  const startedAtMs = performance.now();
  const { steps, histories, coverage, failure } = await checkFlow({
    steps: wanted,
    seed,
    path: values.path,
    shrinks: values['no-shrink'] !== true,
  });
  const seconds = (performance.now() - startedAtMs) / 1_000;
  if (failure !== undefined) {
    process.stdout.write(`${described(failure)}\nrule: ${failure.rule}\nsteps: ${failure.stepsBefore}\n`);
    return 1;
  }
  // What random steps meet once in a million.
  for (const { what, limits, history } of REGRESSIONS) {
    const rule = await ruleBrokenBy(limits, history);
    if (rule === undefined) continue;
    process.stdout.write(`Broken again: ${what}\nrule: ${rule}\nsteps: kept\n`);
    return 1;
  }
  for (const line of coverage.lines) process.stdout.write(`${line}\n`);
  const rate = Math.round(steps / seconds);
  process.stdout.write(`${steps} steps in ${histories} histories, ${rate} steps/s, seed ${seed}\n`);
  const unmet = steps < STEPS_FOR_COVERAGE ? [] : MINIMUM_COVERAGE.filter(([what, count]) => coverage.of(what) < count);
  for (const [what, count] of unmet)
    process.stdout.write(`met too seldom: ${what}, ${coverage.of(what)} of ${count}\n`);
  process.stdout.write(unmet.length === 0 ? 'Verdict: every rule holds.\n' : 'Verdict: not everything was met.\n');
  return unmet.length === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 2;
  },
);

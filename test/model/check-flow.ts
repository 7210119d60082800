/** Runs histories of steps until enough steps were taken or a rule is broken. */
import fc from 'fast-check';
import { BrokenRule } from './broken-rule';
import { Coverage } from './coverage';
import { LIMITS, type Limits } from './limits';
import { shortened } from './shortened';
import { Site } from './site';
import { MAX_STEPS, STEPS, type Step } from './steps';

export interface FlowResult {
  readonly steps: number;
  readonly histories: number;
  readonly coverage: Coverage;
  readonly failure: FlowFailure | undefined;
}

export interface FlowFailure {
  readonly rule: string;
  readonly message: string;
  /** Taken until it broke first. */
  readonly stepsBefore: number;
  readonly seed: number;
  readonly path: string;
  /** The shortest history found that breaks it. */
  readonly limits: Limits;
  readonly history: readonly Step[];
}

export interface FlowOptions {
  readonly steps: number;
  readonly seed: number;
  /** To run one failure again. */
  readonly path?: string | undefined;
  /** Without it the first failure is taken as it is. */
  readonly shrinks?: boolean | undefined;
}

/** One history, to its end. Throws a {@link BrokenRule}. */
export async function runHistory(limits: Limits, history: readonly Step[], coverage = new Coverage()): Promise<void> {
  const { random } = Math;
  Math.random = () => limits.random;
  try {
    const site = new Site(limits, coverage);
    for (const step of history) await site.take(step);
    await site.finish();
  } finally {
    Math.random = random;
  }
}

export async function checkFlow({ steps: wanted, seed, path, shrinks = true }: FlowOptions): Promise<FlowResult> {
  const coverage = new Coverage();
  let steps = 0;
  let histories = 0;
  const property = fc.asyncProperty(LIMITS, STEPS, async (limits, history) => {
    // Enough: the rest of the runs is not needed.
    if (steps >= wanted) return;
    histories++;
    steps += history.length;
    await runHistory(limits, history, coverage);
  });
  const details = await fc.check(property, {
    seed,
    ...(path === undefined ? {} : { path }),
    // On average half of the longest.
    numRuns: Math.ceil((wanted * 3) / MAX_STEPS) + 1,
    endOnFailure: true,
  });
  if (!details.failed) return { steps, histories, coverage, failure: undefined };
  const [limits, history] = details.counterexample as [Limits, Step[]];
  const { rule, message } = brokenBy(details.errorInstance);
  const shortest = shrinks
    ? await shortened(history, async (each) => (await ruleBrokenBy(limits, each)) === rule)
    : history;
  const failure = {
    rule,
    message,
    stepsBefore: steps,
    seed: details.seed,
    path: details.counterexamplePath as string,
    limits,
    history: shortest,
  };
  return { steps, histories, coverage, failure };
}

/** Which rule, if any, a history breaks. */
export async function ruleBrokenBy(limits: Limits, history: readonly Step[]): Promise<string | undefined> {
  try {
    await runHistory(limits, history);
    return undefined;
  } catch (error) {
    return brokenBy(error).rule;
  }
}

function brokenBy(error: unknown): { readonly rule: string; readonly message: string } {
  if (error instanceof BrokenRule) return { rule: error.rule, message: error.message };
  return { rule: 'nothing throws', message: String((error as Error)?.stack ?? error) };
}

/** For a report: what broke, and how to see it again. */
export function described({ message, stepsBefore, seed, path, limits, history }: FlowFailure): string {
  return [
    `Broken after ${stepsBefore} steps: ${message}`,
    `Again: npm run model -- --seed ${seed} --path ${path}`,
    `const limits = ${JSON.stringify(limits)};`,
    'const history = [',
    ...history.map((step) => `  ${JSON.stringify(step)},`),
    '];',
  ].join('\n');
}

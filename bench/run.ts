/**
 * Runs every scenario in a process of its own, one after the other: `npm run bench`, or `npm run bench -- memory churn`. With
 * `--node=/path/to/node`, once or several times, on each of these instead of the current one. Fails if a figure misses its
 * promise.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const SCENARIOS = [
  'warm-hit',
  'warm-page',
  'fleet',
  'memory',
  'churn',
  'hostile',
  'experiments',
  'cold-and-silent',
  'black-hole',
  'calls',
  'bulk',
  'others',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', multiple: true, default: [process.execPath] } },
});
const unknown = positionals.filter((name) => !SCENARIOS.includes(name));
if (unknown.length > 0) {
  console.error(`unknown scenario ${unknown.join(', ')}. Use ${SCENARIOS.join(', ')}.`);
  process.exit(1);
}
const failed: string[] = [];
for (const name of positionals.length > 0 ? positionals : SCENARIOS) {
  for (const node of values.node) {
    const version = String(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? 'not started').trim();
    console.log(`\n=== ${name}, Node ${version}`);
    const file = join(__dirname, `${name}.ts`);
    // A million visitors take more than the heap of a small machine.
    const flags = ['--expose-gc', '--max-old-space-size=4096', '--import', 'tsx'];
    const { status } = spawnSync(node, [...flags, file], { stdio: 'inherit' });
    if (status !== 0) failed.push(`${name} (${version})`);
  }
}
console.log(failed.length === 0 ? '\nEvery promise is kept.' : `\nMissed or failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

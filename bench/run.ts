/**
 * Runs every scenario in a process of its own, one after the other: `npm run bench`, or `npm run bench -- memory`. Fails
 * if a figure misses its promise.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const scenarios = ['warm-hit', 'warm-app', 'memory', 'cold-and-silent', 'black-hole', 'calls', 'bulk', 'others'];
const selected = process.argv.slice(2);
const unknown = selected.filter((name) => !scenarios.includes(name));
if (unknown.length > 0) {
  console.error(`unknown scenario ${unknown.join(', ')}. Use ${scenarios.join(', ')}.`);
  process.exit(1);
}
const failed: string[] = [];
for (const name of selected.length > 0 ? selected : scenarios) {
  const file = join(__dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', file], { stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? '\nEvery promise is kept.' : `\nMissed or failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

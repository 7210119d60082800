/** Runs the scenarios one after the other, each in its own process: `npm run bench`, or `npm run bench -- memory`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const scenarios = ['warm-hit', 'warm-app', 'memory', 'promises', 'black-hole', 'bulk', 'others'];
const selected = process.argv.slice(2);
const unknown = selected.filter((name) => !scenarios.includes(name));
if (unknown.length > 0) {
  console.error(`unknown scenario ${unknown.join(', ')}. Use ${scenarios.join(', ')}.`);
  process.exit(1);
}
for (const name of selected.length > 0 ? selected : scenarios) {
  const file = join(__dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', file], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

/** Runs every scenario in a process of its own, one after the other: `npm run bench`, or `npm run bench -- memory`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const scenarios = ['warm-hit', 'warm-app', 'memory', 'promises', 'black-hole', 'bulk', 'others'];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !scenarios.includes(name));
if (unknown.length > 0) {
  console.error(`no scenario is named ${unknown.join(', ')}; there are ${scenarios.join(', ')}`);
  process.exit(1);
}
for (const name of wanted.length > 0 ? wanted : scenarios) {
  const file = join(__dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', file], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

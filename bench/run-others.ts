/** Runs the comparison with what people would otherwise write, in a process of its own: `npm run bench:others`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { status } = spawnSync(process.execPath, ['--import', 'tsx', join(__dirname, 'others.ts')], { stdio: 'inherit' });
process.exitCode = status ?? 1;

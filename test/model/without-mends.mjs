/**
 * `node test/model/without-mends.mjs [name part]`: takes one mend after the other out of a copy of the sources, and shows
 * that the model finds it. Exits with 1 if one is not noticed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MENDS } from './mends.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const MAX_STEPS = 100_000;
const SEED = 1;

/** The sources and the model in a folder of their own, without the mend. */
function withoutMend({ name, edits }) {
  const folder = mkdtempSync(join(tmpdir(), 'without-mend-'));
  for (const part of ['src', 'test/model', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const path = join(folder, 'src', file);
    const parts = readFileSync(path, 'utf8').split(find);
    if (parts.length !== 2) throw new Error(`${name}: found ${parts.length - 1} times in ${file}: ${find}`);
    writeFileSync(path, parts.join(replace));
  }
  return folder;
}

function isNoticed(mend) {
  const folder = withoutMend(mend);
  const args = ['--import', 'tsx', 'test/model/run-model.ts', String(MAX_STEPS), '--seed', String(SEED), '--no-shrink'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  const rule = /^rule: (.*)$/m.exec(stdout)?.[1];
  const steps = /^steps: (.*)$/m.exec(stdout)?.[1];
  if (status !== 0 && rule === undefined) throw new Error(`${mend.name}: ${stderr}`);
  const found = rule === undefined ? 'nothing found' : `${steps.padStart(7)} steps: ${rule}`;
  process.stdout.write(`${mend.name.padEnd(70)} ${found}\n`);
  return rule !== undefined;
}

if (isNoticed({ name: '(with all mends)', edits: [] }))
  throw new Error('the model finds something in the sources as they are');
const wanted = MENDS.filter(({ name }) => name.includes(process.argv[2] ?? ''));
const surviving = wanted.filter((mend) => !isNoticed(mend));
process.stdout.write(`${wanted.length - surviving.length} of ${wanted.length} are noticed when they are taken out.\n`);
process.exitCode = surviving.length === 0 ? 0 : 1;

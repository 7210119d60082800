// Tests of the tests: breaks the sources line by line, in a copy, and counts how often a related test notices.
// node test/mutation/run-mutants.mjs [--sample N] [--seed S] [file, folder or file:line...]
// Exits with 1 when fewer than 90 % of the mutants die. Those that nobody can tell from the original are listed in
// equivalent-mutants.json, with the reason, and do not count.
import { fork } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { mutantsOf } from './mutants-of.mjs';
import { relatedTests } from './related-tests.mjs';

const MIN_KILLED_PERCENT = 90;
/** After so many test files a fresh process takes over: Jest does not give back all memory. */
const RUNS_PER_PROCESS = 150;
const DEFAULT_TARGETS = ['src/dcs/flow', 'src/dcs/dcs-calls.ts', 'src/lookup'];

const root = resolve(import.meta.dirname, '../..');
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string', default: '1' } },
});
const sampleSize = options.sample === undefined ? undefined : wholeNumber('--sample', options.sample);
const seed = wholeNumber('--seed', options.seed);

const copy = mkdtempSync(join(tmpdir(), 'express-aam-segments-mutants-'));
let tests;
process.on('exit', () => {
  tests?.kill('SIGKILL');
  rmSync(copy, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
for (const name of ['docs', 'src', 'test', 'jest.config.js', 'package.json']) {
  cpSync(join(root, name), join(copy, name), { recursive: true });
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

const equivalents = JSON.parse(readFileSync(join(import.meta.dirname, 'equivalent-mutants.json'), 'utf8'));
const isEquivalent = (mutant) =>
  equivalents.some(({ file, code, change }) => {
    return file === mutant.file && code === mutant.code && change === mutant.change;
  });

const all = (positionals.length > 0 ? positionals : DEFAULT_TARGETS).flatMap(mutantsIn);
const candidates = all.filter((mutant) => !isEquivalent(mutant));
const mutants = sampleSize === undefined ? candidates : sampleOf(candidates, sampleSize);
const files = [...new Set(mutants.map(({ file }) => file))];
console.log(
  `${mutants.length} mutants of ${files.length} files` +
    (sampleSize === undefined ? '' : `: a SAMPLE of ${candidates.length}, seed ${seed}`) +
    `; ${all.length - candidates.length} known to be equivalent are left out.`,
);

const usualMs = await usualTimes([...new Set(files.flatMap((file) => relatedTests(copy, file)))]);
const survivors = [];
let timeouts = 0;
let crashes = 0;
for (const [n, mutant] of mutants.entries()) {
  const path = join(copy, mutant.file);
  const original = readFileSync(path, 'utf8');
  writeFileSync(path, mutant.mutated);
  if (!(await isKilled(mutant))) {
    survivors.push(mutant);
    console.log(`survived ${mutant.file}:${mutant.line}  ${mutant.change}`);
  }
  writeFileSync(path, original);
  if ((n + 1) % 50 === 0) console.log(`${n + 1}/${mutants.length}, ${survivors.length} survived`);
}
report();
// It would keep this process alive.
tests?.kill('SIGKILL');

function mutantsIn(target) {
  const [path, line] = target.split(':');
  const full = resolve(root, path);
  if (statSync(full).isDirectory()) {
    const names = readdirSync(full, { recursive: true }).filter((name) => name.endsWith('.ts'));
    return names.sort().flatMap((name) => mutantsIn(join(full, name)));
  }
  const file = relative(root, full);
  const found = mutantsOf(readFileSync(full, 'utf8')).map((mutant) => ({ file, ...mutant }));
  return line === undefined ? found : found.filter((mutant) => mutant.line === Number(line));
}

/** As many of each file, as far as it has them. */
function sampleOf(from, size) {
  const random = randomFrom(seed);
  const byFile = byFiles(from);
  for (const of of byFile) shuffle(of, random);
  const sample = [];
  for (let n = 0; sample.length < Math.min(size, from.length); n++) {
    for (const of of byFile) if (n < of.length && sample.length < size) sample.push(of[n]);
  }
  const order = new Map(from.map((mutant, at) => [mutant, at]));
  return sample.sort((a, b) => order.get(a) - order.get(b));
}

function byFiles(list) {
  const files = new Map();
  for (const mutant of list) files.set(mutant.file, [...(files.get(mutant.file) ?? []), mutant]);
  return [...files.values()];
}

function shuffle(list, random) {
  for (let n = list.length - 1; n > 0; n--) {
    const other = Math.floor(random() * (n + 1));
    [list[n], list[other]] = [list[other], list[n]];
  }
}

/** Mulberry32. */
function randomFrom(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How long each test file takes with the sources as they are. It has to pass. */
async function usualTimes(testFiles) {
  const times = new Map();
  for (const file of testFiles) {
    const startedMs = performance.now();
    const { passed, messages } = await runTests(file, 120_000);
    if (!passed) throw new Error(`${file} fails without a mutant:\n${messages?.join('\n')}`);
    times.set(file, performance.now() - startedMs);
  }
  return times;
}

async function isKilled({ file }) {
  for (const testFile of relatedTests(copy, file)) {
    const outcome = await runTests(testFile, 5_000 + 4 * usualMs.get(testFile));
    if (outcome.hasTimedOut) timeouts++;
    if (outcome.hasCrashed) crashes++;
    if (!outcome.passed) return true;
  }
  return false;
}

/** One that hangs has failed, and so has one that ends its process. */
function runTests(file, timeoutMs) {
  if (tests === undefined) {
    tests = fork(join(import.meta.dirname, 'test-process.mjs'), [copy], {
      execArgv: ['--max-old-space-size=1024'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    tests.runs = 0;
  }
  const current = tests;
  return new Promise((done) => {
    const settle = (outcome, isOver) => {
      clearTimeout(timer);
      current.removeAllListeners();
      if (isOver || ++current.runs >= RUNS_PER_PROCESS) {
        current.kill('SIGKILL');
        tests = undefined;
      }
      done(outcome);
    };
    const timer = setTimeout(() => settle({ passed: false, hasTimedOut: true }, true), timeoutMs);
    current.once('message', (outcome) => settle(outcome, false));
    current.once('exit', () => settle({ passed: false, hasCrashed: true }, true));
    current.send(file);
  });
}

function report() {
  console.log('\nkilled/all');
  for (const file of files) {
    const total = mutants.filter((mutant) => mutant.file === file).length;
    const alive = survivors.filter((mutant) => mutant.file === file);
    console.log(`${String(total - alive.length).padStart(5)}/${String(total).padEnd(5)} ${file}`);
    for (const { line, change } of alive) console.log(`              line ${line}: ${change}`);
  }
  const killed = mutants.length - survivors.length;
  const percent = mutants.length === 0 ? 100 : (killed / mutants.length) * 100;
  console.log(
    `\n${killed} of ${mutants.length} killed: ${percent.toFixed(1)} % (at least ${MIN_KILLED_PERCENT} are wanted).`,
  );
  console.log(`Of these ${timeouts} hung and ${crashes} ended their process.`);
  if (sampleSize !== undefined) console.log(`This was a SAMPLE of ${candidates.length} mutants, seed ${seed}.`);
  process.exitCode = percent >= MIN_KILLED_PERCENT ? 0 : 1;
}

function wholeNumber(name, text) {
  if (!/^\d+$/.test(text)) throw new Error(`${name} takes a whole number, not ${text}`);
  return Number(text);
}

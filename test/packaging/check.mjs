// Packs the package as a release does and uses the tarball as sites do: from CommonJS, ES modules and TypeScript, with
// both major versions of Express and of its types, and without Express. Prints a line per check, and last `N passed, N failed`.
// node test/packaging/check.mjs
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const bin = (name) => join(root, 'node_modules/.bin', name);
const { devDependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const scratch = mkdtempSync(join(tmpdir(), 'express-aam-segments-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const INSTALL_FLAGS = ['--strict-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund'];

let passed = 0;
let failed = 0;

// Packs a copy, so that the working dist folder stays as it is. The copy has everything that could get into the tarball by
// mistake, and leftovers of an earlier build.
const copy = join(scratch, 'copy');
const notCopied = ['.git', 'coverage', 'dist', 'node_modules'].map((name) => join(root, name));
cpSync(root, copy, { recursive: true, filter: (source) => !notCopied.includes(source) });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
mkdirSync(join(copy, 'dist'));
writeFileSync(join(copy, 'dist/left-over.js'), '');
writeFileSync(join(copy, 'dist/index.js'), 'throw new Error("built yesterday")');

if (!check('npm pack', run(copy, 'npm', 'pack', '--pack-destination', scratch))) finish();
const [tarball] = readdirSync(scratch)
  .filter((file) => file.endsWith('.tgz'))
  .map((file) => join(scratch, file));
check('the tarball has the documents, a fresh build of every source file, and nothing else', wrongContents());
check('publint', run(scratch, bin('publint'), 'run', tarball, '--strict'));
check('attw', run(scratch, bin('attw'), tarball, '--profile', 'node16'));

// Checks the package's declarations too: `skipLibCheck` would hide their errors here, but not in every site.
const STRICT = [
  ...['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', 'false'],
  ...['--target', 'es2022', '--lib', 'es2022', '--types', 'node', '--esModuleInterop'],
];
const ways = [
  { extension: '.cts', flags: '--module nodenext', runs: true },
  { extension: '.mts', flags: '--module nodenext', runs: true },
  // The output is for a bundler, not for Node.
  { extension: '.ts', flags: '--module esnext --moduleResolution bundler', runs: false },
];
const tools = project('tools', { typescript: '5.9.3' });
const compilers = [
  { name: 'TypeScript 7', tsc: bin('tsc'), ways },
  {
    name: 'TypeScript 5.9',
    tsc: join(tools, 'node_modules/.bin/tsc'),
    // This resolution, gone in TypeScript 7, reads `typesVersions` instead of `exports`.
    ways: [...ways, { extension: '.ts', flags: '--module commonjs --moduleResolution node10', runs: true }],
  },
];
const expressVersions = [
  { express: devDependencies.express, types: devDependencies['@types/express'] },
  { express: devDependencies.express4.replace('npm:express@', ''), types: '4.17.25' },
];
for (const { express, types } of expressVersions) {
  const title = `Express ${express}`;
  const site = project(`site-on-express-${express}`, {
    'express-aam-segments': `file:${tarball}`,
    express,
    '@types/express': types,
    '@types/node': devDependencies['@types/node'],
  });
  cpSync(join(root, 'test/packaging/consumers'), site, { recursive: true });
  check(`${title}: require()`, run(site, 'node', 'visit.mjs', 'site.cjs'));
  check(`${title}: import`, run(site, 'node', 'visit.mjs', 'site.mjs'));
  for (const how of ['import', 'require']) {
    check(`${title}: the first page of the README, with ${how}`, run(site, 'node', 'readme.mjs', how));
  }
  check(`${title}: npx aam-segments`, run(site, 'npx', '--no-install', 'aam-segments', 'bulk', '--help'));
  for (const compiler of compilers) compileIn(site, compiler, `${title}, ${compiler.name}`);
}
checkFrameworks();
checkWorker(project('worker', { 'express-aam-segments': `file:${tarball}` }));
finish();

/** Counts and prints one check. Later checks run even if it fails. */
function check(name, problem) {
  if (problem) failed++;
  else passed++;
  console.log(problem ? `FAIL  ${name}\n${problem}` : `ok    ${name}`);
  return !problem;
}

/** Runs a command in a folder. Returns its output if it fails. */
function run(cwd, command, ...args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status === 0) return undefined;
  return `${basename(command)} ${args.join(' ')}: ${error ?? `status ${status}`}\n${stdout}${stderr}`;
}

/** The programs of docs/frameworks.md, with the versions that it names. */
function checkFrameworks() {
  const site = project('frameworks', {
    'express-aam-segments': `file:${tarball}`,
    '@fastify/express': '4.0.7',
    '@fastify/middie': '9.3.6',
    '@nestjs/common': '12.5.1',
    '@nestjs/core': '12.5.1',
    '@nestjs/platform-express': '12.5.1',
    '@types/express': devDependencies['@types/express'],
    '@types/node': devDependencies['@types/node'],
    connect: devDependencies.connect,
    express: devDependencies.express,
    fastify: '5.12.8',
    koa: '3.3.0',
    'koa-connect': '2.1.1',
    'reflect-metadata': '0.2.2',
    rxjs: '7.8.2',
  });
  cpSync(join(root, 'test/packaging/consumers/framework.mjs'), join(site, 'framework.mjs'));
  const titles = ['Connect', 'Fastify with @fastify/express', 'Fastify with @fastify/middie', 'Koa', 'NestJS'];
  const [{ tsc }] = compilers;
  for (const [n, title] of titles.entries()) {
    check(`docs/frameworks.md: ${title}`, run(site, 'node', 'framework.mjs', String(n), tsc));
  }
}

/** A worker or script with only this package must not install what only sites or the command line need. */
function checkWorker(worker) {
  const installed = Object.keys(peerDependencies).filter((name) => existsSync(join(worker, 'node_modules', name)));
  check('worker: no optional peer is installed', installed.join('\n'));
  const options = "{ orgId: '1FD6776A524453CC0A490D44@AdobeOrg', partner: 'acme' }";
  const use = `createDcsClient(${options}).close(); aamSegments(${options}).close();`;
  const load = "const { aamSegments, createDcsClient } = require('express-aam-segments');";
  check('worker: require() without Express', run(worker, 'node', '--eval', `${load} ${use}`));
  const source = `${load.replace('const', 'import').replace(/= require\((.*)\)/, 'from $1')} ${use}`;
  check('worker: import without Express', run(worker, 'node', '--input-type=module', '--eval', source));

  writeFileSync(join(worker, 'customers.csv'), 'ecid\n');
  const bulk = ['bulk', '--in', 'customers.csv', '--out', 'segments.csv', '--org', 'x', '--partner', 'acme'];
  const { status, stderr } = spawnSync('npx', ['--no-install', 'aam-segments', ...bulk], {
    cwd: worker,
    encoding: 'utf8',
  });
  const isWritten = status === 0 && existsSync(join(worker, 'segments.csv'));
  check('worker: bulk reads and writes CSV', isWritten ? '' : `status ${status}\n${stderr}`);
}

function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

/** The files that the tarball lacks or should not have, one per line. */
function wrongContents() {
  const contents = join(scratch, 'contents');
  mkdirSync(contents);
  const problem = run(contents, 'tar', '-xzf', tarball);
  if (problem) return problem;

  const packed = join(contents, 'package');
  const actual = filesIn(packed);
  const built = filesIn(join(root, 'src')).map((file) => `dist/${file.replace(/\.ts$/, '')}`);
  const expected = [
    ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'],
    ...filesIn(join(root, 'docs')).map((file) => `docs/${file}`),
    ...built.flatMap((path) => [`${path}.js`, `${path}.d.ts`]),
  ];
  // No source maps are shipped, so nothing may point to one.
  const mapped = actual.filter((file) => readFileSync(join(packed, file), 'utf8').includes('//# sourceMappingURL='));
  return [
    ...expected.filter((file) => !actual.includes(file)).map((file) => `missing: ${file}`),
    ...actual.filter((file) => !expected.includes(file)).map((file) => `unexpected: ${file}`),
    ...mapped.map((file) => `points to a source map: ${file}`),
  ].join('\n');
}

function filesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** A project with these dependencies. A peer dependency that does not fit is a failure. */
function project(name, dependencies) {
  const folder = join(scratch, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  check(`${name}: npm install`, run(folder, 'npm', 'install', ...INSTALL_FLAGS));
  return folder;
}

/** Compiles the sites, each as its own program since a program has one `Register`, and visits the results. */
function compileIn(site, { tsc, ways }, title) {
  const unregistered = mkdtempSync(join(site, 'unregistered-'));
  compile('unregistered', unregistered, { extension: '.mts', flags: '--module nodenext' });
  for (const way of ways) {
    const folder = mkdtempSync(join(site, 'site-'));
    if (!compile('site', folder, way) || !way.runs) continue;
    const compiled = `site${way.extension.replace('ts', 'js')}`;
    check(`${title}: ${compiled} runs`, run(site, 'node', 'visit.mjs', join(folder, compiled)));
  }

  function compile(name, folder, { extension, flags }) {
    const file = name + extension;
    cpSync(join(site, `${name}.ts`), join(folder, file));
    return check(`${title}: ${file} ${flags}`, run(folder, tsc, ...STRICT, ...flags.split(' '), file));
  }
}

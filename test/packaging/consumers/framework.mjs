// Runs a program of the installed docs/frameworks.md on a free port and on the DCS simulator, and visits it.
// node framework.mjs <number of the program> <TypeScript's tsc>
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createDcsSimulator } from 'express-aam-segments/testing';

const [, , number, tsc] = process.argv;
const GOLFER = '20265673158980419722735089753036633573';

const page = readFileSync('node_modules/express-aam-segments/docs/frameworks.md', 'utf8');
const [, language, program] = [...page.matchAll(/^```(js|typescript)\n(.*?)^```$/gms)][Number(number)];

const simulator = await createDcsSimulator({ partner: 'acme', segmentIds: true });
simulator.visitor(GOLFER).in(984263);
const port = await freePort();

const given = program
  .replace('3000', String(port))
  .replace(/^ {2}segments: .*\n/m, `$&  maxWaitMs: 5_000,\n  dcs: ${JSON.stringify(simulator.dcs)},\n`);
assert.ok(given.includes(String(port)) && given.includes('maxWaitMs'), given);
const folder = mkdtempSync(resolve('framework-'));
const file = join(folder, 'site.mjs');
if (language === 'js') writeFileSync(file, given);
else {
  writeFileSync(join(folder, 'site.mts'), given);
  const flags =
    '--strict --experimentalDecorators --emitDecoratorMetadata --module nodenext --target es2022 --skipLibCheck';
  execFileSync(tsc, [...flags.split(' '), join(folder, 'site.mts')], { stdio: 'inherit' });
}
const site = spawn(process.execPath, [file], { stdio: ['ignore', 'ignore', 'inherit'] });
process.once('exit', () => site.kill());

const amcv = `AMCV_1FD6776A524453CC0A490D44%40AdobeOrg=MCMID|${GOLFER}|MCAAMLH-1796038911|9`;
await reached();
assert.deepEqual(await visit('/', ''), [200, 'Welcome', 'private']);
assert.deepEqual(await visit('/', amcv), [200, 'The new irons are in', 'private']);
assert.equal((await visit('/members', ''))[0], 302);
assert.deepEqual(await visit('/members', amcv), [200, 'The new irons are in', 'private']);
assert.equal(simulator.requests.length, 1);
process.exit();

async function visit(path, cookie) {
  const headers = { cookie, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
  const response = await fetch(`http://localhost:${port}${path}`, { headers, redirect: 'manual' });
  return [response.status, await response.text(), response.headers.get('cache-control')];
}

/** Resolves when it answers. A framework does not tell us when it listens. */
async function reached() {
  while (site.exitCode === null) {
    try {
      return await visit('/favicon.ico', '');
    } catch {
      await new Promise(setImmediate);
    }
  }
  throw new Error(`the site has ended with ${site.exitCode}`);
}

async function freePort() {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Does what the chapter "See it work in your own app" of the installed README says, with free ports in place of its own.
// node readme.mjs <import|require>
import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const [, , how] = process.argv;
const packaged = resolve('node_modules/express-aam-segments');
const readme = readFileSync(join(packaged, 'README.md'), 'utf8');
const blocksOf = (language) =>
  [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, its]) => its === language).map(([, , code]) => code);

const folder = mkdtempSync(resolve('readme-'));
const [program] = blocksOf('ts');
const [required, simulated, link] = blocksOf('js');
const [, commands] = blocksOf('sh');
const [, visitors] = commands.match(/^echo '(.*)' > visitors\.ndjson$/m);
const [, options] = commands.match(/^npx aam-segments simulate --port 4700 (.*)$/m);
writeFileSync(join(folder, 'visitors.ndjson'), `${visitors}\n`);

const { bin } = JSON.parse(readFileSync(join(packaged, 'package.json'), 'utf8'));
const simulator = spawn(
  process.execPath,
  [join(packaged, bin['aam-segments']), 'simulate', '--json', ...options.split(' ')],
  { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
);
process.once('exit', () => simulator.kill());
const lines = createInterface({ input: simulator.stdout })[Symbol.asyncIterator]();
const { defaultOrigin, visitors: loaded } = JSON.parse((await lines.next()).value);
assert.equal(loaded, 1);

const replaced = (text, from, to) => {
  const result = text.replace(from, to);
  assert.notEqual(result, text, `${from} is not in ${text}`);
  return result;
};
let pasted = how === 'require' ? replaced(program, /^import .*\nimport .*\n/, required) : program;
const own = replaced(simulated, 'http://127.0.0.1:4700', defaultOrigin);
// A long wait, so that a busy machine does not make it fail.
pasted = replaced(pasted, /(^ {2}segments: .*\n)/m, `$1  maxWaitMs: 5_000,\n${own}`);
pasted = replaced(
  pasted,
  'app.listen(3000);',
  `${link}const server = app.listen(0, () => process.send(server.address().port));`,
);
const file = join(folder, how === 'require' ? 'app.cjs' : 'app.mjs');
writeFileSync(file, pasted);
const app = fork(file);
process.once('exit', () => app.kill());
const [port] = await once(app, 'message');

async function visit(path, cookie = '') {
  const headers = { cookie, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, redirect: 'manual' });
  return { text: await response.text(), cookie: String(response.headers.get('set-cookie')).split(';')[0] };
}
assert.equal((await visit('/')).text, 'Welcome');
const { cookie } = await visit('/golf-fan');
assert.equal((await visit('/', cookie)).text, 'The new irons are in');
assert.equal((await visit('/', cookie)).text, 'The new irons are in');
const { method, path, status } = JSON.parse((await lines.next()).value);
assert.deepEqual([method, path, status], ['GET', '/event', 200]);

process.exit();

// Starts one of the sites on the DCS simulator, both from the installed package, and visits it.
// node visit.mjs <site>
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as imported from 'express-aam-segments';
import { createDcsSimulator } from 'express-aam-segments/testing';

const require = createRequire(import.meta.url);
const GOLFER = '20265673158980419722735089753036633573';
const VIP = '91563127448770346027793623225009407783';
const NOBODY = '10000000000000000000000000000000000001';
// By its own User-Agent, fetch() counts as a bot, which gets no segments.
const BROWSER = 'Mozilla/5.0 (X11; Linux x64; rv:140.0) Gecko/20100101 Firefox/140.0';

// require() and import give the same class: a site in CommonJS may use a library that is an ES module.
assert.equal(imported.AamError, require('express-aam-segments').AamError);
assert.equal(createDcsSimulator, require('express-aam-segments/testing').createDcsSimulator);
assert.equal(require('express-aam-segments/package.json').name, 'express-aam-segments');
assert.throws(() => require('express-aam-segments/dist/options.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });

const simulator = await createDcsSimulator({ partner: 'acme', segmentIds: true });
simulator.visitor(GOLFER).in(984263);
simulator.visitor(VIP).in(985264);
process.env.DCS_ORIGIN = simulator.dcs.defaultOrigin;

const { AamError, aam, app, rehearse } = await import(pathToFileURL(resolve(process.argv[2])));
assert.equal(AamError, imported.AamError);
const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');

async function visit(path, ecid) {
  const amcv = encodeURIComponent(`179643557|MCMID|${ecid}|vVersion|5.5.0`);
  const headers = {
    connection: 'close',
    cookie: `AMCV_1FD6776A524453CC0A490D44%40AdobeOrg=${amcv}`,
    'user-agent': BROWSER,
  };
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers });
  return response.ok ? response.text() : response.status;
}
const seenBy = async (ecid) => [
  await visit('/', ecid),
  await visit('/members', ecid),
  await visit('/lounge', ecid),
  await visit('/landing', ecid),
];

assert.deepEqual(await seenBy(VIP), ['upgrade', 'members', 'lounge', 'vip']);
assert.deepEqual(await seenBy(GOLFER), ['join', 403, 403, 'golf']);
assert.deepEqual(await seenBy(NOBODY), ['join', 403, 403, 'plain']);
assert.equal(simulator.requests.length, 3);
if (rehearse) assert.deepEqual(await rehearse(), ['golfFans', '984263', 'calls: 1', 'region: 9']);

server.close();
await aam.close();
await simulator.close();

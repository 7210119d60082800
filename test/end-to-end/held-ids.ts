/**
 * Runs in its own process with --expose-gc: caches visitors, and prints which of their ids are in a heap snapshot. Any argument
 * turns on cache.keySecret.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { getHeapSnapshot } from 'node:v8';
import { type AamSegments, aamSegments } from 'express-aam-segments';

/** Digits in reverse, so that only idOf() puts a whole id into memory. */
const backwards = Object.fromEntries(
  ['ecid', 'uuid', 'customerId'].map((name) => [name, Array.from({ length: 38 }, () => randomInt(10))]),
);
const idOf = (name: string) => [...(backwards[name] as number[])].reverse().join('');

/** A separate function, so that its variables are collected. */
async function lookUpAll(aam: AamSegments): Promise<void> {
  await aam.lookup({ ecid: idOf('ecid') });
  await aam.lookup({ uuid: idOf('uuid') });
  await aam.lookup({ customerIds: [{ dataSourceId: 7, id: idOf('customerId') }] });
}

async function run(): Promise<void> {
  // Not the simulator, which logs ids.
  const dcs = createServer((_req, res) => res.end('{"uuid":"1","segments":[984263]}')).listen(0, '127.0.0.1');
  await once(dcs, 'listening');
  const aam = aamSegments({
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partner: 'acme',
    cache: process.argv.length > 2 ? { keySecret: 'a secret of thirty-two characters' } : {},
    dcs: { origins: {}, defaultOrigin: `http://127.0.0.1:${(dcs.address() as AddressInfo).port}` },
  });
  await lookUpAll(aam);
  // Closes sockets and their buffers; the cache stays.
  await aam.close();
  dcs.close();
  await once(dcs, 'close');
  const { visitors: count } = aam.stats();
  for (let n = 0; n < 5; n++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const snapshot = await text(getHeapSnapshot());
  const found = Object.keys(backwards).map((name) => [name, snapshot.includes(idOf(name))]);
  // Keeps the instance alive until after the snapshot.
  console.log(JSON.stringify({ remembered: count === 3 && aam.stats().visitors === 3, ...Object.fromEntries(found) }));
}

void run();

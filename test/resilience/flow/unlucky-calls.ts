/**
 * Runs in its own process, where warnings and unhandled rejections are seen: an event that is turned away many times, a
 * signal that many lookups share, and sources that fail when they are ended. Prints what became of them.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDcsClient, type VisitorId } from 'express-aam-segments';

const RETRIES = 25;
const ANSWER = '{"stuff":[],"uuid":"1","segments":[984263],"dcs_region":9}';
const visitorOf = (n: number) => ({ ecid: String(n).padStart(38, '3') });

/** How a promise ended: `ok`, or the code or message of its error. */
const endOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

async function main(): Promise<void> {
  let turnedAway = 0;
  const server = createServer((req, res) => {
    if (req.url?.includes('c_retried') && turnedAway < RETRIES) {
      turnedAway++;
      // A date: seconds are long for a test.
      res.writeHead(429, { 'Retry-After': new Date(Date.now() + 10).toISOString() }).end();
    } else if (req.url?.includes('c_hang')) {
      return;
    } else {
      res.end(ANSWER);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const defaultOrigin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = {
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partner: 'acme',
    dcs: { origins: {}, defaultOrigin, failureCooldownMs: 0, maxCallsPerMinute: 1_000 },
  };
  const client = createDcsClient(options);
  const retried = await endOf(client.sendEvent(visitorOf(1), { c_retried: 1 }));

  const { signal } = new AbortController();
  const shared = await Promise.all(
    Array.from({ length: 60 }, (_, n) => endOf(client.lookup(visitorOf(100 + n), { signal }))),
  );
  const iterations = Array.from({ length: 60 }, async () => {
    for await (const _ of client.lookupMany([visitorOf(200)], { signal }));
  });
  const many = await Promise.all(iterations.map(endOf));
  const aborted = new AbortController();
  const hanging = Array.from({ length: 60 }, (_, n) => {
    void client.sendEvent(visitorOf(300 + n), { c_hang: 1 }).catch(() => {});
    return endOf(client.lookup(visitorOf(300 + n), { signal: aborted.signal }));
  });
  aborted.abort(new Error('aborted'));
  const ended = await Promise.all(hanging);

  /** Its first read settles when the test says so; ending it fails. */
  const failingSource = (firstRead: Promise<IteratorResult<VisitorId>>): AsyncIterable<VisitorId> => ({
    [Symbol.asyncIterator]: () => ({
      next: () => firstRead,
      return: () => Promise.reject(new Error('return failed')),
    }),
  });
  const gaveUp = new AbortController();
  const unread = endOf(client.lookupMany(failingSource(new Promise(() => {})), { signal: gaveUp.signal }).next());
  await new Promise(setImmediate);
  gaveUp.abort(new Error('gave up'));
  const given = client.lookupMany(failingSource(Promise.resolve({ value: visitorOf(400), done: false })));
  await given.next();
  const returned = await endOf(given.return());

  await client.close();
  const afterClose = await endOf(
    (async () => {
      for await (const { error } of client.lookupMany(endless())) if (error !== undefined) throw error;
    })(),
  );
  server.closeAllConnections();
  server.close();
  const counts = { turnedAway, shared: new Set(shared).size, many: new Set(many).size, ended: new Set(ended).size };
  const ends = {
    retried,
    shared: shared[0],
    many: many[0],
    ended: ended[0],
    unread: await unread,
    returned,
    afterClose,
  };
  console.log(JSON.stringify({ counts, ends }));
}

async function* endless(): AsyncGenerator<VisitorId> {
  for (let n = 0; ; n++) yield visitorOf(1_000 + n);
}

void main();

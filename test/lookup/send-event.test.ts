import express from 'express';
import fc from 'fast-check';
import request from 'supertest';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, type Site } from '../helpers/site';

const OTHER_ECID = '91563127448770346027793623225009407783';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

/** A site on which `GET /buy` sends an event without awaiting it. */
async function shop(options?: Parameters<typeof createSite>[0]): Promise<Site> {
  const site = await createSite(options);
  site.app.get('/buy', (req, res) => {
    site.aam.sendEvent(req, { c_product: 'irons' });
    res.send('bought');
  });
  return site;
}

describe('sendEvent()', () => {
  it('sends the signals with the parameters of a lookup, and resolves with the new segments', async () => {
    const { app, aam, simulator, view } = await createSite();
    await view();
    app.get('/buy', async (req, res) => {
      simulator.visitor(ECID).in(GOLF);
      const before = req.aamSegments.names;
      const { status, names } = await aam.sendEvent(req, { c_product: ['irons', 'b&b'], p_price: 899, h_new: true });
      res.json({ before, status, names, own: req.aamSegments.names });
    });
    const { body } = await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    expect(body).toEqual({ before: [], status: 'fresh', names: ['golfFans'], own: [] });
    const [lookup, event] = simulator.requests;
    expect(event?.params).toEqual({ ...lookup?.params, c_product: ['irons', 'b&b'], p_price: '899', h_new: 'true' });
    expect(event).toMatchObject({ method: 'GET', path: '/event', host: 'acme.demdex.net', region: 9 });
    expect(aam.stats().events).toEqual({ queued: 0, sent: 1, failed: 0, dropped: 0 });
  });

  it('is sent after the same middleware has run again, behind another one, of a visitor who had refused before', async () => {
    const { app, aam, simulator, view } = await createSite();
    const other = await createSite();
    await view();
    await request(app).get('/').set('Cookie', cookieOf(ECID)).set('Sec-GPC', '1');
    app.get('/buy', other.aam, aam, async (req, res) => {
      await aam.sendEvent(req, { c_product: 'irons' });
      res.send('bought');
    });
    await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    expect(simulator.requests.filter(({ params }) => params.c_product === 'irons')).toHaveLength(1);
  });

  it('changes the next page of the same visitor only', async () => {
    const { view, simulator } = await shop();
    expect(await view()).toMatchObject({ names: [], status: 'fresh' });
    expect(await view(cookieOf(OTHER_ECID))).toMatchObject({ names: [], status: 'fresh' });
    simulator.visitor(ECID).in(GOLF);
    simulator.visitor(OTHER_ECID).in(HIGH_VALUE);
    await view(cookieOf(ECID), '/buy');
    expect(await view()).toMatchObject({ names: ['golfFans'] });
    expect(await view(cookieOf(OTHER_ECID))).toMatchObject({ names: [], status: 'cached' });
    expect(simulator.requests).toHaveLength(3);
  });

  it('lets the next page go by what is known with { refresh: false }, and remembers the answer all the same', async () => {
    const { app, aam, simulator, view } = await createSite();
    await view();
    simulator.visitor(ECID).in(GOLF);
    let sent: Promise<unknown> = Promise.resolve();
    app.get('/scroll', (req, res) => {
      sent = aam.sendEvent(req, { p_depth: 80 }, { refresh: false });
      res.end();
    });
    simulator.fault({ kind: 'latency', latencyMs: 200 }, { calls: 1 });
    await request(app).get('/scroll').set('Cookie', cookieOf(ECID));
    expect(await view()).toMatchObject({ status: 'cached', names: [] });
    await sent;
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
  });

  it('sends nothing for a prefetch, not even of a visitor who is known', async () => {
    const { app, aam, simulator, view } = await createSite({ maxWaitMs: 5_000 });
    await view();
    app.get('/buy', async (req, res) => {
      const { status } = await aam.sendEvent(req, { c_n: 1 });
      res.json({ status });
    });
    const prefetch = request(app)
      .get('/buy')
      .set({ Cookie: cookieOf(ECID), 'Sec-Purpose': 'prefetch' });
    expect((await prefetch).body).toEqual({ status: 'cached' });
    expect(simulator.requests).toHaveLength(1);
  });

  it('has the next page wait for the answer where it is not told otherwise', async () => {
    const { app, aam, simulator, view } = await createSite({ maxWaitMs: 5_000 });
    await view();
    simulator.visitor(ECID).in(GOLF);
    app.get('/buy', (req, res) => {
      void aam.sendEvent(req, { c_n: 1 });
      res.end();
    });
    simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 1 });
    await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    expect(await view()).toMatchObject({ status: 'fresh', names: ['golfFans'] });
  });

  it.each([
    ['an unknown option', { refesh: false }, 'ERR_AAM_UNKNOWN_OPTION'],
    ['a refresh that is no boolean', { refresh: 'no' }, 'ERR_AAM_INVALID_OPTION'],
    ['options that are no object', null, 'ERR_AAM_INVALID_OPTION'],
  ])('rejects %s', async (_name, options, code) => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { app, aam, simulator } = await createSite();
    app.get('/buy', async (req, res) => {
      await aam.sendEvent(req, { c_n: 1 }, options as never).catch((error) => res.json({ code: error.code }));
    });
    expect((await request(app).get('/buy').set('Cookie', cookieOf(ECID))).body).toEqual({ code });
    expect(simulator.requests).toHaveLength(1);
  });

  it('never overlaps with another call about the visitor, and keeps the order of events', async () => {
    const { app, aam, simulator } = await createSite({
      cache: { ttlMs: 0, staleWhileRevalidateMs: 0 },
      dcs: { maxCallsPerMinute: 1_000 },
    });
    app.get('/step/:n', (req, res) => {
      aam.sendEvent(req, { c_n: String(req.params.n) });
      res.end();
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(ECID, OTHER_ECID), fc.boolean()), { minLength: 1, maxLength: 12 }),
        async (views) => {
          simulator.clear();
          const sent = new Map<string, string[]>([
            [ECID, []],
            [OTHER_ECID, []],
          ]);
          const visits: Promise<unknown>[] = [];
          for (const [n, [ecid, isEvent]] of views.entries()) {
            const visit = request(app)
              .get(isEvent ? `/step/${n}` : '/')
              .set('Cookie', cookieOf(ecid));
            if (isEvent) {
              // Awaited, so that the order of the events is known.
              await visit;
              sent.get(ecid)?.push(String(n));
            } else visits.push(visit.then(() => {}));
          }
          await Promise.all(visits);
          while (aam.stats().inFlight > 0) await new Promise(setImmediate);
          expect(simulator.requests.filter(({ overlapped }) => overlapped)).toEqual([]);
          for (const [ecid, ns] of sent) {
            const received = simulator.requestsOf(ecid).flatMap(({ params }) => params.c_n ?? []);
            expect(received).toEqual(ns);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it.each([
    ['for an opted-out visitor', cookieOf(ECID, 9, 'global'), {}],
    ['without a visitor', 'a=b', {}],
    ['for a bot', cookieOf(ECID), { 'User-Agent': 'Googlebot/2.1' }],
    ['with Sec-GPC', cookieOf(ECID), { 'Sec-GPC': '1' }],
    ['for a prefetch', cookieOf(ECID), { 'Sec-Purpose': 'prefetch' }],
  ])('sends nothing %s, and resolves with the request’s own segments', async (_name, cookie, headers) => {
    const { app, aam, simulator } = await createSite();
    app.get('/buy', async (req, res) => {
      res.json({ isOwn: (await aam.sendEvent(req, { c_product: 'irons' })) === req.aamSegments });
    });
    const { body } = await request(app)
      .get('/buy')
      .set({ Cookie: cookie, ...headers });
    expect(body).toEqual({ isOwn: true });
    expect(simulator.requests).toEqual([]);
  });

  it.each([
    ['the id of a visitor', { d_mid: OTHER_ECID }, 'ERR_AAM_INVALID_SIGNAL'],
    ['a key of the protocol, in capitals', { D_sid: 1 }, 'ERR_AAM_INVALID_SIGNAL'],
    ['consent', { gdpr_consent: 'x' }, 'ERR_AAM_INVALID_SIGNAL'],
    ['an empty key', { '': 'x' }, 'ERR_AAM_INVALID_SIGNAL'],
    ['a number that is not finite', { c_price: Number.NaN }, 'ERR_AAM_INVALID_SIGNAL'],
    ['a lone surrogate', { c_name: '\ud800' }, 'ERR_AAM_INVALID_SIGNAL'],
    ['null', { c_name: null }, 'ERR_AAM_INVALID_SIGNAL'],
    ['an object', { c_name: {} }, 'ERR_AAM_INVALID_SIGNAL'],
    ['undefined in a list', { c_name: [undefined] }, 'ERR_AAM_INVALID_SIGNAL'],
    ['a string', 'c_name=x', 'ERR_AAM_INVALID_SIGNAL'],
    ['32 000 bytes', { c_text: 'x'.repeat(32_000) }, 'ERR_AAM_EVENT_TOO_LARGE'],
  ])('rejects %s', async (_name, signals, code) => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { app, aam, simulator } = await createSite();
    app.get('/buy', async (req, res) => {
      await aam.sendEvent(req, signals as never).catch((error) => res.json({ code: error.code }));
    });
    const { body } = await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    expect(body).toEqual({ code });
    expect(simulator.requests).toHaveLength(1);
  });

  it('rejects a request that has not passed the middleware', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { aam } = await createSite();
    const app = express();
    app.get('/', async (req, res) => {
      await aam.sendEvent(req, {}).catch((error) => res.json({ code: error.code }));
    });
    expect((await request(app).get('/')).body).toEqual({ code: 'ERR_AAM_MIDDLEWARE_MISSING' });
  });

  it('uses GET for URLs of up to 8000 bytes and POST beyond', async () => {
    const { app, aam, simulator } = await createSite();
    app.get('/send/:length', async (req, res) => {
      await aam.sendEvent(req, { c_text: 'x'.repeat(Number(req.params.length)) });
      res.end();
    });
    await request(app).get('/send/0').set('Cookie', cookieOf(ECID));
    const [, plain] = simulator.requests;
    const room = 8_000 - `${simulator.dcs.origins[9]}${plain?.url}`.length;
    await request(app).get(`/send/${room}`).set('Cookie', cookieOf(ECID));
    await request(app)
      .get(`/send/${room + 1}`)
      .set('Cookie', cookieOf(ECID));
    await request(app).get('/send/31000').set('Cookie', cookieOf(ECID));
    const sent = simulator.requests.slice(2);
    expect(sent.map(({ method, answeredStatus }) => [method, answeredStatus])).toEqual([
      ['GET', 200],
      ['POST', 200],
      ['POST', 200],
    ]);
    expect(sent.map(({ params }) => String(params.c_text).length)).toEqual([room, room + 1, 31_000]);
  });

  it('is queued while the breaker is open, and sent when it closes', async () => {
    const clock = advanceableClock();
    const breaker = { minCalls: 1, probeAfterMs: 400 };
    const { app, aam, simulator, view } = await shop({ dcs: { breaker, failover: false, failureCooldownMs: 0 } });
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    await view(cookieOf(OTHER_ECID));
    await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    expect([aam.stats().events.queued, simulator.requests.length]).toEqual([1, 1]);
    clock.advance(400);
    await simulator.received(2);
    expect(simulator.requests[1]?.params).toMatchObject({ d_mid: ECID, c_product: 'irons' });
  });

  it('drops the oldest when the queue is full, and counts them', async () => {
    const { app, aam, simulator } = await createSite({ dcs: { maxQueuedEvents: 2 } });
    const outcomes: Promise<string>[] = [];
    app.get('/many', (req, res) => {
      for (const n of [0, 1, 2, 3, 4]) {
        outcomes.push(
          aam.sendEvent(req, { c_n: n }).then(
            ({ status }) => status,
            ({ code }) => code,
          ),
        );
      }
      res.end();
    });
    await request(app).get('/many').set('Cookie', cookieOf(ECID));
    const dropped = 'ERR_AAM_EVENT_DROPPED';
    expect(await Promise.all(outcomes)).toEqual(['fresh', dropped, dropped, 'fresh', 'fresh']);
    expect(simulator.requests.flatMap(({ params }) => params.c_n ?? [])).toEqual(['0', '3', '4']);
    expect(aam.stats().events).toEqual({ queued: 0, sent: 3, failed: 0, dropped: 2 });
  });

  it('is still sent during close(), and rejected afterwards', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { app, aam, simulator } = await createSite();
    let after: Promise<unknown> = Promise.resolve();
    app.get('/buy', async (req, res) => {
      for (const n of [1, 2, 3]) aam.sendEvent(req, { c_n: n });
      await aam.close();
      after = aam.sendEvent(req, { c_n: 4 });
      res.end();
    });
    await request(app).get('/buy').set('Cookie', cookieOf(ECID));
    await expect(after).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    expect(simulator.requests.flatMap(({ params }) => params.c_n ?? [])).toEqual(['1', '2', '3']);
  });
});

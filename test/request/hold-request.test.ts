import { AsyncLocalStorage } from 'node:async_hooks';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import request from 'supertest';
import { dcsServer, http } from '../dcs/dcs-server';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('simultaneous requests', () => {
  it('of one cold visitor make one call, each continuing in its own async context, once', async () => {
    await using dcs = await dcsServer(() => {});
    const { aam } = await createSite({ dcs: { origins: {}, defaultOrigin: dcs.origin.origin } });
    const context = new AsyncLocalStorage<string>();
    const passed: string[] = [];
    const app = express();
    let arrived = 0;
    app.use((req, _res, next) => {
      // The DCS answers once all requests wait for it.
      if (++arrived === 200) void dcs.received(1).then(() => dcs.answer(http()));
      context.run(req.url, next);
    });
    app.use(aam);
    app.use((req, _res, next) => {
      passed.push(req.url);
      next();
    });
    app.get('/:n', (req, res) => {
      if (Number(req.params.n) % 10 === 7) throw new Error('a handler that throws');
      res.json({
        url: req.url,
        context: context.getStore(),
        names: req.aamSegments.names,
        status: req.aamSegments.status,
      });
    });
    app.use(((_error, _req, res, _next) => res.status(500).end()) satisfies express.ErrorRequestHandler);
    const server = app.listen(0);
    const urls = Array.from({ length: 200 }, (_, n) => `/${n}`);
    const responses = await Promise.all(urls.map((url) => request(server).get(url).set('Cookie', cookieOf(ECID))));
    server.close();

    expect(dcs.heads).toHaveLength(1);
    expect(passed.sort()).toEqual(urls.sort());
    responses.forEach(({ status, body }, n) => {
      if (n % 10 === 7) expect(status).toBe(500);
      else expect(body).toEqual({ url: `/${n}`, context: `/${n}`, names: ['golfFans'], status: 'fresh' });
    });
  });

  it('of different visitors each see their own segments', async () => {
    const { view, simulator } = await createSite({ maxWaitMs: 5_000 });
    const visitors = Array.from({ length: 40 }, (_, n) => ECID.slice(0, -2) + String(10 + n));
    for (const [n, ecid] of visitors.entries()) simulator.visitor(ecid).in(1_000 + n);
    for (const status of ['fresh', 'cached']) {
      const views = await Promise.all(visitors.map((ecid) => view(cookieOf(ecid))));
      expect(views.map(({ ids }) => ids)).toEqual(visitors.map((_, n) => [String(1_000 + n)]));
      expect(new Set(views.map((each) => each.status))).toEqual(new Set([status]));
    }
    expect(simulator.overlaps).toEqual([]);
  });

  it('run the shared call outside of the context of the request that started it', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const context = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const app = express();
    app.use((_req, _res, next) => context.run('request', next), aam);
    app.get('/', (_req, res) => res.end());
    // undici parses the body in socket callbacks, in whatever async context they run.
    jest.spyOn(JSON, 'parse').mockImplementationOnce((text) => {
      seen.push(context.getStore());
      return new Function(`return ${text}`)();
    });
    await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(seen).toEqual([undefined]);
  });
});

describe('the wait of a request', () => {
  it('is not exceeded when the DCS hangs: the page is served without segments', async () => {
    const { view, simulator } = await createSite({ maxWaitMs: 50, dcs: { timeoutMs: 60_000 } });
    simulator.fault({ kind: 'hang' });
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'pending', ids: [] });
    await simulator.received(1);
  });

  it('is zero for maxWaitMs: 0; the answer serves the next view', async () => {
    const { view, simulator, aam } = await createSite({ maxWaitMs: 0 });
    simulator.visitor(ECID).in(GOLF);
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'pending' });
    await aam.lookup({ ecid: ECID });
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(simulator.requests).toHaveLength(1);
  });

  it('is counted per request: one gives up, another that shares the call gets the answer', async () => {
    await using dcs = await dcsServer(() => {});
    const { aam } = await createSite({
      maxWaitMs: 30,
      dcs: { origins: {}, defaultOrigin: dcs.origin.origin, timeoutMs: 60_000 },
    });
    const app = express();
    app.use(aam);
    app.get('/', (req, res) => res.json(req.aamSegments));
    const patient = aam.lookup({ ecid: ECID, region: 9 }, { maxWaitMs: 60_000 });
    const { body } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(body.status).toBe('unknown');
    await dcs.received(1);
    dcs.answer(http());
    expect((await patient).names).toEqual(['golfFans']);
    const next = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(next.body).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(dcs.heads).toHaveLength(1);
  });

  it('ends when the client disconnects, in the async context of the request', async () => {
    const { aam, simulator } = await createSite({ maxWaitMs: 60_000, dcs: { timeoutMs: 60_000 } });
    simulator.fault({ kind: 'hang' });
    const context = new AsyncLocalStorage<string>();
    const app = express();
    app.use((_req, _res, next) => context.run('request', next), aam);
    const gone = new Promise<unknown>((resolve) => {
      app.get('/', (req) => resolve([req.aamSegments.reason, context.getStore()]));
    });
    const server = app.listen(0);
    const { port } = server.address() as AddressInfo;
    const client = httpRequest({ port, headers: { cookie: cookieOf(ECID) } });
    client.on('error', () => {});
    client.end();
    await simulator.received(1);
    client.destroy();
    expect(await gone).toEqual(['pending', 'request']);
    server.close();
  });
});

describe('a client that has disconnected before', () => {
  it('is not waited for; the answer is cached', async () => {
    const { aam, view, simulator } = await createSite({ maxWaitMs: 60_000 });
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use((_req, res, next) => {
      res.destroy();
      next();
    }, aam);
    const reason = new Promise<unknown>((resolve) => {
      app.get('/', (req) => resolve(req.aamSegments.reason));
    });
    await expect(request(app).get('/').set('Cookie', cookieOf(ECID))).rejects.toThrow();
    expect(await reason).toBe('pending');
    await aam.lookup({ ecid: ECID });
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(simulator.requests).toHaveLength(1);
  });
});

import { createServer } from 'node:http';
import cookieParser from 'cookie-parser';
import express from 'express';
import fc from 'fast-check';
import request from 'supertest';
import { dcsServer } from './dcs/dcs-server';
import { deadOrigin } from './helpers/dead-origin';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, ORG } from './helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('a page view', () => {
  it('calls the DCS of the region in the cookie, and serves its segments', async () => {
    const { view, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF, 7);
    expect(await view()).toEqual({
      status: 'fresh',
      ids: expect.arrayContaining([String(GOLF), '7']),
      names: ['golfFans'],
      ageMs: 0,
      region: 9,
      destinations: {},
    });
    expect(simulator.requests).toMatchObject([
      { region: 9, host: 'acme.demdex.net', params: { d_mid: ECID, d_rtbd: 'json', d_jsonv: '1', d_cts: '2' } },
    ]);
  });

  it.each([3, 4, 6, 7, 8, 9, 11, 12])('calls region %d', async (region) => {
    const { view, simulator } = await createSite();
    expect(await view(cookieOf(ECID, region))).toMatchObject({ status: 'fresh', region });
    expect(simulator.requests).toMatchObject([{ region, host: 'acme.demdex.net' }]);
  });

  it.each([null, 5])('calls the alias for region %p', async (region) => {
    const { view, simulator } = await createSite();
    await view(cookieOf(ECID, region));
    expect(simulator.requests).toMatchObject([{ region: 'alias', host: 'acme.demdex.net' }]);
  });

  it('of a known visitor makes no call', async () => {
    const { view, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    await view();
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'], ageMs: expect.any(Number) });
    expect(await view(cookieOf(ECID, 6))).toMatchObject({ status: 'cached' });
    expect(simulator.requests).toHaveLength(1);
  });

  it.each([
    ['without cookies', 'theme=dark', 'anonymous', 'no-id'],
    ['with an invalid id', cookieOf('12345'), 'anonymous', 'bad-id'],
    ['of a visitor who opted out', cookieOf(ECID, 9, 'global'), 'excluded', 'opted-out'],
    ['with MCMID=NONE', cookieOf('NONE'), 'excluded', 'opted-out'],
  ])('%s makes no call', async (_title, cookie, status, reason) => {
    const { view, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    expect(await view(cookie)).toMatchObject({ status, reason, ids: [], names: [] });
    expect(simulator.requests).toHaveLength(0);
  });

  it('of a visitor who opts out does not show the cached answer, and removes it', async () => {
    const { view, simulator, aam } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    await view();
    expect(await view(cookieOf(ECID, 9, 'global'))).toMatchObject({ status: 'excluded', ids: [] });
    expect(simulator.requests).toHaveLength(1);
    expect(aam.stats().visitors).toBe(0);
  });

  it('works with req.cookies when there is no Cookie header', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use(cookieParser(), (req, _res, next) => {
      delete req.headers.cookie;
      next();
    });
    app.use(aam);
    app.get('/', (req, res) => res.json(req.aamSegments));
    const { body } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(body).toEqual({ status: 'fresh', ids: [String(GOLF)], names: ['golfFans'] });
  });

  it('has the same object in res.locals', async () => {
    const { app, view } = await createSite();
    app.get('/locals', (req, res) => res.json({ same: res.locals.aamSegments === req.aamSegments }));
    expect(await view(cookieOf(ECID), '/locals')).toEqual({ same: true });
  });

  it('works without Express', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const server = createServer((req, res) =>
      aam(req, res, () => res.end(JSON.stringify((req as { aamSegments?: object }).aamSegments))),
    );
    const { body } = await request(server)
      .get('/')
      .set('Cookie', cookieOf(ECID))
      .buffer()
      .parse((res, done) => {
        res.on('data', (data) => done(null, JSON.parse(String(data))));
      });
    expect(body).toMatchObject({ status: 'fresh', names: ['golfFans'] });
  });
});

describe('a Cookie header of arbitrary bytes', () => {
  it('never makes the middleware throw, and never reaches the DCS as an id that is not 38 digits', async () => {
    const { aam, simulator } = await createSite({ maxWaitMs: 0, simulator: { denylistAfter: false } });
    const piece = fc.oneof(
      fc.constantFrom(
        ...cookieOf(ECID).split('%7C'),
        `AMCV_${ORG}=`,
        's_ecid=',
        'MCMID',
        '%7C',
        '|',
        ';',
        '%',
        '&',
        '#',
        '\r\n',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.stringMatching(/^\d{37,39}$/),
    );
    const header = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    let calls = 0;
    fc.assert(
      fc.property(header, fc.boolean(), (text, isId) => {
        const cookie = isId ? `AMCV_${ORG}=MCMID|${text}` : text;
        const next = jest.fn();
        const req = { headers: { cookie } } as { headers: object; aamSegments?: { status: string } };
        aam(req as never, {} as never, next);
        expect(next.mock.calls).toEqual([[]]);
        if (req.aamSegments?.status === 'unknown') calls++;
      }),
      { numRuns: 2_000, examples: [['2'.repeat(38), true]] },
    );
    expect(calls).toBeGreaterThan(0);
    while (aam.stats().inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(simulator.requests.length).toBeGreaterThan(0);
    for (const { params, path } of simulator.requests) {
      expect(params.d_mid).toMatch(/^\d{38}$/);
      expect(path).toBe('/event');
    }
  });
});

describe('an organisation id of an unusual form', () => {
  it('is warned about', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await createSite({ orgId: '1FD6776A524453CC0A490D4' });
    expect(warned.mock.calls).toEqual([
      [expect.stringContaining('24 hexadecimal digits'), expect.objectContaining({ code: 'WRN_AAM_ORG_ID' })],
    ]);
  });
});

describe('the option skip', () => {
  it('excludes a request', async () => {
    const { view, simulator } = await createSite({ skip: (req) => req.path === '/' });
    expect(await view()).toMatchObject({ status: 'excluded', reason: 'skipped', ids: [] });
    expect(simulator.requests).toHaveLength(0);
  });

  it('excludes a request when it throws, and warns once without the message', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const skip = () => {
      throw new TypeError(`secret ${ECID}`);
    };
    const { view, simulator } = await createSite({ skip });
    expect(await view()).toMatchObject({ status: 'excluded', reason: 'skipped' });
    expect(await view()).toMatchObject({ status: 'excluded', reason: 'skipped' });
    expect(simulator.requests).toHaveLength(0);
    expect(warned.mock.calls).toEqual([
      ['options.skip threw: TypeError', expect.objectContaining({ code: 'WRN_AAM_SKIP_THREW' })],
    ]);
  });
});

describe('a failing DCS', () => {
  it.each([
    ['network', { kind: 'reset' }],
    ['http-status', { kind: 'status', status: 503 }],
    ['rate-limited', { kind: 'status', status: 429 }],
    ['bad-reply', { kind: 'malformed' }],
  ] as const)(
    'leaves a new visitor unknown (%s), and gets no further call during the cooldown',
    async (reason, fault) => {
      const { view, simulator } = await createSite({ maxWaitMs: 5_000 });
      simulator.fault(fault);
      expect(await view()).toMatchObject({ status: 'unknown', reason, ids: [] });
      expect(await view()).toMatchObject({ status: 'unknown', reason });
      expect(simulator.requests).toHaveLength(1);
    },
  );

  it('that cannot be reached does not break the site', async () => {
    await using dead = await deadOrigin();
    const { view } = await createSite({ maxWaitMs: 5_000, dcs: { origins: {}, defaultOrigin: dead.url } });
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'network' });
  });

  it('that takes longer than timeoutMs leaves the visitor unknown (timeout)', async () => {
    await using hanging = await dcsServer(() => {});
    const dcs = { origins: {}, defaultOrigin: hanging.origin.origin, timeoutMs: 20 };
    const { view } = await createSite({ maxWaitMs: 5_000, dcs });
    expect(await view()).toMatchObject({ status: 'unknown', reason: 'timeout' });
  });
});

describe('a request', () => {
  it('is served once, however often the instance is mounted', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const seen = new Set<unknown>();
    const app = express();
    const look: express.RequestHandler = (req, _res, next) => {
      seen.add(req.aamSegments);
      next();
    };
    app.use(aam, look, aam, look, express.Router().use(aam, look));
    app.get('/', (_req, res) => res.end());
    await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(seen.size).toBe(1);
    expect(aam.stats().requests).toMatchObject({ fresh: 1, cached: 0 });
  });

  it('has the answer of the last of several instances, each with its own cache', async () => {
    const one = await createSite();
    const other = await createSite({ orgId: '999999999999999999999999' });
    one.simulator.visitor(ECID).in(GOLF);
    other.simulator.visitor(ECID).in(HIGH_VALUE);
    const cookie = `${cookieOf(ECID)}; AMCV_999999999999999999999999%40AdobeOrg=MCMID|${ECID}`;
    const names: unknown[] = [];
    const app = express();
    const look: express.RequestHandler = (req, res, next) => {
      names.push([req.aamSegments.names, res.locals.aamSegments.names]);
      next();
    };
    app.use(one.aam, look, other.aam, look, one.aam, look);
    app.get('/', (_req, res) => res.end());
    await request(app).get('/').set('Cookie', cookie);
    const [golf, high] = [['golfFans'], ['highValue']];
    expect(names).toEqual([
      [golf, golf],
      [high, high],
      [golf, golf],
    ]);
    expect([one.simulator.requests.length, other.simulator.requests.length]).toEqual([1, 1]);
  });

  it.each([
    ['an object like ours', { status: 'fresh', hasAny: () => true, names: ['highValue'] }],
    ['null', null],
    ['a string', 'golfFans'],
    ['a proxy', new Proxy({}, {})],
  ])('that already has another aamSegments (%s) gets the visitor’s own segments', async (_name, other) => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use((req, _res, next) => {
      Object.assign(req, { aamSegments: other });
      next();
    });
    app.use(aam, aam);
    app.get('/', aam.requireSegment('golfFans'), (req, res) => void res.json(req.aamSegments.names));
    await request(app).get('/').set('Cookie', cookieOf(ECID)).expect(200, ['golfFans']);
    expect(aam.stats().requests).toMatchObject({ fresh: 1, cached: 0 });
  });

  it('gets the visitor’s own segments also after another copy of the package', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    let copy: typeof import('express-aam-segments') | undefined;
    jest.isolateModules(() => {
      copy = require('express-aam-segments');
    });
    const others = copy?.aamSegments({ orgId: ORG, partner: 'acme', skip: () => true, dcs: simulator.dcs });
    const statuses: string[] = [];
    const app = express();
    const look: express.RequestHandler = (req, _res, next) => {
      statuses.push(req.aamSegments.status);
      next();
    };
    app.use(others as express.RequestHandler, look, aam, look);
    app.get('/', aam.requireSegment('golfFans'), (_req, res) => res.end());
    await request(app).get('/').set('Cookie', cookieOf(ECID)).expect(200);
    expect(statuses).toEqual(['excluded', 'fresh']);
    await others?.close();
  });

  it('is served synchronously when the visitor is cached', async () => {
    const { aam, view } = await createSite();
    await view();
    const next = jest.fn();
    const req = { headers: { cookie: cookieOf(ECID) } } as never;
    aam(req, { locals: {} } as never, next);
    expect(next.mock.calls).toEqual([[]]);
    expect((req as { aamSegments: { status: string } }).aamSegments.status).toBe('cached');
  });
});

describe('close()', () => {
  it('stops holding requests, and serves from the cache afterwards', async () => {
    const { view, aam, simulator } = await createSite({ maxWaitMs: 60_000, dcs: { timeoutMs: 60_000 } });
    simulator.visitor(ECID).in(GOLF);
    await view();
    simulator.fault({ kind: 'hang' });
    const cold = ECID.replace(/^2/, '3');
    const waiting = view(cookieOf(cold));
    await simulator.received(2);
    await aam.close();
    await aam.close();
    expect(await waiting).toMatchObject({ status: 'unknown', reason: 'closed' });
    expect(await view(cookieOf(cold))).toMatchObject({ status: 'unknown', reason: 'closed' });
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
  });
});

describe('stats()', () => {
  it('counts requests by status, visitors and calls, and shows the state of each origin', async () => {
    const { view, aam, simulator } = await createSite();
    await view();
    await view();
    await view('theme=dark');
    await view(cookieOf(ECID.replace(/^2/, '3'), 9, 'global'));
    expect(aam.stats()).toEqual({
      requests: { fresh: 1, cached: 1, stale: 0, unknown: 0, anonymous: 1, excluded: 1, preview: 0 },
      visitors: 1,
      calls: 1,
      inFlight: 0,
      events: { queued: 0, sent: 0, failed: 0, dropped: 0 },
      origins: { [simulator.dcs.origins[9] as string]: { breaker: 'closed', running: 0, queued: 0, pausedForMs: 0 } },
      advice: [],
    });
  });
});

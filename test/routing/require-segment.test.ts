import express, { type Express, type RequestHandler, Router } from 'express';
import { requireSegment } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, type Site } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const guard = () => requireSegment('golfFans');
const secret: RequestHandler = (_req, res) => void res.send('guarded page');
const denied: express.ErrorRequestHandler = (error, _req, res, _next) => void res.status(500).send(error.code);

/** Where a guard can stand: builds it into an app that has the middleware, at /secret. */
const PLACES: Record<string, (app: Express, guard: RequestHandler) => void> = {
  'app.use': (app, guard) => app.use(guard, secret),
  'app.use with a path': (app, guard) => app.use('/secret', guard, secret),
  'app.use of an array': (app, guard) => app.use('/secret', [guard, secret]),
  'app.use of a nested array': (app, guard) => app.use([[guard], [secret]] as never),
  'router.use': (app, guard) => app.use(Router().use(guard, secret)),
  'router.use before a route': (app, guard) => app.use(Router().use(guard).get('/secret', secret)),
  'router.use of a router in a router': (app, guard) => app.use(Router().use('/secret', Router().use(guard, secret))),
  'the use of a sub-app': (app, guard) => app.use('/secret', express().use(guard, secret)),
  'the use of a router inside a route': (app, guard) => app.get('/secret', Router().use(guard, secret)),
  'app.get': (app, guard) => app.get('/secret', guard, secret),
  'app.get of an array': (app, guard) => app.get('/secret', [guard, secret]),
  'app.all': (app, guard) => app.all('/secret', guard, secret),
  'a route of several methods': (app, guard) => app.route('/secret').all(guard).post(secret).get(secret),
  'a route of a sub-app': (app, guard) => app.use('/secret', express().get('/', guard, secret)),
  'a route of a router in a router': (app, guard) => app.use(Router().use('/secret', Router().get('/', guard, secret))),
};

async function siteWith(build: (app: Express, site: Site) => void, options: Parameters<typeof createSite>[0] = {}) {
  const site = await createSite({ maxWaitMs: 5_000, ...options });
  const app = express();
  app.use(site.aam);
  build(app, site);
  app.use(denied);
  const get = (cookie = cookieOf(ECID)) => request(app).get('/secret').set('Cookie', cookie);
  return { ...site, app, get };
}

describe.each(Object.entries(PLACES))('a guard in %s', (place, build) => {
  it('lets visitors in the segment through, known and unknown to the cache', async () => {
    const { get, simulator } = await siteWith((app) => build(app, guard()));
    simulator.visitor(ECID).in(GOLF);
    expect([(await get()).text, (await get()).text]).toEqual(['guarded page', 'guarded page']);
  });

  it('refuses everybody else, whatever their status', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { get, simulator, aam } = await siteWith((app) => build(app, guard()));
    const ecid = (n: number) => `${ECID.slice(0, -2)}${10 + n}`;
    simulator.visitor(ecid(0)).in(7);
    for (const [n, code] of [
      [1, 171],
      [2, 306],
      [3, 198],
      [4, 101],
      [5, 0],
    ] as const)
      simulator.visitor(ecid(n)).in(GOLF).fails(code);
    simulator.fault({ kind: 'status', status: 503 }, { visitor: ecid(6) });
    const cookies = [
      '',
      cookieOf('12345'),
      cookieOf(ECID, 9, 'global'),
      ...[0, 0, 1, 2, 3, 4, 5, 6].map((n) => cookieOf(ecid(n))),
    ];
    for (const cookie of cookies) {
      const { status, text } = await get(cookie);
      expect([place, status, text.includes('guarded page')]).toEqual([place, expect.any(Number), false]);
      // In a route: nothing else matches. Elsewhere: an error that says so.
      if (status === 500) expect(text).toBe('ERR_AAM_GUARD_OUTSIDE_ROUTE');
      else expect(status).toBe(404);
    }
    expect(aam.stats().requests).toEqual({ fresh: 1, cached: 1, stale: 0, unknown: 2, anonymous: 2, excluded: 5 });
  });

  it('refuses a visitor whose answer is late', async () => {
    const { get, simulator } = await siteWith((app) => build(app, guard()), { maxWaitMs: 0 });
    simulator.visitor(ECID).in(GOLF);
    expect((await get()).text).not.toContain('guarded page');
  });

  it('refuses with an error where the middleware did not run', async () => {
    const app = express();
    build(app, guard());
    app.use(denied);
    const { status, text } = await request(app).get('/secret');
    expect([status, text]).toEqual([500, 'ERR_AAM_MIDDLEWARE_MISSING']);
  });
});

describe('a refusal', () => {
  it('inside a route goes on with the next route, also when there is an alternative for elsewhere', async () => {
    const { get } = await siteWith((app) => {
      app.get('/secret', requireSegment('golfFans', { otherwise: 403 }), secret);
      app.get('/secret', (_req, res) => void res.send('join'));
    });
    expect((await get()).text).toBe('join');
  });

  it('elsewhere is answered by a status, privately', async () => {
    const { get } = await siteWith((app) => app.use(requireSegment('golfFans', { otherwise: 403 }), secret));
    const { status, text, headers } = await get();
    expect([status, text, headers['cache-control']]).toEqual([403, 'Forbidden', 'private']);
  });

  it('elsewhere is answered by a redirect, privately', async () => {
    const { get } = await siteWith((app) =>
      app.use(requireSegment('golfFans', { otherwise: '/join?from=secret' }), secret),
    );
    const { status, headers } = await get();
    expect([status, headers.location, headers['cache-control']]).toEqual([302, '/join?from=secret', 'private']);
  });

  it('leaves a Cache-Control that is there already', async () => {
    const { get } = await siteWith((app) => {
      app.use((_req, res, next) => {
        res.set('Cache-Control', 'no-store');
        next();
      });
      app.use(requireSegment('golfFans', { otherwise: 404 }), secret);
    });
    expect((await get()).headers['cache-control']).toBe('no-store');
  });

  it('elsewhere is answered by a handler, which is the site’s own decision', async () => {
    const otherwise: RequestHandler = (req, res, next) => (req.query.pass ? next() : void res.send('handled'));
    const { get, app } = await siteWith((app) => app.use(requireSegment('golfFans', { otherwise }), secret));
    expect((await get()).text).toBe('handled');
    expect((await request(app).get('/secret?pass=1')).text).toBe('guarded page');
  });
});

describe('a guard that might be taken for one in a route', () => {
  it.each<[string, (app: Express) => void]>([
    ['by a route that matched before', (app) => app.get('/secret', (_req, _res, next) => next()).use(guard(), secret)],
    [
      'since it stands in a route that was left by its own refusal',
      (app) => {
        const shared = guard();
        app.get('/secret', shared, secret).use('/secret', shared, secret);
      },
    ],
    [
      'since it stands in a route that was left before it was reached',
      (app) => {
        const shared = guard();
        app.get('/secret', (_req, _res, next) => next('route'), shared, secret).use('/secret', shared, secret);
      },
    ],
    [
      'since it stands in a route of another method',
      (app) => {
        const shared = guard();
        app
          .route('/secret')
          .get((_req, _res, next) => next())
          .post(shared, secret);
        app.use(shared, secret);
      },
    ],
    [
      'since it stands in a route that was left, and something wraps its next',
      (app) => {
        const shared = guard();
        app.get('/secret', shared, secret);
        app.use((req, res, next) => shared(req, res, (error) => next(error)), secret);
      },
    ],
    [
      'by a tracing tool that wraps handlers and their next',
      (app) => {
        const shared = guard();
        const traced = Object.assign<RequestHandler, object>(
          (req, res, next) => shared(req, res, (error) => next(error)),
          shared,
        );
        app.get('/secret', shared, secret).use('/secret', traced, secret);
      },
    ],
    ['called from another function', (app) => app.use((req, res, next) => guard()(req, res, next), secret)],
    [
      'called from another function in a route',
      (app) => app.get('/secret', (req, res, next) => guard()(req, res, (error) => next(error)), secret),
    ],
    [
      'after an asynchronous handler',
      (app) =>
        app
          .get('/secret', (_req, _res, next) => void setImmediate(next))
          .use((_req, _res, next) => void setImmediate(next), guard(), secret),
    ],
  ])('%s still refuses', async (_title, build) => {
    const { get } = await siteWith(build);
    const { status, text } = await get();
    expect([status, text]).toEqual([500, 'ERR_AAM_GUARD_OUTSIDE_ROUTE']);
  });

  it('in a route is recognised when a tracing tool has wrapped it', async () => {
    const { get } = await siteWith((app) => {
      const own = guard();
      const traced = Object.assign<RequestHandler, object>(
        (req, res, next) => own(req, res, (error) => next(error)),
        own,
      );
      app.get('/secret', traced, secret);
      app.get('/secret', (_req, res) => void res.send('join'));
    });
    expect((await get()).text).toBe('join');
  });
});

describe('requireSegment()', () => {
  it('takes one segment or several, any of them by default', async () => {
    const { get, simulator } = await siteWith((app) => {
      app.get('/secret', requireSegment(['golfFans', 'highValue'], { match: 'all' }), secret);
      app.get('/secret', requireSegment([984263, { value: 'x' }]), (_req, res) => void res.send('any'));
    });
    simulator.visitor(ECID).in(GOLF);
    expect((await get()).text).toBe('any');
  });

  it('exists as a method of the instance', async () => {
    const { get, simulator } = await siteWith((app, { aam }) =>
      app.get('/secret', aam.requireSegment('golfFans'), secret),
    );
    simulator.visitor(ECID).in(GOLF);
    expect((await get()).text).toBe('guarded page');
  });

  it('refuses with an error for a name that is not configured; in production with a warning, once', async () => {
    const { get } = await siteWith((app) => app.get('/secret', requireSegment('golfFan'), secret));
    expect((await get()).text).toBe('ERR_AAM_UNKNOWN_SEGMENT');
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    expect([(await get()).status, (await get()).status]).toEqual([404, 404]);
    expect(warned).toHaveBeenCalledTimes(1);
  });

  it.each([
    [[]],
    [''],
    [Number.NaN],
    [-1],
    [1.5],
    [{ value: '' }],
    [{}],
    [null],
    [undefined],
    [['golfFans', null]],
    [Symbol('x')],
  ])('refuses %p as what is required', (refs) => {
    expect(() => requireSegment(refs as never)).toThrow(expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' }));
  });

  it.each([
    [{ match: 'every' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: 200 }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: 403.5 }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: '' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: '/a\r\nb' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: true }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwize: 403 }, 'ERR_AAM_UNKNOWN_OPTION'],
    [null, 'ERR_AAM_INVALID_OPTION'],
  ])('refuses the options %j', (options, code) => {
    expect(() => requireSegment('golfFans', options as never)).toThrow(expect.objectContaining({ code }));
  });
});

import express, { type Express, type RequestHandler } from 'express';
import { type RequireSegmentOptions, requireSegment } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, type Site } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const VIP = ECID.replace(/^2/, '3');
const secret: RequestHandler = (_req, res) => void res.send('guarded page');
const denied: express.ErrorRequestHandler = (error, _req, res, _next) =>
  void res.status(error.status ?? 500).send(error.code);

async function siteWith(build: (app: Express, site: Site) => void, options: Parameters<typeof createSite>[0] = {}) {
  const site = await createSite({ maxWaitMs: 5_000, ...options });
  const app = express();
  app.use(site.aam);
  build(app, site);
  app.use(denied);
  const get = (cookie = cookieOf(ECID)) => request(app).get('/secret').set('Cookie', cookie);
  return { ...site, app, get };
}

describe('a refusal', () => {
  it('is an error with status 403, and the response is private', async () => {
    const { get } = await siteWith((app) => app.get('/secret', requireSegment('golfFans'), secret));
    const { status, text, headers } = await get();
    expect([status, text, headers['cache-control']]).toEqual([403, 'ERR_AAM_SEGMENT_REQUIRED', 'private']);
  });

  it('is answered with 403 by Express itself', async () => {
    const { aam } = await createSite();
    const app = express().set('env', 'test').use(aam, requireSegment('golfFans'));
    const { status, text } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect([status, text]).toEqual([
      403,
      expect.stringContaining('The visitor is not in a required segment (status: '),
    ]);
  });

  it('never goes on to the next route', async () => {
    const { get } = await siteWith((app) => {
      app.get('/secret', requireSegment('golfFans', { otherwise: 403 }), secret);
      app.get('/secret', (_req, res) => void res.send('join'));
    });
    expect((await get()).text).toBe('Forbidden');
  });

  it('is answered with a status, and the response is private', async () => {
    const { get } = await siteWith((app) => app.use(requireSegment('golfFans', { otherwise: 451 }), secret));
    const { status, text, headers } = await get();
    expect([status, text, headers['cache-control']]).toEqual([451, 'Unavailable For Legal Reasons', 'private']);
  });

  it('is answered with a redirect, and the response is private', async () => {
    const { get } = await siteWith((app) =>
      app.get('/secret', requireSegment('golfFans', { otherwise: '/join?from=secret' }), secret),
    );
    const { status, headers } = await get();
    expect([status, headers.location, headers['cache-control']]).toEqual([302, '/join?from=secret', 'private']);
  });

  it('keeps an existing Cache-Control of no-store', async () => {
    const { get } = await siteWith((app) => {
      app.use((_req, res, next) => {
        res.set('Cache-Control', 'no-store');
        next();
      });
      app.use(requireSegment('golfFans', { otherwise: 404 }), secret);
    });
    expect((await get()).headers['cache-control']).toBe('no-store');
  });

  it('is answered by a handler, which may also let the visitor in', async () => {
    const otherwise: RequestHandler = (req, res, next) => (req.query.pass ? next() : void res.send('handled'));
    const { get, app } = await siteWith((app) => app.get('/secret', requireSegment('golfFans', { otherwise }), secret));
    expect((await get()).text).toBe('handled');
    expect((await request(app).get('/secret?pass=1')).text).toBe('guarded page');
  });

  it('can be passed to the next route by a handler', async () => {
    const otherwise: RequestHandler = (_req, _res, next) => next('route');
    const { get, simulator } = await siteWith((app) => {
      app.get('/secret', requireSegment('golfFans', { otherwise }), secret);
      app.get('/secret', (_req, res) => void res.send('join'));
    });
    expect((await get()).text).toBe('join');
    simulator.visitor(VIP).in(GOLF);
    expect((await get(cookieOf(VIP))).text).toBe('guarded page');
  });

  it('is an error if the response has already been sent', async () => {
    const errors: unknown[] = [];
    const { get } = await siteWith((app) => {
      app.use((_req, res, next) => {
        res.send('sent');
        next();
      });
      app.use(requireSegment('golfFans', { otherwise: 403 }), secret);
      app.use(((error, _req, _res, _next) => errors.push(error.code)) as express.ErrorRequestHandler);
    });
    expect((await get()).text).toBe('sent');
    expect(errors).toEqual(['ERR_HTTP_HEADERS_SENT']);
  });
});

describe('requireSegment()', () => {
  it.each<[string, [refs: unknown, options?: RequireSegmentOptions], number[], boolean]>([
    ['a name', ['golfFans'], [GOLF], true],
    ['an id', [GOLF], [GOLF], true],
    ['an id as a string', [`00${GOLF}`], [GOLF], true],
    ['a value that is in no destination', [{ value: String(GOLF) }], [GOLF], false],
    ['any of two', [['highValue', GOLF]], [GOLF], true],
    ['any of two, being in none', [['highValue', 7]], [GOLF], false],
    ['any, given explicitly', [['highValue', GOLF], { match: 'any' }], [GOLF], true],
    ['all of two', [['golfFans', HIGH_VALUE], { match: 'all' }], [HIGH_VALUE, GOLF], true],
    ['all of two, being in one', [['golfFans', 'highValue'], { match: 'all' }], [GOLF], false],
    ['all of one', ['golfFans', { match: 'all' }], [GOLF], true],
  ])('takes %s', async (_title, [refs, options], segments, isIn) => {
    const { get, simulator } = await siteWith((app) =>
      app.get('/secret', requireSegment(refs as never, options), secret),
    );
    simulator.visitor(ECID).in(...segments);
    expect((await get()).status).toBe(isIn ? 200 : 403);
  });

  describe.each([
    ['any', 'golfFan'],
    ['any', ['golfFans', 'golfFan']],
    ['all', ['golfFans', 'golfFan']],
  ] as const)('for %s of the names %p, one of them not configured,', (match, names) => {
    const build = (app: Express) => app.get('/secret', requireSegment(names as never, { match }), secret);

    it('fails for every visitor', async () => {
      const { get, simulator } = await siteWith(build);
      simulator.visitor(ECID).in(GOLF);
      expect([(await get()).text, (await get('')).text]).toEqual([
        'ERR_AAM_UNKNOWN_SEGMENT',
        'ERR_AAM_UNKNOWN_SEGMENT',
      ]);
    });

    it('treats that one as a segment without visitors in production, with one warning', async () => {
      const { get, simulator } = await siteWith(build);
      simulator.visitor(ECID).in(GOLF);
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
      jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
      const expected = match === 'any' && names.includes('golfFans') ? 200 : 403;
      expect([(await get()).status, (await get()).status]).toEqual([expected, expected]);
      expect(warned.mock.calls).toEqual([
        [expect.stringContaining('"golfFan"'), expect.objectContaining({ code: 'WRN_AAM_UNKNOWN_SEGMENT' })],
      ]);
    });
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
    [new Array(1)],
    [[['golfFans']]],
    [Symbol('x')],
    [10n],
    [{ value: 10n }],
    [() => 'golfFans'],
  ])('refuses %p as the required segments', (refs) => {
    expect(() => requireSegment(refs as never)).toThrow(expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' }));
  });

  it.each([
    [{ match: 'every' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: 200 }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: 403.5 }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: '' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: '/a\r\nb' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: true }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwise: denied }, 'ERR_AAM_INVALID_OPTION'],
    [{ match: null }, 'ERR_AAM_INVALID_OPTION'],
    [{ match: 'All' }, 'ERR_AAM_INVALID_OPTION'],
    [{ otherwize: 403 }, 'ERR_AAM_UNKNOWN_OPTION'],
    [null, 'ERR_AAM_INVALID_OPTION'],
  ])('refuses the options %p', (options, code) => {
    expect(() => requireSegment('golfFans', options as never)).toThrow(expect.objectContaining({ code }));
  });
});

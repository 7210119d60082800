import express, { type Express, type RequestHandler, Router } from 'express';
import { routeBySegment } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const page =
  (text: string): RequestHandler =>
  (_req, res) =>
    void res.send(text);
const failing: express.ErrorRequestHandler = (error, _req, res, _next) =>
  void res.status(500).send(error.code ?? error.message);

/** The text that a visitor in these segments gets. */
async function pageOf(segments: number[], build: (app: Express) => void): Promise<string> {
  const { aam, simulator } = await createSite({ maxWaitMs: 5_000 });
  simulator.visitor(ECID).in(...segments);
  const app = express();
  app.use(aam);
  build(app);
  app.use(failing);
  const { text, status } = await request(app).get('/').set('Cookie', cookieOf(ECID));
  return status === 404 ? 'not found' : text;
}

describe('routeBySegment()', () => {
  const routes = { golfFans: page('golf'), highValue: page('vip'), default: page('plain') };

  it.each<[number[], string]>([
    [[GOLF], 'golf'],
    [[HIGH_VALUE], 'vip'],
    [[HIGH_VALUE, GOLF], 'golf'],
    [[7], 'plain'],
  ])('gives a visitor in %p the page %p', async (segments, text) => {
    expect(await pageOf(segments, (app) => app.get('/', routeBySegment(routes)))).toBe(text);
  });

  it('takes the first match in the given order, and the default last, wherever it stands', async () => {
    const turned = { default: page('plain'), highValue: page('vip'), golfFans: page('golf') };
    expect(await pageOf([GOLF, HIGH_VALUE], (app) => app.get('/', routeBySegment(turned)))).toBe('vip');
    expect(await pageOf([7], (app) => app.get('/', routeBySegment(turned)))).toBe('plain');
  });

  it('takes ids in a list of pairs, in their order', async () => {
    const list = routeBySegment([
      ['default', page('plain')],
      [HIGH_VALUE, page('vip')],
      [`${GOLF}`, page('golf')],
      [{ value: 'x' }, page('x')],
    ]);
    expect(await pageOf([GOLF, HIGH_VALUE], (app) => app.get('/', list))).toBe('vip');
    expect(await pageOf([GOLF], (app) => app.get('/', list))).toBe('golf');
    expect(await pageOf([], (app) => app.get('/', list))).toBe('plain');
  });
});

describe('without a match and a default', () => {
  const routes = () => routeBySegment({ golfFans: page('golf') });

  it('leaves a route', async () => {
    const build = (app: Express) => app.get('/', routes(), page('never')).get('/', page('next'));
    expect(await pageOf([7], build)).toBe('next');
  });

  it('runs the next handlers outside of a route', async () => {
    expect(await pageOf([7], (app) => app.use(routes(), page('on')))).toBe('on');
    expect(await pageOf([7], (app) => app.use(Router().use(routes(), page('on'))))).toBe('on');
  });
});

describe('several handlers of one segment', () => {
  const inSequence = (...handlers: RequestHandler[]) =>
    pageOf([GOLF], (app) => app.get('/', routeBySegment({ golfFans: handlers }), page('after')));
  const pass: RequestHandler = (_req, _res, next) => next();
  const later: RequestHandler = (_req, _res, next) => void setImmediate(next);

  it('run one after the other', async () => {
    expect(await inSequence(pass, later, page('last'))).toBe('last');
    expect(
      await pageOf([GOLF], (app) =>
        app.get('/', routeBySegment({ golfFans: [[pass], [later, page('nested')]] as never })),
      ),
    ).toBe('nested');
  });

  it('are followed by the handlers behind the router if all of them call next()', async () => {
    expect(await inSequence(pass, later, pass)).toBe('after');
  });

  it('can leave the route, or fail', async () => {
    expect(await inSequence(pass, (_req, _res, next) => next('route'), page('never'))).toBe('not found');
    expect(await inSequence(pass, (_req, _res, next) => next(new Error('failed')), page('never'))).toBe('failed');
  });
});

describe('mistakes', () => {
  it('are passed on as errors: no middleware, a name that is not configured', async () => {
    const app = express().use(routeBySegment({ golfFans: page('golf') }), failing);
    expect((await request(app).get('/')).text).toBe('ERR_AAM_MIDDLEWARE_MISSING');
    const misspelt = (app: Express) =>
      app.get('/', routeBySegment({ golfFans: page('golf'), golfFan: page('golf') } as never));
    expect(await pageOf([GOLF], misspelt)).toBe('ERR_AAM_UNKNOWN_SEGMENT');
  });

  it.each<[string, unknown]>([
    ['digits as a key', { 984263: page('x') }],
    ['no routes', {}],
    ['an empty list', []],
    ['nothing', undefined],
    ['a pair without a handler', [['golfFans']]],
    ['null as a segment', [[null, page('x')]]],
    ['NaN as an id', [[Number.NaN, page('x')]]],
    ['a negative id', [[-1, page('x')]]],
    ['an empty value', [[{ value: '' }, page('x')]]],
    ['a value that is not a string', [[{ value: 10n }, page('x')]]],
    ['a symbol', [[Symbol('x'), page('x')]]],
    ['an empty name', { '': page('x') }],
    ['digits with zeros as a key', { '007': page('x') }],
    [
      'a segment twice',
      [
        [GOLF, page('x')],
        [GOLF, page('y')],
      ],
    ],
    ['a string as a handler', { golfFans: 'page' }],
    ['no handler', { golfFans: [] }],
    ['an error handler', { golfFans: failing }],
    ['null among handlers', { golfFans: [page('x'), null] }],
  ])('are refused at construction: %s', (_title, routes) => {
    expect(() => routeBySegment(routes as never)).toThrow(expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' }));
  });
});

import { channel } from 'node:diagnostics_channel';
import express from 'express';
import { type AamSegmentsOptions, aamSegments, type Exposure, type ExposureMessage } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, ORG } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const HALVES = { control: 50, links: 50 };
const ALL_LINKS = { control: 0, links: 1 };
type Options = Partial<AamSegmentsOptions<'golfFans' | 'highValue'>>;

/** A site whose page is the variant of the experiment. `/look` only looks at it. */
async function siteWith(experiment: object, options: Options = {}) {
  const exposures: Exposure[] = [];
  const onExposure = (exposure: Exposure) => exposures.push(exposure);
  const { aam, simulator } = await createSite({ experiments: { onExposure }, ...options });
  const hero = aam.experiment({ name: 'hero', variants: ALL_LINKS, ...experiment });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => void res.send(hero.variantOf(req)));
  app.get('/look', (req, res) => void res.json(hero.assignmentOf(req)));
  app.get(
    '/routed',
    hero.route({
      control: (_req, res) => void res.send('plain'),
      links: [(_q, _s, next) => next(), (_q, res) => void res.send('with links')],
    }),
  );
  const visit = (path = '/', cookie = cookieOf(ECID), headers = {}) =>
    request(app).get(path).set('Cookie', cookie).set(headers);
  return { aam, app, simulator, hero, exposures, visit };
}

const other = (n: number) => cookieOf(String(n).padStart(38, '1'));
const EXPOSED = { experiment: 'hero', variant: 'links', reason: 'assigned' };

describe('the variant of a request', () => {
  it('is the same for variantOf(), route() and another process, and makes the response private', async () => {
    const { visit, aam } = await siteWith({});
    const page = await visit();
    expect([page.text, page.headers['cache-control']]).toEqual(['links', 'private']);
    expect((await visit('/routed')).text).toBe('with links');
    const again = await siteWith({ variants: HALVES });
    const texts = async (site: typeof again) =>
      Promise.all([1, 2, 3, 4, 5, 6].map(async (n) => (await site.visit('/', other(n))).text));
    const first = await texts(again);
    expect(await texts(await siteWith({ variants: HALVES }))).toEqual(first);
    expect(new Set(first)).toEqual(new Set(['control', 'links']));
    expect(aam.stats().requests.excluded).toBe(0);
  });

  it.each<[string, number[], object, string]>([
    ['in the segment', [GOLF], { audience: 'golfFans' }, 'assigned'],
    ['not in it', [HIGH_VALUE], { audience: 'golfFans' }, 'not-in-audience'],
    ['in one of any', [HIGH_VALUE], { audience: { any: ['golfFans', 985264] } }, 'assigned'],
    ['in one of all', [HIGH_VALUE], { audience: { all: ['golfFans', 985264] } }, 'not-in-audience'],
    ['held out', [GOLF], { holdout: { name: 'global', percent: 100 } }, 'holdout'],
  ])('of a visitor %s', async (_who, segments, experiment, reason) => {
    const { visit, simulator } = await siteWith(experiment);
    simulator.visitor(ECID).in(...segments);
    const variant = reason === 'assigned' ? 'links' : 'control';
    expect((await visit('/look')).body).toEqual({ variant, reason, isExposed: false });
    expect((await visit()).text).toBe(variant);
  });

  it.each<[string, string, object]>([
    ['opted out', cookieOf(ECID, 9, 'global'), {}],
    ['a robot', cookieOf(ECID), { 'User-Agent': 'Googlebot/2.1' }],
    ['refusing by GPC', cookieOf(ECID), { 'Sec-GPC': '1' }],
  ])('of who is %s is the control, private and without an exposure', async (_who, cookie, headers) => {
    const { visit, exposures } = await siteWith({});
    const page = await visit('/', cookie, headers);
    expect([page.text, page.headers['cache-control']]).toEqual(['control', 'private']);
    expect((await visit('/look', cookie, headers)).body.reason).toBe('excluded');
    expect(exposures).toEqual([]);
  });

  it('of who has no id is the control', async () => {
    const { visit, hero, exposures } = await siteWith({});
    expect((await visit('/', 'theme=dark')).text).toBe('control');
    expect([hero.stats()['no-unit'], exposures]).toEqual([1, []]);
  });

  it('follows the authenticated customer id, on every device', async () => {
    const customerIds: NonNullable<AamSegmentsOptions['identity']>['customerIds'] = (req) => [
      { id: 'not this', dataSourceId: 1, authState: 'logged-out' },
      {
        id: String(req.headers['x-user']),
        dataSourceId: 2,
        authState: req.headers['x-user'] ? 'authenticated' : 'unknown',
      },
    ];
    const { visit } = await siteWith({ unit: 'customer', variants: HALVES }, { identity: { customerIds } });
    const textsOf = (user: number) =>
      Promise.all([1, 2, 3].map(async (n) => (await visit('/', other(n), { 'X-User': `crm-${user}` })).text));
    const users = await Promise.all([1, 2, 3, 4, 5, 6].map(textsOf));
    expect(users.every((texts) => new Set(texts).size === 1)).toBe(true);
    expect(new Set(users.flat())).toEqual(new Set(['control', 'links']));
    expect((await visit('/look')).body).toMatchObject({ variant: 'control', reason: 'no-unit' });
    const ofFans = await siteWith({ unit: 'customer', audience: 'golfFans' }, { identity: { customerIds } });
    expect((await ofFans.visit('/look')).body.reason).toBe('no-unit');
    expect((await ofFans.visit('/look', cookieOf(ECID), { 'X-User': 'crm-1' })).body.reason).toBe('not-in-audience');
  });
});

describe('within one request', () => {
  it('a variant counts once, however often it is asked for, also where the middleware is mounted twice', async () => {
    const { aam, hero, exposures } = await siteWith({});
    const other = aamSegments({ orgId: `A${ORG.slice(1)}`, partner: 'other', maxWaitMs: 0 });
    const app = express();
    app.use(aam, (req, _res, next) => next(hero.variantOf(req) === 'links' ? undefined : 'no variant'));
    app.use(other, aam);
    app.get('/', (req, res) => void res.send(hero.variantOf(req) + hero.assignmentOf(req).variant));
    const { text } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    await other.close();
    expect([text, hero.stats().assigned, exposures]).toEqual(['linkslinks', 1, [EXPOSED]]);
  });

  it('a variant is that of the segments, also where the site has put them there itself', async () => {
    const { aam, hero, simulator } = await siteWith({ audience: 'golfFans' });
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use(aam, async (req, res) => {
      Object.assign(req, { aamSegments: await aam.lookup({ ecid: ECID }) });
      res.json([hero.variantOf(req), hero.assignmentOf(req).isExposed]);
    });
    const { body } = await request(app).get('/').set('Cookie', 'theme=dark');
    expect(body).toEqual(['links', true]);
  });

  it('it stays what it was, whatever becomes of the segments', async () => {
    const { aam, hero, simulator } = await siteWith({ audience: 'golfFans' });
    const app = express();
    app.use(aam, async (req, res) => {
      const before = hero.variantOf(req);
      simulator.visitor(ECID).in(GOLF);
      const aamSegments = await aam.sendEvent(req, { c_page: 'offer' });
      Object.assign(req, { aamSegments });
      res.json([before, aamSegments.has('golfFans'), hero.assignmentOf(req)]);
    });
    const { body } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(body).toEqual(['control', true, { variant: 'control', reason: 'not-in-audience', isExposed: false }]);
  });
});

describe('exposures', () => {
  it('are told once per unit, on the channel too, and not for looking', async () => {
    const { visit, exposures, aam, hero } = await siteWith({});
    const messages: unknown[] = [];
    const listen = (message: unknown) => void messages.push(message);
    channel('express-aam-segments:exposure').subscribe(listen);
    await visit('/look');
    expect(exposures).toEqual([]);
    await visit();
    await visit('/routed');
    await visit('/', other(2));
    channel('express-aam-segments:exposure').unsubscribe(listen);
    expect(exposures).toEqual([EXPOSED, EXPOSED]);
    expect(messages).toEqual([EXPOSED, EXPOSED].map((each) => ({ ...each, instance: aam }) as ExposureMessage));
    expect((await visit('/look')).body.isExposed).toBe(true);
    expect(hero.stats().assigned).toBe(3);
  });

  it('are not made by a prefetch', async () => {
    const { visit, exposures } = await siteWith({});
    await visit();
    expect(exposures).toEqual([EXPOSED]);
    expect((await visit('/', other(3), { 'Sec-Purpose': 'prefetch' })).text).toBe('control');
    // Known, so that the prefetch is answered from memory and gets the variant.
    await visit('/look', other(4));
    expect((await visit('/', other(4), { 'Sec-Purpose': 'prefetch' })).text).toBe('links');
    expect(exposures).toEqual([EXPOSED]);
  });

  it('come on the second view, if the segments were late on the first', async () => {
    const { visit, exposures, simulator, hero, aam } = await siteWith({ audience: 'golfFans' }, { maxWaitMs: 0 });
    simulator.visitor(ECID).in(GOLF);
    expect((await visit()).text).toBe('control');
    expect([hero.stats().unknown, exposures]).toEqual([1, []]);
    await aam.lookup({ ecid: ECID, region: 9 }, { maxWaitMs: 5_000 });
    expect((await visit()).text).toBe('links');
    expect(exposures).toEqual([EXPOSED]);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('analytics are down');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('analytics are down');
      },
    ],
  ])('do not harm the page if onExposure %s', async (_how, onExposure) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { visit } = await siteWith({}, { experiments: { onExposure } });
    expect((await visit()).text).toBe('links');
    await visit('/', other(2));
    expect(warned.mock.calls).toEqual([
      ['options.experiments.onExposure threw: Error', expect.objectContaining({ code: 'WRN_AAM_ON_EXPOSURE_THREW' })],
    ]);
  });
});

describe('a mistake in an experiment throws when it is defined', () => {
  const aam = aamSegments({ orgId: ORG, partner: 'acme', segments: { golfFans: GOLF } });
  const define = (options: object) => aam.experiment(options as never);
  afterAll(() => aam.close());

  it.each<[object, string]>([
    [{ name: 'x', variants: { only: 1 } }, 'at least two variants'],
    [{ name: 'x', variants: { 1: 1, 2: 1 } }, 'more than digits'],
    [{ name: 'x', variants: { a: 0, b: 0 } }, 'at least one weight above 0'],
    [{ name: 'x', variants: { a: -1, b: 1 } }, 'experiment.variants.a must be a number of at least 0'],
    [{ name: 'x', variants: { a: Number.NaN, b: 1 } }, 'experiment.variants.a'],
    [{ name: 'x\ny', variants: HALVES }, 'experiment.name must be'],
    [{ name: 'x', salt: '', variants: HALVES }, 'experiment.salt must be'],
    [{ name: 'x', variants: HALVES, unit: 'session' }, 'experiment.unit must be'],
    [{ name: 'x', variants: HALVES, audience: { any: [] } }, 'at least one segment'],
    [{ name: 'x', variants: HALVES, audience: { any: [1], all: [1] } }, '{ any } or { all }'],
    [{ name: 'x', variants: HALVES, audience: 'golffans' }, 'unknown segment name "golffans"'],
    [{ name: 'x', variants: HALVES, holdout: { name: 'h', percent: 101 } }, 'from 0 to 100'],
    [{ name: 'x', variants: HALVES, audiance: 'golfFans' }, "did you mean 'audience'?"],
  ])('%j', (options, message) => {
    expect(() => define(options)).toThrow(message);
  });

  it('in production too, for a segment that does not exist', () => {
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const code = 'ERR_AAM_UNKNOWN_SEGMENT';
    expect(() => define({ name: 'x', variants: HALVES, audience: 'golffans' })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it('for a second use of a name, and for a holdout with another share or unit', () => {
    const holdout = { name: 'global', percent: 10 };
    define({ name: 'first', variants: HALVES, holdout });
    expect(() => define({ name: 'first', variants: HALVES })).toThrow('defined once');
    expect(() => define({ name: 'b', variants: HALVES, holdout: { ...holdout, percent: 5 } })).toThrow(
      '10, as elsewhere',
    );
    expect(() => define({ name: 'b', variants: HALVES, holdout, unit: 'customer' })).toThrow("'visitor', as elsewhere");
    expect(() => define({ name: 'b', variants: HALVES, holdout })).not.toThrow();
  });

  it('for a variant without a handler, and a handler without a variant', () => {
    const routed = aam.experiment({ name: 'routed', variants: HALVES });
    const page = () => {};
    expect(() => routed.route({ control: page } as never)).toThrow('handlers.links must be a request handler');
    expect(() => routed.route({ control: page, links: page, link: page } as never)).toThrow('for control, links only');
  });

  it('and one in the mounting is passed on or thrown', async () => {
    const lost = aam.experiment({ name: 'lost', variants: HALVES });
    expect(() => lost.variantOf({} as never)).toThrow('has not run for any request so far');
    const errors: unknown[] = [];
    const page = () => {};
    await lost.route({ control: page, links: page })({} as never, {} as never, (error?: unknown) => errors.push(error));
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_AAM_MIDDLEWARE_MISSING' })]);
  });
});

import express from 'express';
import {
  type AamSegmentsOptions,
  aamBootstrap,
  aamSegments,
  type BootstrapData,
  type BootstrapOptions,
  type Exposure,
} from 'express-aam-segments';
import { segmentsStub } from 'express-aam-segments/testing';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { previewSite } from '../preview/preview-site';
import { bootstrapIn } from './elements';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

type Options = Partial<AamSegmentsOptions<'golfFans' | 'highValue'>>;

/** A site whose page is its bootstrap. The visitor {@link ECID} is in both segments. */
async function siteWith(options: Options = {}) {
  const exposures: Exposure[] = [];
  const { aam, simulator } = await createSite({
    experiments: { onExposure: (exposure) => exposures.push(exposure) },
    ...options,
  });
  simulator.visitor(ECID).in(GOLF, HIGH_VALUE);
  const hero = aam.experiment({ name: 'hero', variants: { control: 0, links: 1 } });
  const golf = aam.experiment({ name: 'golf', variants: { control: 0, links: 1 }, audience: 'golfFans' });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => void res.send(aamBootstrap(req, { only: ['golfFans'] })));
  app.get('/nothing', (req, res) => void res.send(aamBootstrap(req, { only: [] })));
  app.get('/variants', (req, res) => {
    res.send(aamBootstrap(req, { only: ['highValue', 'golfFans'], variants: [hero, golf], nonce: 'bm9uY2U=' }));
  });
  const get = async (path = '/', cookie = cookieOf(ECID), headers = {}) => {
    const { text, headers: received } = await request(app).get(path).set('Cookie', cookie).set(headers);
    return { text, data: bootstrapIn(text), cacheControl: received['cache-control'] };
  };
  return { get, exposures, hero };
}

describe('the bootstrap of a page', () => {
  it('tells the segments that are listed, no others, and no id', async () => {
    const { get } = await siteWith();
    expect((await get()).text).toBe(
      '<script type="application/json" id="aam-segments">{"isKnown":true,"segments":{"golfFans":true},"variants":{}}</script>',
    );
    const { text } = await get('/variants');
    for (const id of [ECID, String(GOLF), String(HIGH_VALUE)]) expect(text).not.toContain(id);
  });

  it('tells who is not in a segment apart from who is not known', async () => {
    const { get } = await siteWith();
    const notIn: BootstrapData<'golfFans'> = { isKnown: true, segments: { golfFans: false }, variants: {} };
    const nobody = { ...notIn, isKnown: false };
    expect((await get('/', cookieOf(`1${ECID.slice(1)}`))).data).toEqual(notIn);
    expect((await get('/', 'theme=dark')).data).toEqual(nobody);
    expect((await get('/', cookieOf(ECID, 9, 'global'))).data).toEqual(nobody);
    expect((await get('/', cookieOf(ECID), { 'User-Agent': 'Googlebot/2.1' })).data).toEqual(nobody);
    expect((await (await siteWith({ maxWaitMs: 0 })).get()).data).toEqual(nobody);
  });

  it.each(['/', '/nothing', '/variants'])('makes the response private, for everybody: %s', async (path) => {
    const { get } = await siteWith();
    expect((await get(path)).cacheControl).toBe('private');
    expect((await get(path, 'theme=dark')).cacheControl).toBe('private');
  });

  it('tells the variants with their reasons, which uses them: that is an exposure', async () => {
    const { get, exposures, hero } = await siteWith();
    const { text, data } = await get('/variants');
    expect(text).toContain(' nonce="bm9uY2U=">');
    expect(data).toEqual({
      isKnown: true,
      segments: { highValue: true, golfFans: true },
      variants: {
        hero: { variant: 'links', reason: 'assigned' },
        golf: { variant: 'links', reason: 'assigned' },
      },
    });
    await get('/variants');
    expect(exposures.map(({ experiment }) => experiment)).toEqual(['hero', 'golf']);
    expect(hero.stats().assigned).toBe(2);
  });

  it('tells the control of who takes part in nothing, without an exposure', async () => {
    const { get, exposures } = await siteWith({ maxWaitMs: 0 });
    const late = await get('/variants', cookieOf(`1${ECID.slice(1)}`));
    expect(late.data).toMatchObject({ variants: { golf: { variant: 'control', reason: 'unknown' } } });
    expect(exposures.map(({ experiment }) => experiment)).toEqual(['hero']);
    const refusing = await get('/variants', cookieOf(ECID), { 'Sec-GPC': '1' });
    const excluded = { variant: 'control', reason: 'excluded' };
    expect(refusing.data).toMatchObject({ variants: { hero: excluded, golf: excluded } });
    expect(exposures).toHaveLength(1);
  });

  it('tells what a preview shows, without an exposure', async () => {
    const exposures: unknown[] = [];
    const { begin, open, simulator } = await previewSite(
      { experiments: { onExposure: (exposure) => exposures.push(exposure) } },
      (app, { aam }) => {
        const hero = aam.experiment({ name: 'hero', variants: { control: 1, links: 0 } });
        const bootstrap = (req: express.Request) => aamBootstrap(req, { only: ['golfFans'], variants: [hero] });
        app.get('/page', (req, res) => void res.json(bootstrapIn(bootstrap(req))));
      },
    );
    const cookie = await begin({ segments: ['golfFans'], variants: { hero: 'links' } });
    const { body } = await open('http://127.0.0.1/page', cookie);
    expect(body).toEqual({
      isKnown: true,
      segments: { golfFans: true },
      variants: { hero: { variant: 'links', reason: 'preview' } },
    });
    expect([exposures, simulator.requests]).toEqual([[], []]);
  });

  it('works in a unit test of a handler', () => {
    const req = { aamSegments: segmentsStub({ names: ['golfFans'] }) } as express.Request;
    const hero = {
      name: 'hero',
      variantOf: () => 'links',
      assignmentOf: () => ({ variant: 'links', reason: 'assigned' as const, isExposed: true }),
    };
    expect(bootstrapIn(aamBootstrap(req, { only: ['golfFans', 'highValue'], variants: [hero] }))).toEqual({
      isKnown: true,
      segments: { golfFans: true, highValue: false },
      variants: { hero: { variant: 'links', reason: 'assigned' } },
    });
  });
});

describe('a mistake in a bootstrap throws, for every visitor', () => {
  const aam = aamSegments({ orgId: ORG, partner: 'acme', segments: { golfFans: GOLF } });
  const hero = aam.experiment({ name: 'hero', variants: { control: 1, links: 1 } });
  const elsewhere = { ...hero };
  afterAll(() => aam.close());

  /** A request of somebody of whom nothing is known. */
  const served = () =>
    new Promise<express.Request>((resolve) => {
      const req = { headers: {} };
      const res = { locals: {}, once() {}, removeListener() {} };
      aam(req as never, res as never, () => resolve(req as express.Request));
    });

  it.each<[object | undefined, string]>([
    [undefined, 'bootstrap must be an object'],
    [{}, 'bootstrap.only must be a list of configured names'],
    [{ only: 'golfFans' }, 'bootstrap.only must be a list of configured names'],
    [{ only: ['golffans'] }, 'unknown segment name "golffans"'],
    [{ only: [GOLF] }, 'bootstrap.only must be a list of configured names'],
    [{ only: [String(GOLF)] }, 'bootstrap.only must be a list of configured names'],
    [{ only: [{}] }, 'bootstrap.only must be a list of configured names'],
    [{ only: [''] }, 'bootstrap.only must be a list of configured names'],
    [{ only: [], variants: [null] }, 'bootstrap.variants must be a list of experiments'],
    [{ only: [], variants: [{ name: 'hero' }] }, 'bootstrap.variants must be a list of experiments'],
    [{ only: [], variants: [() => 'links'] }, 'bootstrap.variants must be a list of experiments'],
    [{ only: [], nonce: ['bm9uY2U='] }, 'bootstrap.nonce must be a nonce in base64'],
    [{ only: [], variants: hero }, 'bootstrap.variants must be a list of experiments'],
    [{ only: [], variants: ['hero'] }, 'bootstrap.variants must be a list of experiments'],
    [{ only: [], variants: [hero, elsewhere] }, 'bootstrap.variants must be given once by name, got "hero"'],
    [{ only: [], nonce: '' }, 'bootstrap.nonce must be a nonce in base64'],
    [{ only: [], nonce: '"><script>' }, 'bootstrap.nonce must be a nonce in base64'],
    [{ only: [], nonce: 'bm9uY2U=\n' }, 'bootstrap.nonce must be a nonce in base64'],
    [{ only: [], nonce: "'nonce-bm9uY2U='" }, 'bootstrap.nonce must be a nonce in base64'],
    [{ only: [], once: 'x' }, "bootstrap.once is not an option; did you mean 'nonce'?"],
  ])('%j', async (options, message) => {
    const req = await served();
    expect(() => aamBootstrap(req, options as BootstrapOptions)).toThrow(message);
  });

  it('but a name that is not configured only warns in production, and nobody is in it', async () => {
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const html = aamBootstrap(await served(), { only: ['high-value'] as never });
    expect(bootstrapIn(html)).toEqual({ isKnown: false, segments: { 'high-value': false }, variants: {} });
    expect(warned.mock.calls).toEqual([
      [
        expect.stringContaining('unknown segment name "high-value"'),
        expect.objectContaining({ code: 'WRN_AAM_UNKNOWN_SEGMENT' }),
      ],
    ]);
  });

  it('and so does a request that the middleware has not served', () => {
    expect(() => aamBootstrap({ headers: {} } as express.Request, { only: [] })).toThrow(
      expect.objectContaining({ code: 'ERR_AAM_MIDDLEWARE_MISSING' }),
    );
  });
});

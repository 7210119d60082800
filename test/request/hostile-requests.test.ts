import type { Request, Response } from 'express';
import express from 'express';
import fc from 'fast-check';
import request from 'supertest';
import { CookieFinder } from '../../src/request/cookie-header';
import { headerText } from '../../src/request/header-text';
import { hostile, revoked, throwing } from '../helpers/hostile';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const NO_CONSENT = { status: 'excluded', reason: 'no-consent' };

/** A site before whose middleware other code changes the request. */
async function siteBehind(change: (req: Request) => void, options: Parameters<typeof createSite>[0] = {}) {
  const site = await createSite(options);
  site.simulator.visitor(ECID).in(GOLF);
  const app = express();
  app.use((req, _res, next) => {
    change(req);
    next();
  });
  app.use(site.app);
  return {
    ...site,
    view: async (path = '/') => {
      const { status, body } = await request(app).get(path).set('Cookie', cookieOf(ECID));
      return { code: status, ...body };
    },
  };
}

const set = (name: string, value: unknown) => (req: Request) => {
  (req.headers as Record<string, unknown>)[name] = value;
};

describe('headers that are not text', () => {
  it.each<[string, unknown, object]>([
    ['sec-gpc', ['1'], NO_CONSENT],
    ['sec-gpc', ['0', '1'], NO_CONSENT],
    ['sec-gpc', 1, NO_CONSENT],
    ['sec-gpc', true, NO_CONSENT],
    ['sec-gpc', {}, NO_CONSENT],
    ['sec-gpc', revoked([]), NO_CONSENT],
    ['sec-gpc', 0, { status: 'fresh' }],
    ['sec-gpc', ['0'], { status: 'fresh' }],
    ['sec-gpc', null, { status: 'fresh' }],
    ['user-agent', ['Googlebot/2.1'], { status: 'excluded', reason: 'bot' }],
    ['user-agent', {}, { status: 'excluded', reason: 'bot' }],
    ['user-agent', 7, { status: 'excluded', reason: 'bot' }],
    ['user-agent', null, { status: 'fresh' }],
    ['sec-purpose', ['prefetch', 'prerender'], { status: 'excluded', reason: 'skipped' }],
    ['sec-purpose', Object.create(null), { status: 'excluded', reason: 'skipped' }],
    ['purpose', revoked(), { status: 'excluded', reason: 'skipped' }],
    ['x-moz', [], { status: 'fresh' }],
    ['purpose', null, { status: 'fresh' }],
    ['cookie', [cookieOf(ECID)], { status: 'fresh', names: ['golfFans'] }],
    ['cookie', [cookieOf(ECID), 'euconsent-v2=refused'], NO_CONSENT],
    ['cookie', cookieOf(ECID).split('; '), { status: 'fresh' }],
    ['cookie', [cookieOf(ECID), {}], NO_CONSENT],
    ['cookie', { AMCV: 1 }, NO_CONSENT],
    ['cookie', 7, { status: 'anonymous', reason: 'no-id' }],
    ['cookie', null, { status: 'anonymous', reason: 'no-id' }],
  ])('%s (case %#)', async (name, value, expected) => {
    const { view, simulator } = await siteBehind(set(name, value));
    expect(await view()).toMatchObject({ code: 200, ...expected });
    expect(simulator.requests).toHaveLength('status' in expected && expected.status === 'fresh' ? 1 : 0);
  });

  it('a cookie header that nobody can read is a refusal for a visitor whom the site knows', async () => {
    const { view } = await siteBehind(set('cookie', {}), { identity: { resolve: () => ({ ecid: ECID }) } });
    expect(await view()).toMatchObject(NO_CONSENT);
  });

  it.each([
    ['a list', ['/']],
    ['a number', 7],
    ['null', null],
    ['an object', {}],
  ])('a URL that is %s hands nobody over', async (_what, url) => {
    const change = (req: Request) => {
      req.headers.cookie = '';
      (req as { originalUrl: unknown }).originalUrl = url;
    };
    const { view } = await siteBehind(change, { identity: { adobeMc: true } });
    expect(await view()).toMatchObject({ code: 200, status: 'anonymous' });
  });

  it.each<[string, unknown, object]>([
    ['a refusal that was parsed', { 'adobeujs-optin': { aam: false } }, NO_CONSENT],
    ['a list with a refusal', { 'euconsent-v2': ['refused'] }, NO_CONSENT],
    ['a lone surrogate', { 'euconsent-v2': '\ud800' }, NO_CONSENT],
    ['a getter that throws', throwing({}), NO_CONSENT],
    ['a revoked proxy', revoked(), NO_CONSENT],
    ['no object', 'x', NO_CONSENT],
    ['a list', ['euconsent-v2=refused'], NO_CONSENT],
    ['nothing', null, { status: 'fresh' }],
  ])('req.cookies with %s', async (_what, cookies, expected) => {
    const change = (req: Request) => {
      delete req.headers.cookie;
      req.cookies = cookies as Record<string, unknown>;
    };
    const { view } = await siteBehind(change, { identity: { resolve: () => ({ ecid: ECID }) } });
    expect(await view()).toMatchObject({ code: 200, ...expected });
  });

  it('whatever they are, no page fails', async () => {
    let current: () => unknown = () => undefined;
    const names = ['cookie', 'user-agent', 'sec-gpc', 'sec-purpose', 'purpose', 'x-moz'];
    const { view } = await siteBehind((req) => {
      for (const name of names) set(name, current())(req);
      Object.assign(req, { cookies: current(), originalUrl: current() });
    });
    const anything = fc.anything({ withNullPrototype: true, withBigInt: true }).map((value) => () => value);
    await fc.assert(
      fc.asyncProperty(fc.oneof(anything, hostile({}, ['a']), hostile(['a'], ['0'])), async (make) => {
        current = make;
        expect(await view()).toMatchObject({ code: 200 });
      }),
      { numRuns: 60 },
    );
  });
});

describe('requests that are not whole', () => {
  const bang = () => {
    throw new Error('bang');
  };
  const header = (name: string) => new Proxy({}, { get: (_, key) => (key === name ? bang() : undefined) });

  it.each<[string, PropertyDescriptor, object]>([
    ['no headers', { value: undefined }, { status: 'fresh' }],
    ['null for headers', { value: null }, { status: 'fresh' }],
    ['text for headers', { value: 'cookie: x' }, { status: 'fresh' }],
    ['headers that throw', { get: bang }, NO_CONSENT],
    ['a revoked proxy for headers', { value: revoked() }, NO_CONSENT],
    ['a Cookie header that throws', { value: header('cookie') }, NO_CONSENT],
    ['a Sec-GPC header that throws', { value: header('sec-gpc') }, NO_CONSENT],
    ['a User-Agent that throws', { value: header('user-agent') }, NO_CONSENT],
    ['a Sec-Purpose header that throws', { value: header('sec-purpose') }, { status: 'excluded', reason: 'skipped' }],
  ])('%s', async (_what, headers, expected) => {
    const { aam, simulator } = await createSite({ identity: { resolve: () => ({ ecid: ECID }) } });
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.get('/', (_req, res) => {
      const fake = Object.defineProperty({ url: '/' }, 'headers', headers) as Request;
      aam(fake, res, () => res.json({ status: fake.aamSegments.status, reason: fake.aamSegments.reason }));
    });
    const { status, body } = await request(app).get('/');
    expect([status, body]).toEqual([200, expect.objectContaining(expected)]);
    expect(simulator.requests).toHaveLength(body.status === 'fresh' ? 1 : 0);
  });

  it('a URL that throws when it is looked at is a refusal where it would be read', async () => {
    const { aam, simulator } = await createSite({ identity: { adobeMc: true } });
    const app = express();
    app.get('/', (_req, res) => {
      const fake = Object.defineProperty({ headers: { 'sec-gpc': '1' } }, 'originalUrl', {
        get: bang,
      }) as unknown as Request;
      aam(fake, res, () => res.json(fake.aamSegments));
    });
    expect((await request(app).get('/')).body).toMatchObject({ status: 'excluded' });
    expect(simulator.requests).toEqual([]);
  });

  it('req.cookies that throw when they are looked at are a refusal', async () => {
    const change = (req: Request) => {
      delete req.headers.cookie;
      Object.defineProperty(req, 'cookies', { get: bang });
    };
    const { view } = await siteBehind(change, { identity: { resolve: () => ({ ecid: ECID }) } });
    expect(await view()).toMatchObject({ code: 200, ...NO_CONSENT });
  });
});

describe('requests and responses that other code wraps', () => {
  it.each<[string, (req: Request, res: Response) => [Request, Response]]>([
    ['the request', (req, res) => [Object.create(req), res]],
    ['the response', (req, res) => [req, Object.create(res)]],
    ['both', (req, res) => [Object.create(req), Object.create(res)]],
    ['res.locals, by null', (req, res) => [req, Object.assign(res, { locals: null })]],
  ])('%s', async (_what, wrapped) => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.get('/', (req, res) => {
      const [ownReq, ownRes] = wrapped(req, res);
      aam(ownReq, ownRes, () => res.json({ names: ownReq.aamSegments.names }));
    });
    const response = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(response.body).toEqual({ names: ['golfFans'] });
  });
});

describe('headerText', () => {
  it('reads text and lists, and never throws', () => {
    expect([undefined, null, '', 'a', 1, ['a', 1], []].map((value) => headerText(value, 'x'))).toEqual([
      undefined,
      undefined,
      '',
      'a',
      '1',
      'a, 1',
      '',
    ]);
    fc.assert(fc.property(hostile({}, ['a']), (make) => expect(headerText(make(), 'x')).toBe('x')));
  });
});

describe('a cookie that is repeated', () => {
  const finder = () => {
    const cookies = new CookieFinder();
    return { cookies, slot: cookies.register('s_ecid') };
  };
  const values = (times: number) => {
    const { cookies, slot } = finder();
    return cookies.find('s_ecid=;'.repeat(times), undefined)[slot]?.length;
  };

  it('is kept as often as browsers repeat one, however long the header is', () => {
    expect(values(10)).toBe(10);
    expect(values(1_000)).toBe(values(100));
    expect(values(100)).toBeLessThan(50);
  });

  it('more often than that counts as a refusal, since one may be among those not read', async () => {
    const site = await createSite();
    site.simulator.visitor(ECID).in(GOLF);
    for (const name of ['euconsent-v2', 's_ecid', 'adobeujs-optin']) {
      const flood = `${name}=; `.repeat(300);
      for (const cookie of [`${flood}${cookieOf(ECID)}`, `${cookieOf(ECID)}; ${flood}`]) {
        expect(await site.view(cookie)).toMatchObject({ ...NO_CONSENT, names: [] });
      }
    }
    expect(site.simulator.requests).toHaveLength(0);
  });

  it('may be one that is not Adobe’s', async () => {
    const site = await createSite();
    expect(await site.view(`${'theme=dark; '.repeat(300)}${cookieOf(ECID)}`)).toMatchObject({ status: 'fresh' });
  });

  it('keeps an opt-out, wherever it is', () => {
    const { cookies, slot } = finder();
    fc.assert(
      fc.property(fc.nat(400), fc.nat(400), (before, after) => {
        const header = `${'s_ecid=a; '.repeat(before)}s_ecid=NO; ${'s_ecid=a; '.repeat(after)}`;
        const found = cookies.find(header, undefined);
        const texts = found[slot]?.map(({ text, start, end }) => text.slice(start, end));
        expect(cookies.isIncomplete(found) || texts?.includes('NO')).toBe(true);
      }),
    );
  });
});

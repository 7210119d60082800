import type { IncomingMessage } from 'node:http';
import connect from 'connect';
import express from 'express';
import { type AamSegmentsOptions, aamSegments, type Exposure } from 'express-aam-segments';
import request, { type Response } from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, ORG } from '../helpers/site';
import { INTERFERENCES, WAYS } from '../request/response-table';
import {
  BARE_EXPRESS,
  closeServed,
  type Handler,
  HTTP2,
  isApplicable,
  serve,
  WITH_EXPRESS,
} from '../request/served-site';

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServed();
  await closeSites();
});

const SECRET = 'a secret for tests, 32 characters or more';
const HALVES = { control: 50, links: 50 };
const DAY_MS = 86_400_000;
const COOKIE = /^aam_unit=1\.[\w-]+\.[\w-]{43}; Path=\/; Max-Age=15552000; HttpOnly; SameSite=Lax$/;

type Options = Partial<AamSegmentsOptions<'golfFans' | 'highValue'>>;
type Sticky = NonNullable<NonNullable<AamSegmentsOptions['experiments']>['stickyCookie']>;

/** A site with two experiments for everybody and one for golf fans. */
async function stickySite(options: Options = {}, sticky: Partial<Sticky> = {}) {
  const exposures: Exposure[] = [];
  const { aam, simulator } = await createSite({
    experiments: { stickyCookie: { secret: SECRET, ...sticky }, onExposure: (exposure) => exposures.push(exposure) },
    ...options,
  });
  const hero = aam.experiment({ name: 'hero', variants: HALVES });
  const price = aam.experiment({ name: 'price', variants: HALVES });
  const golf = aam.experiment({ name: 'golf', variants: HALVES, audience: 'golfFans' });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => {
    res.append('Set-Cookie', 'theme=dark');
    res.json([hero.variantOf(req), price.variantOf(req)]);
  });
  app.get('/look', (req, res) => void res.json(hero.assignmentOf(req)));
  app.get('/golf', (req, res) => void res.json(golf.assignmentOf(req)));
  app.get('/none', (req, res) => void res.json(req.aamSegments.has('golfFans')));
  const visit = (path = '/', cookie = '', headers = {}) => request(app).get(path).set('Cookie', cookie).set(headers);
  return { aam, app, simulator, exposures, visit };
}

const setBy = ({ headers }: Response) => (headers['set-cookie'] ?? []) as unknown as string[];
const unitCookies = (response: Response) => setBy(response).filter((each) => each.startsWith('aam_unit='));
const unitCookie = (response: Response) => (unitCookies(response)[0] as string).split(';')[0] as string;

describe('a visitor without an id', () => {
  it('gets a cookie once, beside those of others, and keeps the variants in every process', async () => {
    const { visit, exposures } = await stickySite();
    const first = await visit();
    expect(setBy(first)).toEqual(['theme=dark', expect.stringMatching(COOKIE)]);
    expect(first.headers['cache-control']).toBe('private');
    const cookie = unitCookie(first);
    const again = await stickySite();
    for (const site of [{ visit }, again]) {
      const next = await site.visit('/', cookie);
      expect([next.body, unitCookies(next)]).toEqual([first.body, []]);
    }
    expect(exposures.map(({ experiment, reason }) => [experiment, reason])).toEqual([
      ['hero', 'assigned'],
      ['price', 'assigned'],
    ]);
  });

  it('is drawn by the cookie: all variants occur', async () => {
    const { visit } = await stickySite();
    const pages = await Promise.all(Array.from({ length: 24 }, () => visit()));
    expect(new Set(pages.map(({ body }) => String(body))).size).toBe(4);
    expect(new Set(pages.map(unitCookie)).size).toBe(24);
  });

  it('has the same variants after the ECID has arrived, and an ECID of another browser does not move them', async () => {
    const { visit } = await stickySite();
    for (let n = 0; n < 8; n++) {
      const first = await visit();
      const withEcid = await visit('/', `${unitCookie(first)}; ${cookieOf(String(n).padStart(38, '1'))}`);
      expect([withEcid.body, unitCookies(withEcid)]).toEqual([first.body, []]);
    }
  });

  it('is still drawn by the ECID where there is an audience, in which only those with an id can be', async () => {
    const { visit, simulator } = await stickySite();
    const cookie = unitCookie(await visit());
    const variants = new Set<string>();
    for (let n = 0; n < 8; n++) {
      const ecid = String(n).padStart(38, '1');
      simulator.visitor(ecid).in(GOLF);
      const page = await visit('/golf', `${cookie}; ${cookieOf(ecid)}`);
      expect((await visit('/golf', cookieOf(ecid))).body).toEqual(page.body);
      expect(unitCookies(page)).toEqual([]);
      variants.add(page.body.variant);
    }
    expect(variants.size).toBe(2);
  });

  it('gets none where no experiment is used, and none for one with an audience', async () => {
    const { visit } = await stickySite();
    for (const path of ['/none', '/golf', '/missing']) expect(setBy(await visit(path))).toEqual([]);
    // To look at a variant is to need the unit.
    expect(unitCookies(await visit('/look'))).toHaveLength(1);
  });
});

describe('no cookie is set', () => {
  it.each<[string, string, object, Options]>([
    ['opted out', cookieOf(ECID, 9, 'global'), {}, {}],
    ['a robot', '', { 'User-Agent': 'Googlebot/2.1' }, {}],
    ['refusing by GPC', '', { 'Sec-GPC': '1' }, {}],
    ['refusing in a US Privacy string', 'usprivacy=1YYN', {}, {}],
    ['not agreeing where consent is required', '', {}, { consent: { required: true } }],
    ['refusing as the site knows', '', {}, { consent: { given: async () => false } }],
    ['skipped', '', {}, { skip: () => true }],
  ])('for who is %s', async (_who, cookie, headers, options) => {
    const { visit, exposures } = await stickySite(options);
    const page = await visit('/', cookie, headers);
    expect([page.body, unitCookies(page), exposures]).toEqual([['control', 'control'], [], []]);
    expect((await visit('/look', cookie, headers)).body.reason).toBe('excluded');
  });

  it('but for who agrees, where consent is required, without an id', async () => {
    const byCookie = await stickySite({ consent: { required: true } });
    expect(unitCookies(await byCookie.visit('/', 'usprivacy=1YNN'))).toEqual([]);
    const optIn = `adobeujs-optin=${encodeURIComponent(JSON.stringify({ aam: true, ecid: true }))}`;
    expect(unitCookies(await byCookie.visit('/', optIn))).toHaveLength(1);
    const bySite = await stickySite({ consent: { given: async () => true } });
    expect(unitCookies(await bySite.visit())).toHaveLength(1);
    expect(bySite.simulator.requests).toEqual([]);
  });

  it('and one that is there is deleted when its visitor refuses', async () => {
    const { visit } = await stickySite();
    const cookie = unitCookie(await visit());
    const refused = await visit('/', cookie, { 'Sec-GPC': '1' });
    expect(refused.body).toEqual(['control', 'control']);
    expect(unitCookies(refused)).toEqual(['aam_unit=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax']);
    const optedOut = await visit('/', `${cookie}; ${cookieOf(ECID, 9, 'global')}`);
    expect(unitCookies(optedOut)).toEqual(unitCookies(refused));
    expect(unitCookies(await visit('/', cookie, { 'User-Agent': 'Googlebot/2.1' }))).toEqual([]);
  });

  it('and one that is there stays where the site’s function decides, which may have been late', async () => {
    const never = new Promise<boolean>(() => {});
    const { visit } = await stickySite({
      maxWaitMs: 1,
      consent: { given: (req) => (req.headers['x-late'] ? never : true) },
    });
    const first = await visit();
    const cookie = unitCookie(first);
    const late = await visit('/', cookie, { 'X-Late': '1' });
    expect([late.body, unitCookies(late)]).toEqual([['control', 'control'], []]);
    expect((await visit('/', cookie)).body).toEqual(first.body);
  });

  it('after the headers have been sent: the control, without an exposure', async () => {
    const { aam, exposures } = await stickySite();
    const late = aam.experiment({ name: 'late', variants: { control: 0, links: 1 } });
    const app = express();
    app.use(aam);
    app.get('/', (req, res) => {
      res.write('-');
      res.end(JSON.stringify(late.assignmentOf(req)) + late.variantOf(req));
    });
    const { text, headers } = await request(app).get('/');
    expect(text).toBe('-{"variant":"control","reason":"no-unit","isExposed":false}control');
    expect([headers['set-cookie'], exposures]).toEqual([undefined, []]);
    expect(warned.mock.calls.map(([, { code }]) => code)).toEqual(['WRN_AAM_SHARED_CACHE']);
  });
});

describe('the cookie', () => {
  it.each<[string, (value: string) => string]>([
    ['forged', (value) => value.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))],
    ['without its signature', (value) => value.replace(/\.[^.]*$/, '')],
    ['of a preview', () => '1.eyJ9.'],
    ['empty', () => ''],
  ])('that is %s is replaced', async (_what, change) => {
    const { visit } = await stickySite();
    const [name, value] = unitCookie(await visit()).split('=') as [string, string];
    expect(unitCookies(await visit('/', `${name}=${change(value)}`))).toEqual([expect.stringMatching(COOKIE)]);
    // Beside a valid one it does nothing: a neighbour under the same domain can add one.
    expect(unitCookies(await visit('/', `${name}=${change(value)}; ${name}=${value}`))).toEqual([]);
  });

  it('that was signed for previews is none', async () => {
    const { visit, aam } = await stickySite({ preview: { secret: SECRET } });
    const token = new URL(aam.previewUrl('http://127.0.0.1/', {})).searchParams.get('aam_preview');
    expect(unitCookies(await visit('/', `aam_unit=${token}`))).toHaveLength(1);
  });

  it('ends after maxAgeMs, whatever the browser does', async () => {
    const { visit } = await stickySite({}, { maxAgeMs: DAY_MS });
    const first = await visit();
    expect(unitCookies(first)[0]).toContain('; Max-Age=86400;');
    const now = Date.now();
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now + DAY_MS - 10_000);
    expect(unitCookies(await visit('/', unitCookie(first)))).toEqual([]);
    clock.mockReturnValue(now + DAY_MS);
    expect(unitCookies(await visit('/', unitCookie(first)))).toHaveLength(1);
  });

  it('has the name that is given, and is Secure over HTTPS', async () => {
    const { app } = await stickySite({}, { name: '__Host-ab' });
    const first = await request(app).get('/');
    expect(setBy(first)).toEqual(['theme=dark', expect.stringMatching(/^__Host-ab=1\..*; Secure$/)]);
    const plain = await stickySite();
    const forwarded = { 'X-Forwarded-Proto': 'https' };
    expect(unitCookies(await plain.visit('/', '', forwarded))[0]).toMatch(COOKIE);
    plain.app.set('trust proxy', true);
    expect(unitCookies(await plain.visit('/', '', forwarded))[0]).toMatch(/; SameSite=Lax; Secure$/);
  });

  it('is accepted with an older secret while that is listed', async () => {
    const { visit } = await stickySite();
    const cookie = unitCookie(await visit());
    const listed = await stickySite({}, { secret: [`a newer ${SECRET}`, SECRET] });
    expect(unitCookies(await listed.visit('/', cookie))).toEqual([]);
    const gone = await stickySite({}, { secret: `a newer ${SECRET}` });
    expect(unitCookies(await gone.visit('/', cookie))).toHaveLength(1);
  });

  it('is set in Connect, too', async () => {
    const { aam } = await stickySite();
    const everywhere = aam.experiment({ name: 'everywhere', variants: HALVES });
    const app = connect();
    app.use(aam as Handler);
    app.use((req: IncomingMessage, res) => void res.end(everywhere.variantOf(req)));
    expect(unitCookies(await request(app).get('/'))).toHaveLength(1);
  });
});

describe('a holdout', () => {
  it('keeps a visitor out of all experiments that share it, with an audience or without, by the cookie', async () => {
    const { aam, simulator } = await stickySite();
    const holdout = { name: 'global', percent: 50 };
    const all = aam.experiment({ name: 'all', variants: HALVES, holdout });
    const fans = aam.experiment({ name: 'fans', variants: HALVES, holdout, audience: 'golfFans' });
    const app = express();
    app.use(aam);
    app.get('/', (req, res) => void res.json([fans.assignmentOf(req).reason, all.assignmentOf(req).reason]));
    const reasons = new Set<string>();
    for (let n = 0; n < 12; n++) {
      const ecid = String(n).padStart(38, '1');
      simulator.visitor(ecid).in(GOLF);
      const page = await request(app).get('/').set('Cookie', cookieOf(ecid));
      expect(unitCookies(page)).toHaveLength(1);
      expect(page.body[0]).toBe(page.body[1]);
      reasons.add(page.body[0]);
    }
    expect(reasons).toEqual(new Set(['assigned', 'holdout']));
  });
});

describe('the cookie leaves with every response, which is private, and nothing else is lost', () => {
  it.each(
    [WITH_EXPRESS, BARE_EXPRESS, HTTP2].flatMap((server) =>
      INTERFERENCES.map((each): [string, string, (typeof INTERFERENCES)[number]] => [server, each.name, each]),
    ),
  )('%s, with %s', async (server, _name, interference) => {
    const aam = await shared();
    let isUsed = false;
    const site = await serve(server, interference, aam.middleware as Handler, (req) => {
      // Both are private; only one sets the cookie.
      if (isUsed) aam.everybody.variantOf(req);
      else aam.customers.variantOf(req);
    });
    const wrong: unknown[] = [];
    for (const [n, way] of WAYS.entries()) {
      if (!isApplicable(server, way)) continue;
      const cookiesOf = async () => {
        const { head } = await site.get(`/${n}`, way);
        const lines = head
          .filter((line) => /^set-cookie: /i.test(line))
          .map((line) => line.slice('set-cookie: '.length));
        return { head, cookies: lines };
      };
      isUsed = false;
      const before = await cookiesOf();
      isUsed = true;
      const after = await cookiesOf();
      const others = after.cookies.filter((cookie) => !COOKIE.test(cookie));
      const isSetOnce = after.cookies.length === others.length + 1;
      const isPrivate = after.head.some((line) => /^cache-control: .*(?:private|no-store)/i.test(line));
      if (!isSetOnce || !isPrivate || others.join() !== before.cookies.join()) {
        wrong.push({ way: way.name, before: before.head, after: after.head });
      }
    }
    expect(wrong).toEqual([]);
  });

  let made: { middleware: ReturnType<typeof aamSegments>; everybody: Used; customers: Used } | undefined;
  type Used = ReturnType<ReturnType<typeof aamSegments>['experiment']>;
  async function shared() {
    if (made === undefined) {
      const middleware = aamSegments({
        orgId: ORG,
        partner: 'acme',
        experiments: { stickyCookie: { secret: SECRET } },
      });
      const everybody = middleware.experiment({ name: 'everybody', variants: HALVES });
      const customers = middleware.experiment({ name: 'customers', variants: HALVES, unit: 'customer' });
      made = { middleware, everybody, customers };
    }
    return made;
  }
  afterAll(() => made?.middleware.close());
});

describe('stickyCookie refuses', () => {
  it.each<[object, RegExp]>([
    [{ secret: 'short' }, /stickyCookie\.secret must be .* got 5 characters$/],
    [{}, /stickyCookie\.secret/],
    [{ secret: SECRET, name: 'a b' }, /stickyCookie\.name must be a cookie name/],
    [{ secret: SECRET, name: '__Host-aam_preview' }, /not that of previews/],
    [{ secret: SECRET, maxAgeMs: 1_000 }, /maxAgeMs must be an integer from 60000 to 34560000000/],
    [{ secret: SECRET, maxAge: 1 }, /did you mean 'maxAgeMs'/],
  ])('%j', (stickyCookie, message) => {
    const create = () => aamSegments({ orgId: ORG, partner: 'acme', experiments: { stickyCookie } as never });
    expect(create).toThrow(message);
  });
});

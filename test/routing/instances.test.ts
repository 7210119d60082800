import express, { type RequestHandler } from 'express';
import { type AamSegments, aamSegments } from 'express-aam-segments';
import request from 'supertest';
import { tcStringOf } from '../consent/tc-strings';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, ORG, type Site } from '../helpers/site';
import { addPublicPages, membersPage } from './guarded-site';
import { ask } from './in-memory';
import { PLACES } from './places';

const OTHER_ORG = `F${ORG.slice(1)}`;
const VIP = ECID.replace(/^2/, '3');

/** Two organisations: for `one` only VIP is a member, for `other` every visitor is. */
let site: Site;
let one: Site['aam'];
let other: AamSegments<'golfFans' | 'highValue'>;

beforeAll(async () => {
  site = await createSite();
  one = site.aam;
  site.simulator.visitor(VIP).in(HIGH_VALUE);
  site.simulator.visitor(ECID).in(GOLF);
  other = aamSegments({
    orgId: OTHER_ORG,
    partner: 'acme',
    segments: { golfFans: GOLF, highValue: GOLF },
    identity: { resolve: () => ({ ecid: ECID }) },
    maxWaitMs: 5_000,
    dcs: { ...site.simulator.dcs, timeoutMs: 5_000 },
  });
});
afterAll(async () => {
  await other.close();
  await closeSites();
});

/** The text that a visitor gets behind the instances in this order and the handlers that `mount` adds. */
async function visit(ecid: string, order: readonly RequestHandler[], mount: (app: express.Express) => unknown) {
  const app = express();
  if (order.length > 0) app.use(...order);
  mount(app);
  addPublicPages(app);
  return (await ask(app, '/members', 'get', cookieOf(ecid))).text;
}

const orders = (): readonly RequestHandler[][] => [
  [one, other],
  [other, one],
  [one, other, one],
  [other, one, other],
];

describe('a guard of an instance', () => {
  it.each(PLACES.filter(({ path }) => path === undefined))(
    'decides by the segments that its instance has served, in $title',
    async ({ mount }) => {
      for (const order of orders()) {
        const members = membersPage();
        const guard = one.requireSegment('highValue');
        const place = (app: express.Express) => mount({ express, app, members, guard });
        expect(await visit(ECID, order, place)).toBe('ERR_AAM_SEGMENT_REQUIRED');
        expect(members).not.toHaveBeenCalled();
        expect(await visit(VIP, order, place)).toBe('members');
      }
    },
  );

  it('lets through the members of its own instance', async () => {
    for (const order of orders()) {
      const guarded = (app: express.Express) => app.use(other.requireSegment('highValue'), membersPage());
      expect(await visit(VIP, order, guarded)).toBe('members');
    }
  });

  it('fails if its instance has not run', async () => {
    const guarded = (app: express.Express) =>
      app.use(one.requireSegment('highValue', { otherwise: 403 }), membersPage());
    expect(await visit(VIP, [other], guarded)).toBe('ERR_AAM_MIDDLEWARE_MISSING');
    expect(await visit(VIP, [], guarded)).toBe('ERR_AAM_MIDDLEWARE_MISSING');
    const stub: RequestHandler = (req, _res, next) => {
      Object.assign(req, { aamSegments: { hasAny: () => true } });
      next();
    };
    expect(await visit(VIP, [stub], guarded)).toBe('ERR_AAM_MIDDLEWARE_MISSING');
    expect(await visit(VIP, [one, stub], guarded)).toBe('ERR_AAM_MIDDLEWARE_MISSING');
  });

  it('passes on an error with the status that its instance has served', async () => {
    const app = express().use(one, other, one.requireSegment('highValue'));
    const seen = jest.fn();
    app.use(((error, _req, res, _next) => {
      seen(error.segmentsStatus, error.segmentsReason);
      res.end();
    }) as express.ErrorRequestHandler);
    await ask(app, '/', 'get', 'theme=dark');
    expect(seen).toHaveBeenCalledWith('anonymous', 'no-id');
  });
});

describe('an instance that is mounted again behind another one', () => {
  it('makes the response private when its segments are read', async () => {
    const app = express().use(one, other, one, (req, res) => void res.json(req.aamSegments.has('golfFans')));
    const { headers } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(headers['cache-control']).toBe('private');
  });
});

describe('sendEvent() of an instance that is mounted again', () => {
  it('still sends the consent string of the request', async () => {
    const tcString = tcStringOf();
    const app = express().use(one, other, one, async (req, res) => {
      await one.sendEvent(req, { c_page: 'home' });
      res.end();
    });
    await request(app)
      .get('/')
      .set('Cookie', `${cookieOf(VIP)}; euconsent-v2=${tcString}`);
    expect(site.simulator.requestsOf(VIP).at(-1)?.params).toMatchObject({ c_page: 'home', gdpr_consent: tcString });
  });
});

describe('routeBySegment of an instance', () => {
  const text =
    (body: string): RequestHandler =>
    (_req, res) =>
      void res.send(body);

  it('chooses by the segments that its instance has served', async () => {
    for (const order of orders()) {
      const ofOne = (app: express.Express) =>
        app.get('/members', one.routeBySegment({ highValue: text('vip'), golfFans: text('golf') }));
      expect(await visit(ECID, order, ofOne)).toBe('golf');
      expect(await visit(VIP, order, ofOne)).toBe('vip');
      const ofOther = (app: express.Express) =>
        app.get('/members', other.routeBySegment({ highValue: text('vip'), golfFans: text('golf') }));
      expect(await visit(VIP, order, ofOther)).toBe('vip');
    }
  });

  it('fails if its instance has not run', async () => {
    const routed = (app: express.Express) => app.use(one.routeBySegment({ default: text('plain') }));
    expect(await visit(VIP, [other], routed)).toBe('ERR_AAM_MIDDLEWARE_MISSING');
  });
});

import { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { aamSegments, requireSegment, routeBySegment } from 'express-aam-segments';
import { GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { closeGuardedSites, createGuardedSite, type GuardedSite, type Mount } from './guarded-site';
import { PLACES } from './places';
import { stopTracing, TRACING, traceWithoutLikeness } from './tracing';

afterEach(() => {
  stopTracing();
  closeGuardedSites();
});

const OUTSIDE = 'ERR_AAM_GUARD_OUTSIDE_ROUTE';
const vip = () => requireSegment('highValue');
const pass: RequestHandler = (_req, _res, next) => next();
const throughAnotherFunction =
  (handler: ReturnType<typeof routeBySegment>): RequestHandler =>
  (req, res, next) =>
    handler(req, res, (error) => next(error));

/** A site whose visitors are not in the segment. */
async function siteOfOutsiders(mount: Mount): Promise<GuardedSite> {
  const site = await createGuardedSite(mount);
  site.dcsAnswers([GOLF]);
  return site;
}

/** What an outsider gets for the members' page, which must not have run. */
async function outsiderGets(mount: Mount, ...visit: Parameters<GuardedSite['visit']> | []): Promise<string> {
  const site = await siteOfOutsiders(mount);
  const text = await site.visit(visit[0] ?? '/members', visit[1]);
  expect(site.members).not.toHaveBeenCalled();
  return text;
}

/** What a member gets. */
async function memberGets(mount: Mount): Promise<string> {
  const site = await createGuardedSite(mount);
  site.dcsAnswers([HIGH_VALUE]);
  return site.visit('/members');
}

describe.each(Object.entries(TRACING))('under %s', (_title, trace) => {
  it.each(PLACES)('a guard in $title does what it does without', async ({ mount, inRoute }) => {
    const traced: Mount = (site) => {
      mount(site, vip());
      trace(site.app);
    };
    expect(await outsiderGets(traced)).toBe(inRoute ? 'public' : OUTSIDE);
    expect(await memberGets(traced)).toBe('members');
  });
});

describe('a guard in a route', () => {
  it.each<[string, Mount]>([
    ['alone', ({ app }) => app.all('/members', vip())],
    ['alone, for every path', ({ app }) => app.all(/.*/, vip())],
    ['with other guards', ({ app }) => app.all('/members', vip(), requireSegment(['golfFans', 'highValue']))],
    [
      'with an error handler',
      ({ app }) => app.all('/members', vip(), ((error, _req, _res, next) => next(error)) as ErrorRequestHandler),
    ],
    ['behind everything else', ({ app }) => app.get('/members', pass, vip())],
    ['with a handler of another method', ({ app }) => app.route('/members').get(vip()).post(pass)],
  ])(
    '%s fails closed, since it would refuse only that route and let everybody into the next one',
    async (_title, mount) => {
      const gate: Mount = (site) => {
        mount(site);
        site.app.get('/members', site.members);
      };
      expect(await outsiderGets(gate)).toBe(OUTSIDE);
      expect(await memberGets(gate)).toBe('members');
    },
  );

  it('alone gives refused visitors what otherwise says', async () => {
    const mount: Mount = ({ app, members }) =>
      app.all('/members', requireSegment('highValue', { otherwise: 403 })).get('/members', members);
    expect(await outsiderGets(mount)).toBe('Forbidden');
  });

  it('guards no more than that route: whatever matches next is the site’s own decision', async () => {
    const site = await siteOfOutsiders(({ app, members }) => app.all('/members', vip(), pass).get('/members', members));
    expect(await site.visit('/members')).toBe('members');
  });

  it.each(['head', 'options', 'post'] as const)('guards it for %s too', async (method) => {
    const mount: Mount = ({ app, members }) => app.all('/members', vip(), members);
    await outsiderGets(mount, '/members', method);
    const site = await createGuardedSite(mount);
    site.dcsAnswers([HIGH_VALUE]);
    await site.visit('/members', method);
    expect(site.members).toHaveBeenCalledTimes(1);
  });

  it('leaves a preflight request alone where only another method is guarded', async () => {
    const mount: Mount = ({ app, members }) => app.route('/members').all(vip()).get(members);
    expect(await outsiderGets(mount, '/members', 'options')).toBe('public');
  });

  it.each<[string, Mount]>([
    [
      'called by another function',
      ({ app, members }) => app.get('/members', (req, res, next) => vip()(req, res, (error) => next(error)), members),
    ],
    [
      'in a list of routeBySegment',
      ({ app, members }) => app.get('/members', routeBySegment({ golfFans: [vip(), members] })),
    ],
    [
      'behind a router in the same route',
      ({ app, members }) => app.get('/members', Router().get('/members', pass), vip(), members),
    ],
    [
      'behind a handler that has replaced req.next',
      ({ app, members }) =>
        app.get(
          '/members',
          (req, _res, next) => {
            req.next = next;
            next();
          },
          vip(),
          members,
        ),
    ],
    [
      'replaced by what is not like it',
      ({ app, members }) => {
        app.get('/members', vip(), members);
        traceWithoutLikeness(app);
      },
    ],
  ])('that is not recognised there, %s, fails closed', async (_title, mount) => {
    expect(await outsiderGets(mount)).toBe(OUTSIDE);
  });
});

describe('a guard outside of a route', () => {
  it.each<[string, Mount]>([
    [
      'of a request that is dispatched again',
      ({ app, members }) => {
        const guard = vip();
        app.get('/inner', pass, (_req, _res, next) => next('route'), guard, members);
        app.use('/inner', guard, members);
        app.get('/members', (req, res, next) => {
          req.url = '/inner';
          app(req, res, next);
        });
      },
    ],
    [
      'of a router that is mounted twice',
      ({ app, members }) => {
        const guard = vip();
        const router = Router()
          .get('/members', (_req, _res, next) => next('route'), guard, members)
          .use(guard, members);
        app.get('/members', router).use('/', router).use(router);
      },
    ],
    [
      'beside a router that is not waited for',
      ({ app, members }) => {
        const guard = vip();
        const beside = Router().get('/members', pass, () => {}, guard, members);
        app.use((req, res, next) => {
          beside(req, res, () => {});
          next();
        });
        app.use('/members', guard, members);
      },
    ],
    [
      'behind an asynchronous handler',
      ({ app, members }) => app.use(async (_req, _res, next) => void setImmediate(next), vip(), members),
    ],
    [
      'that an asynchronous function calls',
      ({ app, members }) =>
        app.use(async (req, res, next) => {
          await Promise.resolve();
          await vip()(req, res, next);
        }, members),
    ],
    ['in a list of routeBySegment', ({ app, members }) => app.use(routeBySegment({ golfFans: [vip(), members] }))],
  ])('%s refuses', async (_title, mount) => {
    expect(await outsiderGets(mount)).toBe(OUTSIDE);
  });

  it('refuses before an error handler that forgives: what comes behind that one is the site’s own decision', async () => {
    const forgive: ErrorRequestHandler = (_error, _req, _res, next) => next();
    const site = await siteOfOutsiders(({ app, members }) => app.use(vip(), forgive, members));
    expect(await site.visit('/members')).toBe('members');
    const safe: Mount = ({ app, members }) =>
      app.use(requireSegment('highValue', { otherwise: 403 }), forgive, members);
    expect(await outsiderGets(safe)).toBe('Forbidden');
  });
});

describe('a guard behind the middleware of another instance', () => {
  it('goes by that one, also where it had let the visitor through before', async () => {
    const other = aamSegments({ orgId: `F${ORG.slice(1)}`, partner: 'other', segments: { highValue: 1 } });
    const mount: Mount = ({ app, members }) => {
      const guard = vip();
      app.get('/members', guard, (_req, _res, next) => next('route'), members);
      app.use(other, throughAnotherFunction(guard), members);
    };
    expect(await memberGets(mount)).toBe(OUTSIDE);
    await other.close();
  });
});

describe('the list of segments that a guard is created with', () => {
  it('can be changed afterwards without opening the guard', async () => {
    const segments: 'highValue'[] = ['highValue'];
    const guard = requireSegment(segments, { match: 'all' });
    segments.pop();
    expect(await outsiderGets(({ app, members }) => app.use(guard, members))).toBe(OUTSIDE);
  });
});

describe('routeBySegment without a match and a default', () => {
  const onlyVip = () => routeBySegment({ highValue: pass });

  it.each<[string, Mount]>([
    ['as it is', ({ app, members }) => app.get('/members', onlyVip(), members)],
    [
      'called by another function',
      ({ app, members }) => app.get('/members', throughAnotherFunction(onlyVip()), members),
    ],
    [
      'behind a router in the same route',
      ({ app, members }) => app.get('/members', Router().get('/members', pass), onlyVip(), members),
    ],
    [
      'behind a handler that has replaced req.next',
      ({ app, members }) =>
        app.get(
          '/members',
          (req, _res, next) => {
            req.next = next;
            next();
          },
          onlyVip(),
          members,
        ),
    ],
    [
      'in another one',
      ({ app, members }) => app.get('/members', routeBySegment({ golfFans: [onlyVip(), members] }), members),
    ],
    [
      'replaced by what is not like it',
      ({ app, members }) => {
        app.get('/members', onlyVip(), members);
        traceWithoutLikeness(app);
      },
    ],
  ])('leaves the route, %s', async (_title, mount) => {
    expect(await outsiderGets(mount)).toBe('public');
  });

  it('leaves the list of another one, outside of a route too', async () => {
    const mount: Mount = ({ app, members }) => app.use(routeBySegment({ golfFans: [onlyVip(), members] }));
    expect(await outsiderGets(mount)).toBe('public');
  });

  it('goes on by a plain next() where no router of Express passes the request on', async () => {
    const segments = { hasAny: () => false, has: () => false };
    const next = jest.fn();
    await onlyVip()({ aamSegments: segments } as never, {} as never, next);
    expect(next.mock.calls).toEqual([[]]);
  });
});

import { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { requireSegment, routeBySegment } from 'express-aam-segments';
import { GOLF, HIGH_VALUE } from '../helpers/site';
import { closeGuardedSites, createGuardedSite, type GuardedSite, type Mount } from './guarded-site';
import { TRACING } from './tracing';

afterEach(closeGuardedSites);

const vip = () => requireSegment('highValue');
const pass: RequestHandler = (_req, _res, next) => next();
const leave: RequestHandler = (_req, _res, next) => next('route');
const ignoreError: ErrorRequestHandler = (_error, _req, _res, next) => next();

/** A site whose visitors are not in the segment. */
async function siteOfOutsiders(mount: Mount): Promise<GuardedSite> {
  const site = await createGuardedSite(mount);
  site.dcsAnswers([GOLF]);
  return site;
}

/** The text that an outsider gets. Fails if the members' page has run. */
async function outsiderGets(mount: Mount, ...visit: Parameters<GuardedSite['visit']> | []): Promise<string> {
  const site = await siteOfOutsiders(mount);
  const text = await site.visit(visit[0] ?? '/members', visit[1]);
  expect(site.members).not.toHaveBeenCalled();
  return text;
}

describe('a guard', () => {
  it('does not affect routes without it', async () => {
    const site = await siteOfOutsiders(({ app, members }) => app.get('/members', vip(), members).get('/shop', members));
    expect(await site.visit('/shop')).toBe('members');
  });

  it('for every method refuses preflight requests too', async () => {
    const mount: Mount = ({ app, members }) => app.route('/members').all(vip()).get(members);
    expect(await outsiderGets(mount, '/members', 'options')).toBe('ERR_AAM_SEGMENT_REQUIRED');
  });

  it('answers before an error handler only with otherwise; without it, an error handler that calls next() lets the visitor in', async () => {
    const site = await siteOfOutsiders(({ app, members }) => app.use(vip(), ignoreError, members));
    expect(await site.visit('/members')).toBe('members');
    const safe: Mount = ({ app, members }) =>
      app.use(requireSegment('highValue', { otherwise: 403 }), ignoreError, members);
    expect(await outsiderGets(safe)).toBe('Forbidden');
  });

  it('lets its otherwise call next("route"), which leaves a route, but lets the visitor in under app.use', async () => {
    const otherwise = leave;
    const inRoute: Mount = ({ app, members }) =>
      app.get('/members', requireSegment('highValue', { otherwise }), members);
    expect(await outsiderGets(inRoute)).toBe('public');
    const site = await siteOfOutsiders(({ app, members }) =>
      app.use(requireSegment('highValue', { otherwise }), members),
    );
    expect(await site.visit('/members')).toBe('members');
  });

  it('cannot be opened by emptying the list of segments that it was created with', async () => {
    const segments: 'highValue'[] = ['highValue'];
    const guard = requireSegment(segments, { match: 'all' });
    segments.pop();
    expect(await outsiderGets(({ app, members }) => app.use(guard, members))).toBe('ERR_AAM_SEGMENT_REQUIRED');
  });
});

describe('routeBySegment without a match and a default', () => {
  const onlyVip = () => routeBySegment({ highValue: pass });
  const throughAnotherFunction =
    (handler: ReturnType<typeof onlyVip>): RequestHandler =>
    (req, res, next) =>
      handler(req, res, (error?: unknown) => next(error));

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
      'in the list of another router',
      ({ app, members }) => app.get('/members', routeBySegment({ golfFans: [onlyVip(), members] }), members),
    ],
    [
      'replaced by a tracing tool',
      ({ app, members }) => {
        app.get('/members', onlyVip(), members);
        TRACING['a tracing tool that replaces handlers']?.(app);
      },
    ],
  ])('leaves the route, %s', async (_title, mount) => {
    expect(await outsiderGets(mount)).toBe('public');
  });

  it('leaves the list of another router, outside of a route too', async () => {
    const mount: Mount = ({ app, members }) => app.use(routeBySegment({ golfFans: [onlyVip(), members] }));
    expect(await outsiderGets(mount)).toBe('public');
  });

  it('does not protect: in app.use the handlers behind it run', async () => {
    const site = await siteOfOutsiders(({ app, members }) => app.use(onlyVip(), members));
    expect(await site.visit('/members')).toBe('members');
  });

  it('calls next() without an argument if the request is not served by Express', async () => {
    const segments = { hasAny: () => false, has: () => false };
    const next = jest.fn();
    await onlyVip()({ aamSegments: segments } as never, {} as never, next);
    expect(next.mock.calls).toEqual([[]]);
  });
});

describe('a member', () => {
  it('gets through all of several guards', async () => {
    const site = await createGuardedSite(({ app, members }) =>
      app.use(vip()).get('/members', vip(), requireSegment(['golfFans', 'highValue']), members),
    );
    site.dcsAnswers([HIGH_VALUE]);
    expect(await site.visit('/members')).toBe('members');
  });
});

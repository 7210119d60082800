import { requireSegment } from 'express-aam-segments';
import { GOLF } from '../helpers/site';
import { closeGuardedSites, createGuardedSite } from './guarded-site';

afterEach(closeGuardedSites);

const NOBODY = { hasAny: () => false, hasAll: () => false };
const page = () => {};

/** Calls a guard of which the call stack says nothing, as where Express has been minified. */
function refused({ isNextOfTheRouter = false, behind = [{ handle: page }] as object[] } = {}) {
  const guard = requireSegment('highValue');
  const next = jest.fn();
  const stack = [{ handle: guard }, ...behind];
  const req = { aamSegments: NOBODY, route: { stack } as unknown, next: isNextOfTheRouter ? next : () => {} };
  const call = () => void guard(req as never, {} as never, next);
  call();
  return { call, req, next };
}

const OUTSIDE = expect.objectContaining({ code: 'ERR_AAM_GUARD_OUTSIDE_ROUTE' });

describe('a refusal where the call stack says nothing', () => {
  it('leaves the route that the request is in', () => {
    expect(refused().next.mock.calls).toEqual([['route']]);
  });

  it('is an error where the router itself has called the guard', () => {
    expect(refused({ isNextOfTheRouter: true }).next.mock.calls).toEqual([[OUTSIDE]]);
  });

  it('is an error where the route has been left by an earlier refusal', () => {
    const { call, req, next } = refused();
    expect(req.route).toBeUndefined();
    call();
    expect(next.mock.calls).toEqual([['route'], [OUTSIDE]]);
  });

  it('is an error where nothing is guarded in the route', () => {
    expect(refused({ behind: [] }).next.mock.calls).toEqual([[OUTSIDE]]);
    expect(refused({ behind: [{}] }).next.mock.calls).toEqual([[OUTSIDE]]);
  });
});

describe('looking at the call stack', () => {
  const { stackTraceLimit, prepareStackTrace } = Error;
  afterEach(() => Object.assign(Error, { stackTraceLimit, prepareStackTrace }));

  it('works whatever the site has done to stack traces, and leaves that as it was', async () => {
    const own = { stackTraceLimit: 0, prepareStackTrace: () => 'no stack' };
    const site = await createGuardedSite(({ app, members }) => {
      const guard = requireSegment('highValue');
      app.get('/members', (_req, _res, next) => next('route'), guard, members);
      app.use((req, res, next) => {
        Object.assign(Error, own);
        guard(req, res, (error) => next(error));
      }, members);
    });
    site.dcsAnswers([GOLF]);
    expect(await site.visit('/members')).toBe('ERR_AAM_GUARD_OUTSIDE_ROUTE');
    expect(site.members).not.toHaveBeenCalled();
    expect([Error.stackTraceLimit, Error.prepareStackTrace]).toEqual(Object.values(own));
  });

  it('finds use() behind many calls', async () => {
    const site = await createGuardedSite(({ app, members }) => {
      const guard = requireSegment('highValue');
      app.get('/members', (_req, _res, next) => next('route'), guard, members);
      app.use((req, res, next) => {
        const deep = (calls: number): void => {
          if (calls > 0) deep(calls - 1);
          else void guard(req, res, (error) => next(error));
        };
        deep(60);
      }, members);
    });
    site.dcsAnswers([GOLF]);
    expect(await site.visit('/members')).toBe('ERR_AAM_GUARD_OUTSIDE_ROUTE');
  });
});

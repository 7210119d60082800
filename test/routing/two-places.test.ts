import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { type Guard, requireSegment } from 'express-aam-segments';
import { cookieOf, ECID, GOLF, HIGH_VALUE } from '../helpers/site';
import { closeGuardedSites, createGuardedSite, type Mount } from './guarded-site';
import { stopTracing, TRACING } from './tracing';

afterEach(() => {
  stopTracing();
  closeGuardedSites();
});

type Scene = Parameters<Mount>[0] & { readonly guard: Guard };

const pass: RequestHandler = (_req, _res, next) => next();
const leave: RequestHandler = (_req, _res, next) => next('route');
const leaveLater: RequestHandler = (_req, _res, next) => void setImmediate(next, 'route');
const leaveRouter: RequestHandler = (_req, _res, next) => next('router');
const fail: RequestHandler = (_req, _res, next) => next(new Error('failed'));
const forgive: ErrorRequestHandler = (_error, _req, _res, next) => next();

/** The first place: a route that has been left when the guard is met in the second one. Who left it? */
const FIRST: Readonly<Record<string, (scene: Scene) => unknown>> = {
  'the guard’s own refusal': ({ app, guard, members }) => app.get('/members', guard, members),
  'an earlier handler': ({ app, guard, members }) => app.get('/members', leave, guard, members),
  'an earlier handler, later': ({ app, guard, members }) => app.get('/members', leaveLater, guard, members),
  'an earlier handler with the whole router': ({ app, guard, members }) =>
    app.use(Router().get('/members', leaveRouter, guard, members)),
  'an error that is forgiven': ({ app, guard, members }) =>
    app.use(Router().get('/members', fail, guard, members), forgive),
  'a parameter': ({ app, guard, members }) => app.param('area', leave).get('/:area', guard, members),
  'nobody, since it has the guard for another method': ({ app, guard, members }) =>
    app.route('/members').get(pass).post(guard, members),
};

/** Handlers as one, as packages that compose middleware make it. */
function chained(...handlers: (Guard | RequestHandler)[]): RequestHandler {
  return (req, res, done) => {
    const left = [...handlers];
    (function next(error?: unknown): void {
      const handler = left.shift();
      if (error || handler === undefined) done(error);
      else handler(req, res, next);
    })();
  };
}

/** The second place: outside of a route. */
const SECOND: Readonly<Record<string, (scene: Scene) => unknown>> = {
  'app.use': ({ app, guard, members }) => app.use(guard, members),
  'app.use with a path': ({ app, guard, members }) => app.use('/members', guard, members),
  'router.use': ({ app, guard, members }) => app.use(Router().use(guard, members)),
  'the use() of a sub-app': ({ app, guard, members }) => app.use(express().use(guard, members)),
  'a function in app.use': ({ app, guard, members }) => app.use((req, res, next) => guard(req, res, next), members),
  'a function in app.use that wraps next': ({ app, guard, members }) =>
    app.use((req, res, next) => guard(req, res, (error) => next(error)), members),
  'a chain of handlers in app.use': ({ app, guard, members }) => app.use(chained(guard, members)),
};

const combinations = Object.keys(FIRST).flatMap((first) =>
  Object.keys(SECOND).map((second) => [first, second] as const),
);

// What a tool copies makes no difference here.
const { 'a tracing tool that copies what for...in finds': _alike, ...tracing } = TRACING;

describe.each(Object.entries(tracing))('a guard of a route and of another place, under %s', (_title, trace) => {
  it.each(combinations)('refuses where that route was left by %s and the other place is %s', async (first, second) => {
    const site = await createGuardedSite((parts) => {
      const scene = { ...parts, guard: requireSegment('highValue') };
      FIRST[first]?.(scene);
      SECOND[second]?.(scene);
      trace(parts.app);
    });
    site.dcsAnswers([GOLF]);
    expect(await site.visit('/members')).toBe('ERR_AAM_GUARD_OUTSIDE_ROUTE');
    expect(site.members).not.toHaveBeenCalled();
    site.dcsAnswers([HIGH_VALUE]);
    expect(await site.visit('/members', 'get', cookieOf(ECID.replace(/^2/, '3')))).toBe('members');
  });

  it('refuses a HEAD request, for which a route of every method matches', async () => {
    const site = await createGuardedSite(({ app, members }) => {
      const guard = requireSegment('highValue');
      app.post('/members', guard, members).use('/members', guard, members);
      trace(app);
    });
    site.dcsAnswers([GOLF]);
    expect(await site.visit('/members', 'head')).toBe('500');
    expect(site.members).not.toHaveBeenCalled();
  });
});

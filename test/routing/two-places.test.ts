import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { requireSegment, type VisitorSegments } from 'express-aam-segments';
import { addPublicPages, closeGuardedSites, membersPage } from './guarded-site';
import { ask } from './in-memory';
import { chained, type Scene } from './places';
import { stopTracing, TRACING } from './tracing';
import { segmentsOf, VISITS } from './visits';

let member: VisitorSegments;
let outsider: VisitorSegments;

beforeAll(async () => {
  [member, outsider] = (await Promise.all(VISITS.slice(0, 2).map(segmentsOf))) as [VisitorSegments, VisitorSegments];
  closeGuardedSites();
});
afterEach(stopTracing);

const leave: RequestHandler = (_req, _res, next) => next('route');
const leaveLater: RequestHandler = (_req, _res, next) => void setImmediate(next, 'route');
const leaveRouter: RequestHandler = (_req, _res, next) => next('router');
const fail: RequestHandler = (_req, _res, next) => next(new Error('failed'));
const ignoreError: ErrorRequestHandler = (_error, _req, _res, next) => next();

/** The first place: a route with the guard, which is left before the guard runs again in the second place. By what leaves it. */
const FIRST: Readonly<Record<string, (scene: Scene) => unknown>> = {
  'an earlier handler': ({ app, guard, members }) => app.all('/members', leave, guard, members),
  'an earlier handler, later': ({ app, guard, members }) => app.all('/members', leaveLater, guard, members),
  'an earlier handler with the whole router': ({ app, guard, members }) =>
    app.use(Router().all('/members', leaveRouter, guard, members)),
  'an error that is ignored': ({ app, guard, members }) =>
    app.use(Router().all('/members', fail, guard, members), ignoreError),
  'the guard’s own error, which is ignored': ({ app, guard, members }) =>
    app.use(Router().all('/members', guard, members), ignoreError),
  'a parameter': ({ app, guard, members }) => app.param('area', leave).all('/:area', guard, members),
  'a request of another method': ({ app, guard, members }) => app.put('/members', guard, members),
};

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

describe.each(Object.entries(TRACING))('a guard in a route and in a second place, under %s', (_title, trace) => {
  it.each(combinations)('refuses after the route was left by %s and the second place is %s', async (first, second) => {
    let segments = outsider;
    const app = express();
    const members = membersPage();
    app.use((req, _res, next) => {
      Object.assign(req, { aamSegments: segments });
      next();
    });
    const scene = { express, app, members, guard: requireSegment('highValue') };
    FIRST[first]?.(scene);
    SECOND[second]?.(scene);
    addPublicPages(app);
    trace(app);
    for (const method of ['get', 'post'] as const) {
      expect(await ask(app, '/members', method)).toEqual({ status: 403, text: 'ERR_AAM_SEGMENT_REQUIRED' });
    }
    expect(await ask(app, '/members', 'head')).toEqual({ status: 403, text: '403' });
    expect(members).not.toHaveBeenCalled();
    segments = member;
    expect((await ask(app, '/members')).text).toBe('members');
  });
});

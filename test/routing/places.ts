import type expressModule from 'express';
import type { ErrorRequestHandler, RequestHandler, Router } from 'express';
import { type Guard, routeBySegment } from 'express-aam-segments';
import type { GuardedSite } from './guarded-site';

export interface Scene extends Pick<GuardedSite, 'app' | 'members'> {
  readonly express: typeof expressModule;
  readonly guard: Guard;
}

export interface Place {
  readonly title: string;
  /** Where the members' page is. @default '/members' */
  readonly path?: string;
  /** Puts a guard before the members' page. */
  mount(scene: Scene): unknown;
}

const pass: RequestHandler = (_req, _res, next) => next();
const leave: RequestHandler = (_req, _res, next) => next('route');
const fail: RequestHandler = (_req, _res, next) => next(new Error('failed'));
const isExpress4 = (app: Scene['app']) => '_router' in app || !('router' in Object.getOwnPropertyDescriptors(app));

/** A router with what `build` adds. */
function routerOf({ express }: Pick<Scene, 'express'>, build: (router: Router) => unknown): Router {
  const router = express.Router();
  build(router);
  return router;
}

/** Combines handlers into one, as packages that compose middleware do. */
export function chained(...handlers: (Guard | RequestHandler)[]): RequestHandler {
  return (req, res, done) => {
    const left = [...handlers];
    (function next(error?: unknown): void {
      const handler = left.shift();
      if (error || handler === undefined) done(error);
      else handler(req, res, next);
    })();
  };
}

/** The places where Express takes a handler, and others where a handler can be called. */
export const PLACES: readonly Place[] = [
  { title: 'app.use', mount: ({ app, guard, members }) => app.use(guard).get('/members', members) },
  {
    title: 'app.use with a path',
    mount: ({ app, guard, members }) => app.use('/members', guard).get('/members', members),
  },
  { title: '[guard, handler] in app.use', mount: ({ app, guard, members }) => app.use('/members', [guard, members]) },
  {
    title: 'nested lists in app.use',
    mount: ({ app, guard, members }) => app.use('/members', [[guard], [[members]]] as never),
  },
  {
    title: 'app.use behind an asynchronous handler',
    mount: ({ app, guard, members }) =>
      app.use(async (_req, _res, next) => void setImmediate(next), guard).get('/members', members),
  },
  {
    title: 'router.use',
    mount: ({ app, guard, members, ...scene }) =>
      app.use(routerOf(scene, (router) => router.use(guard).get('/members', members))),
  },
  {
    title: 'router.use of a router in a router',
    mount({ app, guard, members, ...scene }) {
      const inner = routerOf(scene, (router) => router.use('/bers', guard, members));
      app.use(routerOf(scene, (router) => router.use('/mem', inner).use('/members', guard, members)));
    },
  },
  {
    title: 'router.use of a router in a route',
    mount: ({ app, guard, members, ...scene }) =>
      app.get(
        '/members',
        routerOf(scene, (router) => router.use(guard, members)),
      ),
  },
  {
    title: 'the use() of a sub-app',
    mount: ({ app, guard, members, express }) => app.use('/members', express().use(guard).get('/', members)),
  },
  {
    title: 'app.use before a sub-app',
    mount: ({ app, guard, members, express }) => app.use('/members', guard, express().all('/', members)),
  },
  {
    title: 'app.param',
    mount({ app, guard, members }) {
      app.param('area', (req, res, next) => void guard(req, res, next)).all('/:area', members);
    },
  },
  {
    title: 'router.param',
    mount: ({ app, guard, members, ...scene }) =>
      app.use(
        routerOf(scene, (router) => {
          router.param('area', (req, res, next) => void guard(req, res, next));
          router.get('/:area', members);
        }),
      ),
  },
  { title: 'app.get', mount: ({ app, guard, members }) => app.get('/members', guard, members) },
  {
    title: 'app.post and app.get',
    mount: ({ app, guard, members }) => app.post('/members', guard, members).get('/members', guard, members),
  },
  {
    title: '[guard, handler] in app.get',
    mount: ({ app, guard, members }) => app.get('/members', [[guard], members] as never),
  },
  {
    title: 'app.get behind an asynchronous handler',
    mount: ({ app, guard, members }) =>
      app.get('/members', async (_req, _res, next) => setImmediate(next), guard, members),
  },
  {
    title: 'app.get behind a router in the same route',
    mount: ({ app, guard, members, ...scene }) =>
      app.get(
        '/members',
        routerOf(scene, (router) => router.get('/members', pass)),
        guard,
        members,
      ),
  },
  {
    title: 'app.get behind a handler that has replaced req.next',
    mount: ({ app, guard, members }) =>
      app.get(
        '/members',
        (req, _res, next) => {
          req.next = next;
          next();
        },
        guard,
        members,
      ),
  },
  { title: 'app.get, twice', mount: ({ app, guard, members }) => app.get('/members', guard, guard, members) },
  { title: 'app.all', mount: ({ app, guard, members }) => app.all('/members', guard, members) },
  {
    title: 'app.all, alone, before a route',
    mount: ({ app, guard, members }) => app.all('/members', guard).all('/members', members),
  },
  {
    title: 'app.all, alone, for every path',
    mount: ({ app, guard, members }) => app.all(/.*/, guard).get('/members', members),
  },
  {
    title: 'app.all with a handler that loads something, before a route of a longer path',
    path: '/members/secret',
    mount({ app, guard, members }) {
      app.all(isExpress4(app) ? '/members/*' : '/members/*splat', guard, pass).get('/members/secret', members);
    },
  },
  {
    title: 'app.all, behind everything else in its route',
    mount: ({ app, guard, members }) => app.all('/members', pass, guard).get('/members', members),
  },
  {
    title: 'app.all, before an error handler that passes errors on',
    mount({ app, guard, members }) {
      const passError: ErrorRequestHandler = (error, _req, _res, next) => next(error);
      app.all('/members', guard, passError).get('/members', members);
    },
  },
  {
    title: 'router.route().all().get()',
    mount: ({ app, guard, members, ...scene }) =>
      app.use(routerOf(scene, (router) => router.route('/members').all(guard).get(members))),
  },
  {
    title: 'app.route() with a handler of another method',
    mount: ({ app, guard, members }) =>
      app.route('/members').get(guard).post(pass).all(leave) && app.get('/members', members),
  },
  {
    title: 'a route of a router in a router',
    mount({ app, guard, members, ...scene }) {
      const inner = routerOf(scene, (router) => router.get('/:id', guard, members));
      app.use(routerOf(scene, (router) => router.use('/', inner)));
    },
  },
  {
    title: 'a route of a router in a route',
    mount: ({ app, guard, members, ...scene }) =>
      app.all(
        '/members',
        routerOf(scene, (router) => router.get('/members', guard, members)),
      ),
  },
  {
    title: 'a route of a sub-app',
    mount: ({ app, guard, members, express }) => app.use('/members', express().get('/', guard, members)),
  },
  {
    title: 'a router that is mounted twice',
    mount({ app, guard, members, ...scene }) {
      const router = routerOf(scene, (each) => each.get('/members', leave, guard, members).use(guard, members));
      app.get('/members', router).use('/', router).use(router);
    },
  },
  {
    title: 'app.use beside a router that is not waited for',
    mount({ app, guard, members, ...scene }) {
      const beside = routerOf(scene, (router) => router.all('/members', pass, () => {}, guard, members));
      app.use((req, res, next) => {
        beside(req, res, () => {});
        next();
      });
      app.use('/members', guard, members);
    },
  },
  {
    title: 'a request that is dispatched again',
    mount({ app, guard, members }) {
      app.get('/inner', pass, leave, guard, members).use('/inner', guard, members);
      app.get('/members', (req, res, next) => {
        req.url = '/inner';
        app(req, res, next);
      });
    },
  },
  {
    title: 'a function in app.get',
    mount: ({ app, guard, members }) =>
      app.get('/members', (req, res, next) => guard(req, res, (error) => next(error)), members),
  },
  {
    title: 'a function in app.use',
    mount: ({ app, guard, members }) => app.use('/members', (req, res, next) => guard(req, res, next), members),
  },
  {
    title: 'a function that calls the guard later, behind a route that was left',
    mount: ({ app, guard, members }) =>
      app
        .get('/members', pass, leave, guard, members)
        .use((req, res, next) => void setImmediate(() => void guard(req, res, next)), members),
  },
  {
    title: 'an asynchronous function',
    mount: ({ app, guard, members }) =>
      app.use(async (req, res, next) => {
        await Promise.resolve();
        await guard(req, res, next);
      }, members),
  },
  { title: 'a chain of handlers in app.use', mount: ({ app, guard, members }) => app.use(chained(guard, members)) },
  {
    title: 'a chain of handlers in app.get',
    mount: ({ app, guard, members }) => app.get('/members', chained(guard, members)),
  },
  {
    title: 'an error handler',
    mount: ({ app, guard, members }) =>
      app.use(fail, ((_error, req, res, next) => guard(req, res, next)) as ErrorRequestHandler, members),
  },
  {
    title: 'a list of routeBySegment in a route',
    mount: ({ app, guard, members }) => app.get('/members', routeBySegment({ default: [guard, members] })),
  },
  {
    title: 'a list of routeBySegment in app.use',
    mount: ({ app, guard, members }) => app.use(routeBySegment({ default: [pass, guard, members] })),
  },
  {
    title: 'app.use before routeBySegment',
    mount: ({ app, guard, members }) => app.use(guard, routeBySegment({ highValue: members, default: members })),
  },
];

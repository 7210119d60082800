import express, { type Router } from 'express';
import type { Guard } from 'express-aam-segments';
import type { GuardedSite } from './guarded-site';

interface Place {
  readonly title: string;
  /** Where the guard is in a route, refused visitors get what comes next; elsewhere they get an error. */
  readonly inRoute: boolean;
  /** Puts a guard before the members' page, which is at /members. */
  mount(site: Pick<GuardedSite, 'app' | 'members'>, guard: Guard): void;
}

const withRouter = (build: (router: Router) => unknown) => {
  const router = express.Router();
  build(router);
  return router;
};

/** Everywhere that Express takes a handler. */
export const PLACES: readonly Place[] = [
  {
    title: 'app.use',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use(guard).get('/members', members),
  },
  {
    title: 'app.use with a path',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use('/members', guard).get('/members', members),
  },
  {
    title: '[guard, handler] in app.use',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use('/members', [guard, members]),
  },
  {
    title: 'nested lists in app.use',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use('/members', [[guard], [[members]]] as never),
  },
  {
    title: 'router.use',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use(withRouter((router) => router.use(guard).get('/members', members))),
  },
  {
    title: 'router.use of a router in a router',
    inRoute: false,
    mount({ app, members }, guard) {
      const inner = withRouter((router) => router.use('/bers', guard, members));
      app.use(withRouter((router) => router.use('/mem', inner).use('/members', guard, members)));
    },
  },
  {
    title: 'router.use of a router in a route',
    inRoute: false,
    mount: ({ app, members }, guard) =>
      app.get(
        '/members',
        withRouter((router) => router.use(guard, members)),
      ),
  },
  {
    title: 'the use() of a sub-app',
    inRoute: false,
    mount: ({ app, members }, guard) => app.use('/members', express().use(guard).get('/', members)),
  },
  {
    title: 'app.param',
    inRoute: false,
    mount({ app, members }, guard) {
      app.param('area', (req, res, next) => void guard(req, res, next));
      app.get('/:area', members);
    },
  },
  {
    title: 'app.get',
    inRoute: true,
    mount: ({ app, members }, guard) => app.get('/members', guard, members),
  },
  {
    title: '[guard, handler] in app.get',
    inRoute: true,
    mount: ({ app, members }, guard) => app.get('/members', [[guard], members] as never),
  },
  {
    title: 'app.get behind an asynchronous handler',
    inRoute: true,
    mount({ app, members }, guard) {
      app.get('/members', async (_req, _res, next) => setImmediate(next), guard, members);
    },
  },
  {
    title: 'app.all',
    inRoute: true,
    mount: ({ app, members }, guard) => app.all('/members', guard, members),
  },
  {
    title: 'router.route().all().get()',
    inRoute: true,
    mount: ({ app, members }, guard) =>
      app.use(withRouter((router) => router.route('/members').all(guard).get(members))),
  },
  {
    title: 'a route of a router in a router',
    inRoute: true,
    mount({ app, members }, guard) {
      const inner = withRouter((router) => router.get('/:id', guard, members));
      app.use(withRouter((router) => router.use('/', inner)));
    },
  },
  {
    title: 'a route of a router in a route',
    inRoute: true,
    mount: ({ app, members }, guard) =>
      app.all(
        '/members',
        withRouter((router) => router.get('/members', guard, members)),
      ),
  },
  {
    title: 'a route of a sub-app',
    inRoute: true,
    mount: ({ app, members }, guard) => app.use('/members', express().get('/', guard, members)),
  },
];

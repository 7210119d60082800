import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { requireSegment, routeBySegment } from 'express-aam-segments';
import request from 'supertest';

const NOBODY = { status: 'fresh', hasAny: () => false, has: () => false };
const EVERYBODY = { status: 'fresh', hasAny: () => true, has: () => true };
const pass: RequestHandler = (_req, _res, next) => next();
const later: RequestHandler = (_req, _res, next) => void setImmediate(next);
const failure = new Error('failed');

/** Everything that runs a handler of the site. */
const RUNNERS: Readonly<Record<string, (handler: RequestHandler) => RequestHandler>> = {
  'otherwise of requireSegment': (otherwise) => requireSegment('highValue', { otherwise }),
  routeBySegment: (handler) => routeBySegment({ highValue: handler }),
  'the default of routeBySegment': (handler) => routeBySegment([['default', handler]]),
  'a list of routeBySegment': (handler) => routeBySegment({ highValue: [pass, handler] }),
  'a list of routeBySegment, asynchronously': (handler) => routeBySegment({ highValue: [later, pass, handler] }),
  'a routeBySegment in a routeBySegment': (handler) =>
    routeBySegment({ highValue: routeBySegment({ highValue: [handler] }) }),
};

// biome-ignore lint/suspicious/noThenProperty: a thenable, as some libraries return
const thenable = { then: (_resolve: unknown, reject: (reason: unknown) => void) => setImmediate(reject, failure) };
const HANDLERS: Readonly<Record<string, [fails: RequestHandler, message: string]>> = {
  throws: [
    () => {
      throw failure;
    },
    'failed',
  ],
  rejects: [async () => Promise.reject(failure), 'failed'],
  'rejects later': [
    async () => {
      await new Promise(setImmediate);
      throw failure;
    },
    'failed',
  ],
  'returns a rejecting thenable': [() => thenable, 'failed'],
  'calls next with an error': [(_req, _res, next) => next(failure), 'failed'],
  'rejects with nothing': [async () => Promise.reject(), 'A request handler failed with undefined'],
  'rejects with “route”': [async () => Promise.reject('route'), 'A request handler failed with route'],
  'throws nothing': [
    () => {
      throw undefined;
    },
    'A request handler failed with undefined',
  ],
  'returns an object whose then cannot be read': [
    () =>
      Object.defineProperty({}, 'then', {
        get() {
          throw failure;
        },
      }),
    'failed',
  ],
};

const cases = Object.keys(RUNNERS).flatMap((runner) => Object.keys(HANDLERS).map((way) => [runner, way] as const));

describe.each(['app.use', 'a route'])('in %s', (place) => {
  it.each(cases)('%s: a handler that %s reaches the error handling once', async (runner, way) => {
    const [fails, message] = HANDLERS[way] as [RequestHandler, string];
    const handler = (RUNNERS[runner] as (typeof RUNNERS)[string])(fails);
    const behind = jest.fn(pass);
    const caught: string[] = [];
    const app = express().use((req, _res, next) => {
      Object.assign(req, { aamSegments: runner.startsWith('otherwise') ? NOBODY : EVERYBODY });
      next();
    });
    if (place === 'app.use') app.use(handler, behind);
    else app.all('/', handler, behind);
    app.use(((error, _req, res, _next) => {
      caught.push(error.message);
      // Late enough for a second report to come before the answer.
      setImmediate(() => void setImmediate(() => void res.end()));
    }) as ErrorRequestHandler);
    await request(app).get('/');
    expect(caught).toEqual([message]);
    expect(behind).not.toHaveBeenCalled();
  });
});

describe('without Express', () => {
  it.each(cases)('%s: a handler that %s calls next once, and the returned promise resolves', async (runner, way) => {
    const [fails, message] = HANDLERS[way] as [RequestHandler, string];
    const handler = (RUNNERS[runner] as (typeof RUNNERS)[string])(fails);
    const aamSegments = runner.startsWith('otherwise') ? NOBODY : EVERYBODY;
    const errors: string[] = [];
    await new Promise<void>((called) => {
      const next = (error?: unknown) => {
        errors.push((error as Error).message);
        called();
      };
      const result: unknown = handler({ aamSegments } as never, {} as never, next);
      // As Express 5 does.
      if (result instanceof Promise) result.then(null, next);
    });
    await new Promise(setImmediate);
    expect(errors).toEqual([message]);
  });

  it('an error that the segments throw reaches next once', () => {
    const hasAny = () => {
      throw failure;
    };
    for (const handler of [requireSegment('highValue'), routeBySegment({ highValue: pass })]) {
      const next = jest.fn();
      void handler({ aamSegments: { hasAny } } as never, {} as never, next);
      expect(next.mock.calls).toEqual([[failure]]);
    }
  });
});

describe('an asynchronous handler that succeeds', () => {
  it.each(Object.keys(RUNNERS))('does not call next: %s', async (runner) => {
    const segments = runner.startsWith('otherwise') ? NOBODY : EVERYBODY;
    const next = jest.fn();
    const handler = RUNNERS[runner]?.(async (_req, res) => void res.end()) as RequestHandler;
    const ended = new Promise((end) => {
      void handler({ aamSegments: segments } as never, { end } as never, next);
    });
    await ended;
    expect(next).not.toHaveBeenCalled();
  });
});

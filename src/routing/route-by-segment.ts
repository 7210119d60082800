import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { RegisteredName } from '../express';
import { assert, isRecord, isText } from '../option-checks';
import { type SegmentRef, wantedById } from '../segments/segment-refs';
import { passOn } from './inside-route';
import { requestSegments } from './request-segments';

/** One handler, or several that run one after the other as in a route. */
export type SegmentHandlers = RequestHandler | readonly RequestHandler[];

/**
 * Handlers by segment; the first segment that the visitor is in decides. As an object the keys are configured names; as a
 * list of pairs the segments can be ids too. `default` is for everybody else, wherever it stands.
 */
export type SegmentRoutes<Name extends string = string> =
  | { readonly [Key in Name | 'default']?: SegmentHandlers }
  | readonly (readonly [SegmentRef<Name> | 'default', SegmentHandlers])[];

/** What {@link routeBySegment} returns: a request handler. */
export type SegmentRouter = (req: Request, res: Response, next: NextFunction) => void | Promise<void>;

/**
 * A handler that passes a request on to the handlers of the first segment that the visitor is in, else to `default`. With
 * no match and no `default`, the route is left by `next('route')`, and a list of handlers too; elsewhere the request simply
 * goes on.
 *
 * @throws {AamError} `ERR_AAM_INVALID_OPTION` when it is created. To `next(err)`: `ERR_AAM_MIDDLEWARE_MISSING`,
 * `ERR_AAM_UNKNOWN_SEGMENT`
 * @example app.get('/landing', routeBySegment({ golfFans: golfPage, highValue: vipPage, default: plainPage }));
 */
export function routeBySegment<Name extends string = RegisteredName>(
  // NoInfer: else a misspelt name would itself be taken for what `Name` is.
  routes: SegmentRoutes<NoInfer<Name>>,
): SegmentRouter {
  const entries = checkedEntries(routes);
  const refs = entries.filter(([ref]) => ref !== 'default').map(([ref]) => ref);
  const handlersOf = new Map(entries);

  function segmentRouter(req: Request, res: Response, next: NextFunction): void | Promise<void> {
    let handler: RequestHandler | undefined;
    try {
      const segments = requestSegments(req);
      // Asked for all of them first, so that a misspelt name shows whoever the visitor is.
      segments.hasAny(...refs);
      handler = handlersOf.get(refs.find((ref) => segments.has(ref)) ?? 'default');
    } catch (error) {
      next(error);
      return;
    }
    if (handler !== undefined) return handler(req, res, next) as void | Promise<void>;
    passOn(req, next);
  }
  return segmentRouter;
}

function checkedEntries(routes: unknown): [SegmentRef, RequestHandler][] {
  const rule = 'an object of names and handlers, or a list of [segment, handler]';
  assert(isRecord(routes) || Array.isArray(routes), 'routes', rule, routes);
  const pairs: unknown[] = Array.isArray(routes) ? routes : Object.entries(routes);
  assert(pairs.length > 0, 'routes', 'at least one segment or default', routes);
  const seen = new Set<unknown>();
  return pairs.map((pair, n) => {
    assert(Array.isArray(pair) && pair.length === 2, 'routes', rule, pair);
    const [ref, handlers] = pair as [unknown, unknown];
    const path = `routes[${isText(ref) || typeof ref === 'number' ? ref : n}]`;
    if (!Array.isArray(routes)) {
      // JavaScript puts such keys before all others, whatever their order in the source.
      assert(!/^\d+$/.test(ref as string), path, 'a configured name; for ids give a list: [[984263, handler]]', ref);
    }
    assert(isText(ref) || wantedById(ref) !== undefined, path, 'a configured name, an id or { value: string }', ref);
    assert(!seen.has(ref), path, 'given once', ref);
    seen.add(ref);
    return [ref as SegmentRef, inSequence(path, handlers)];
  });
}

function inSequence(path: string, handlers: unknown): RequestHandler {
  const list: unknown[] = Array.isArray(handlers) ? handlers.flat(Number.POSITIVE_INFINITY) : [handlers];
  assert(
    list.length > 0 && list.every(isHandler),
    path,
    'a request handler (req, res, next), or a list of them',
    handlers,
  );
  const [first, ...rest] = list as [RequestHandler, ...RequestHandler[]];
  return rest.length === 0 ? first : (req, res, next) => first(req, res, continuing(rest, req, res, next));
}

/**
 * The `next` of all handlers but the last. Nobody sees what a handler returns or throws that is called through it, so
 * both go to the request's error handling, as a route does it.
 */
function continuing(rest: RequestHandler[], req: Request, res: Response, next: NextFunction): NextFunction {
  return (error?: unknown) => {
    const [handler, ...others] = rest;
    if (error || handler === undefined) {
      next(error);
      return;
    }
    try {
      const result: unknown = handler(req, res, continuing(others, req, res, next));
      if (isThenable(result)) result.then(undefined, (reason) => next(reason || new Error('Rejected promise')));
    } catch (thrown) {
      next(thrown);
    }
  };
}

/** A function of four parameters handles errors; Express never calls it for a request without one. */
function isHandler(value: unknown): value is RequestHandler {
  return typeof value === 'function' && value.length < 4;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

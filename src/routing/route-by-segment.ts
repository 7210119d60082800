/** Owns: choosing the handlers of a request by the visitor's segments. */
import type { RegisteredName } from '../express';
import { assert, isRecord, isText } from '../option-checks';
import { type SegmentRef, wantedById } from '../segments/segment-refs';
import { publishDecision, textOf } from './decision';
import { requestSegments, type SegmentsOf } from './request-segments';
import type { Guard } from './require-segment';
import { type AnyRequestHandler, isRequestHandler, runInOrder, toError } from './run-handler';

/** One handler, or several that run one after the other as in a route. */
export type SegmentHandlers<H extends AnyRequestHandler = AnyRequestHandler> = H | readonly H[];

/**
 * Handlers by segment; the first segment that the visitor is in decides. The keys of an object are configured names; in a
 * list of pairs, segments can also be given by id. `default` is for all other visitors, and can stand anywhere.
 */
export type SegmentRoutes<Name extends string = string, H extends AnyRequestHandler = AnyRequestHandler> =
  | { readonly [Key in Name | 'default']?: SegmentHandlers<H> }
  | readonly (readonly [SegmentRef<Name> | 'default', SegmentHandlers<H>])[];

/**
 * What {@link routeBySegment} returns: a request handler. It has the type of its handlers, so that TypeScript
 * infers the types of the route for them, such as `req.params` of `/:id`.
 */
export type SegmentRouter<H extends AnyRequestHandler = AnyRequestHandler> = H | Guard;

/**
 * A handler that passes a request on to the handlers of the first segment that the visitor is in, else to `default`. With
 * no match and no `default` the request goes on to the next route, by `next('route')`; in Connect, which has no routes, by
 * `next()`.
 *
 * It chooses content and does not protect it: in `app.use()` Express treats `next('route')` as `next()`, and the handlers
 * behind it run. To keep visitors out, use {@link requireSegment}.
 *
 * @throws {AamError} `ERR_AAM_INVALID_OPTION` when it is created. To `next(err)`: `ERR_AAM_MIDDLEWARE_MISSING`,
 * `ERR_AAM_UNKNOWN_SEGMENT`, and whatever a handler throws or rejects with
 * @example app.get('/landing', routeBySegment({ golfFans: golfPage, highValue: vipPage, default: plainPage }));
 */
export function routeBySegment<H extends AnyRequestHandler>(
  routes: SegmentRoutes<RegisteredName, H>,
): SegmentRouter<H> {
  return createSegmentRouter(requestSegments, routes);
}

/** {@link routeBySegment} that decides by the segments found in this way. */
export function createSegmentRouter(segmentsOf: SegmentsOf, routes: SegmentRoutes): Guard {
  const entries = checkedEntries(routes);
  const refs = entries.filter(([ref]) => ref !== 'default').map(([ref]) => ref);
  const handlersOf = new Map(entries);

  return function segmentRouter(req, res, next) {
    let handlers: readonly AnyRequestHandler[] | undefined;
    try {
      const segments = segmentsOf(req);
      // Checks all names first, so that a misspelt one fails for every visitor.
      segments.hasAny(...refs);
      const chosen = refs.find((ref) => segments.has(ref)) ?? 'default';
      handlers = handlersOf.get(chosen);
      publishDecision(segments, 'router', refs, handlers === undefined ? 'none' : textOf(chosen));
    } catch (error) {
      next(toError(error));
      return;
    }
    if (handlers !== undefined) return runInOrder(handlers, req, res, next);
    // Only Express sets `req.app`. Connect would treat 'route' as an error.
    const isExpress = (req as { app?: unknown }).app !== undefined;
    if (isExpress) next('route');
    else next();
  };
}

function checkedEntries(routes: unknown): [SegmentRef, readonly AnyRequestHandler[]][] {
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
    return [ref as SegmentRef, checkedHandlers(path, handlers)];
  });
}

/** Handlers as a flat list. */
export function checkedHandlers(path: string, handlers: unknown): readonly AnyRequestHandler[] {
  const list: unknown[] = Array.isArray(handlers) ? handlers.flat(Number.POSITIVE_INFINITY) : [handlers];
  const rule = 'a request handler (req, res, next), or a list of them';
  assert(list.length > 0 && list.every(isRequestHandler), path, rule, handlers);
  return list as AnyRequestHandler[];
}

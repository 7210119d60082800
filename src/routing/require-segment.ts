import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { AamError } from '../errors';
import type { RegisteredName } from '../express';
import { assert, group, isText, oneOf } from '../option-checks';
import { type SegmentRef, wantedById } from '../segments/segment-refs';
import { leaveRoute, type Next, recognisable } from './inside-route';
import { requestSegments } from './request-segments';

/** How a guard decides, and what refused visitors get. */
export interface RequireSegmentOptions {
  /** Whether one of the segments is enough, or all are needed. @default 'any' */
  readonly match?: 'any' | 'all' | undefined;
  /**
   * What refused visitors get where the guard is not in a route, or has no handler behind it there: an HTTP status from
   * 400 to 599, a URL to be redirected to, or a handler. In a route they get the next route that matches, whatever stands
   * here.
   * @default an error, `ERR_AAM_GUARD_OUTSIDE_ROUTE`
   */
  readonly otherwise?: number | string | RequestHandler | undefined;
}

/** A guard: lets a request through to the handlers behind it, or refuses. */
export type Guard = (req: IncomingMessage, res: ServerResponse, next: Next) => void | Promise<void>;

/**
 * A guard that lets only visitors in a segment through. Everybody else is refused, whatever their status: unknown,
 * anonymous and excluded visitors are in no segment.
 *
 * Inside a route a refusal is `next('route')`: the next route that matches answers. Elsewhere (`app.use`), and in a route
 * that has no handler behind the guard (`app.all('/members/*', guard)`), that would let the visitor in, so there
 * `otherwise` answers, and without one the request ends in an error.
 *
 * @throws {AamError} `ERR_AAM_INVALID_OPTION` when it is created from what is no segment. To `next(err)`:
 * `ERR_AAM_MIDDLEWARE_MISSING`, `ERR_AAM_GUARD_OUTSIDE_ROUTE`, `ERR_AAM_UNKNOWN_SEGMENT`
 * @example app.get('/members', requireSegment('highValue'), members);
 */
export function requireSegment<Name extends string = RegisteredName>(
  // NoInfer: else a misspelt name would itself be taken for what `Name` is.
  refs: SegmentRef<NoInfer<Name>> | readonly SegmentRef<NoInfer<Name>>[],
  options: RequireSegmentOptions = {},
): Guard {
  // A copy: who empties the list later must not open the guard.
  const wanted: readonly SegmentRef[] = isList(refs) ? [...refs] : [refs];
  assert(wanted.length > 0, 'refs', 'at least one segment: a guard without one would let everybody in', refs);
  for (const ref of wanted) {
    const isRef = isText(ref) || wantedById(ref) !== undefined;
    assert(isRef, 'a ref', 'a configured name, an id or { value: string }', ref);
  }
  const given = group<RequireSegmentOptions>('options', options, { match: true, otherwise: true });
  const match = oneOf('options.match', given.match, ['any', 'all'], 'any');
  const refuse = refusalBy(given.otherwise);

  function segmentGuard(req: IncomingMessage, res: ServerResponse, next: Next): void | Promise<void> {
    let isIn: boolean;
    try {
      const segments = requestSegments(req);
      isIn = match === 'all' ? segments.hasAll(...wanted) : segments.hasAny(...wanted);
    } catch (error) {
      next(error);
      return;
    }
    if (isIn) next();
    else if (!leaveRoute(req, next, segmentGuard)) return refuse(req, res, next);
  }
  return recognisable(segmentGuard);
}

function refusalBy(otherwise: RequireSegmentOptions['otherwise']): Guard {
  switch (typeof otherwise) {
    case 'undefined':
      return (_req, _res, next) => next(outsideRoute());
    case 'number':
      check(Number.isInteger(otherwise) && otherwise >= 400 && otherwise <= 599, otherwise);
      return (_req, res) => answer(res, otherwise, STATUS_CODES[otherwise] ?? String(otherwise));
    case 'string':
      check(/^[\x21-\x7e]+$/.test(otherwise), otherwise);
      return (_req, res) => {
        res.setHeader('Location', otherwise);
        answer(res, 302, '');
      };
    default:
      check(typeof otherwise === 'function' && otherwise.length < 4, otherwise);
      return (req, res, next) => otherwise(req as Request, res as Response, next) as void | Promise<void>;
  }
}

function check(condition: boolean, otherwise: unknown): asserts condition {
  const rule = 'an HTTP status from 400 to 599, a URL (percent-encoded) or a handler';
  assert(condition, 'options.otherwise', rule, otherwise);
}

function answer(res: ServerResponse, statusCode: number, body: string): void {
  res.statusCode = statusCode;
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(body);
}

function outsideRoute(): AamError {
  return new AamError(
    'ERR_AAM_GUARD_OUTSIDE_ROUTE',
    "a segment guard refused where next('route') would let the visitor in: put it into the route, before the handler " +
      "(app.get(path, guard, handler)), or give it the option 'otherwise'",
  );
}

function isList<T>(refs: T | readonly T[]): refs is readonly T[] {
  return Array.isArray(refs);
}

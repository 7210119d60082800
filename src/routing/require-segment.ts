/** Owns: guards, which only let visitors in a segment through to the handlers behind them. Next: run-handler.ts. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { OPTIONS } from '../diagnosis/option-names';
import type { RegisteredName } from '../express';
import { assert, flag, group, isText, oneOf } from '../option-checks';
import { type SegmentRef, wantedById } from '../segments/segment-refs';
import { publishDecision } from './decision';
import { requestSegments, type SegmentsOf } from './request-segments';
import { type AnyRequestHandler, isRequestHandler, type Next, runHandler, toError } from './run-handler';
import { segmentRequired } from './segment-required';

const TAKER = 'requireSegment()';

/** How a guard decides, and what refused visitors get. */
export interface RequireSegmentOptions {
  /** Whether being in one of the segments is enough (`'any'`), or all are required (`'all'`). @default 'any' */
  readonly match?: 'any' | 'all' | undefined;
  /**
   * What refused visitors get: an HTTP status from 400 to 599, a URL to redirect to (302), or a request handler.
   * @default the error `ERR_AAM_SEGMENT_REQUIRED`, to `next(err)`
   * @example
   * // Let the next route with this path answer. Only safe if guard and handler are in the same route, never in
   * // app.use(), where Express treats next('route') as next() and lets the visitor in.
   * const otherwise: RequestHandler = (req, res, next) => next('route');
   * app.get('/members', requireSegment('highValue', { otherwise }), members);
   * app.get('/members', notYet);
   */
  readonly otherwise?: number | string | AnyRequestHandler | undefined;
  /**
   * Whether a preview of the segments passes, too (see the option `preview`). A link then opens what the guard protects to
   * everybody who has it.
   * @default false
   */
  readonly preview?: boolean | undefined;
}

/** A request handler that is independent of the types of its route: handlers with any parameters and bodies can follow. */
export type Guard = (req: IncomingMessage, res: ServerResponse, next: Next) => void | Promise<void>;

/**
 * A guard that only lets visitors in a segment through. All others are refused; `unknown`, `anonymous` and `excluded`
 * visitors are in no segment, and a preview opens nothing.
 *
 * A guard refuses in the same way wherever it is mounted: `otherwise` answers, and without it `next(err)` gets an error
 * with status 403. The handlers behind the guard do not run, and no other route does.
 *
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION` when it is created. To `next(err)`:
 * `ERR_AAM_SEGMENT_REQUIRED` (a {@link SegmentRequiredError}), `ERR_AAM_MIDDLEWARE_MISSING`, `ERR_AAM_UNKNOWN_SEGMENT`
 * @example
 * app.get('/members', requireSegment('highValue'), members);
 * app.use('/club', requireSegment(['golfFans', 'highValue'], { match: 'all', otherwise: '/join' }), club);
 */
export function requireSegment(
  refs: SegmentRef<RegisteredName> | readonly SegmentRef<RegisteredName>[],
  options?: RequireSegmentOptions,
): Guard {
  return createGuard(requestSegments, refs, options);
}

/** {@link requireSegment} that decides by the segments found in this way. */
export function createGuard(
  segmentsOf: SegmentsOf,
  refs: SegmentRef | readonly SegmentRef[],
  options: RequireSegmentOptions = {},
): Guard {
  // A copy, since emptying the caller's list later would open the guard.
  const wanted: readonly SegmentRef[] = isList(refs) ? [...refs] : [refs];
  assert(wanted.length > 0, 'refs', 'at least one segment: a guard without one would let everybody in', refs);
  for (const ref of wanted) {
    const isRef = isText(ref) || wantedById(ref) !== undefined;
    assert(isRef, 'a ref', 'a configured name, an id or { value: string }', ref);
  }
  const given = group<RequireSegmentOptions>('options', options, OPTIONS[TAKER], TAKER);
  const match = oneOf('options.match', given.match, ['any', 'all'], 'any');
  const opensToPreviews = flag('options.preview', given.preview, false);
  const refuse = refusalBy(given.otherwise) ?? ((req, _res, next) => next(segmentRequired(segmentsOf(req))));

  return function segmentGuard(req, res, next) {
    let isIn: unknown;
    try {
      const segments = segmentsOf(req);
      isIn = match === 'all' ? segments.hasAll(...wanted) : segments.hasAny(...wanted);
      if (segments.status === 'preview' && !opensToPreviews) isIn = false;
      publishDecision(segments, 'guard', wanted, isIn === true ? 'passed' : 'refused');
    } catch (error) {
      next(toError(error));
      return;
    }
    // Only `true`: an object that a test puts in place of the segments may return a promise.
    if (isIn === true) next();
    else return runHandler(refuse, req, res, next);
  };
}

function refusalBy(otherwise: RequireSegmentOptions['otherwise']): AnyRequestHandler | undefined {
  switch (typeof otherwise) {
    case 'undefined':
      return undefined;
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
      check(isRequestHandler(otherwise), otherwise);
      return otherwise;
  }
}

function check(condition: boolean, otherwise: unknown): asserts condition {
  const rule = 'an HTTP status from 400 to 599, a URL (percent-encoded) or a request handler (req, res, next)';
  assert(condition, 'options.otherwise', rule, otherwise);
}

function answer(res: ServerResponse, statusCode: number, body: string): void {
  res.statusCode = statusCode;
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(body);
}

function isList<T>(refs: T | readonly T[]): refs is readonly T[] {
  return Array.isArray(refs);
}

/** Owns: which segments a guard or a router decides by. */
import type { IncomingMessage } from 'node:http';
import { AamError } from '../errors';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';

/**
 * Finds the segments on a request.
 * @throws {AamError} `ERR_AAM_MIDDLEWARE_MISSING`
 */
export type SegmentsOf = (req: IncomingMessage) => VisitorSegments;

/** `req.aamSegments`, as set by the instance that ran last. */
export const requestSegments: SegmentsOf = (req) => {
  const segments = aamSegmentsOf(req);
  // Not instanceof: the middleware may come from another copy of the package.
  if (typeof segments?.hasAny !== 'function') {
    throw new AamError(
      'ERR_AAM_MIDDLEWARE_MISSING',
      'req.aamSegments is missing: mount the middleware that aamSegments() returns before this handler',
    );
  }
  return segments;
};

/** The segments that this instance has served, even if other instances ran after it. */
export function segmentsServedBy(instance: Instance): SegmentsOf {
  return (req) => {
    const segments = VisitorSegments.servedBy(aamSegmentsOf(req), instance);
    if (segments === undefined) {
      throw new AamError(
        'ERR_AAM_MIDDLEWARE_MISSING',
        'this instance of the middleware has not run on this request: mount it before its own guards and routers',
      );
    }
    return segments;
  };
}

function aamSegmentsOf(req: IncomingMessage): VisitorSegments | undefined {
  return (req as { aamSegments?: VisitorSegments }).aamSegments;
}

/** Owns: which segments a guard or a router decides by. */
import type { IncomingMessage } from 'node:http';
import { middlewareMissing } from '../segments/middleware-missing';
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
    throw middlewareMissing('There are no segments to decide by', segments, undefined);
  }
  return segments;
};

/** The segments that this instance has served, even if other instances ran after it. */
export function segmentsServedBy(instance: Instance): SegmentsOf {
  return (req) => {
    const shown = aamSegmentsOf(req);
    const segments = VisitorSegments.servedBy(shown, instance);
    if (segments === undefined) {
      throw middlewareMissing('This instance has no segments for the request', shown, instance);
    }
    return segments;
  };
}

function aamSegmentsOf(req: IncomingMessage): VisitorSegments | undefined {
  return (req as { aamSegments?: VisitorSegments }).aamSegments;
}

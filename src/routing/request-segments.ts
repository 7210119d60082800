import type { IncomingMessage } from 'node:http';
import { AamError } from '../errors';
import type { VisitorSegments } from '../segments/visitor-segments';

/** @throws {AamError} `ERR_AAM_MIDDLEWARE_MISSING` */
export function requestSegments(req: IncomingMessage): VisitorSegments {
  const segments = (req as { aamSegments?: VisitorSegments }).aamSegments;
  // Not instanceof: the middleware may come from another copy of the package.
  if (typeof segments?.hasAny !== 'function') {
    throw new AamError(
      'ERR_AAM_MIDDLEWARE_MISSING',
      'req.aamSegments is missing: mount the middleware that aamSegments() returns before this handler',
    );
  }
  return segments;
}

import type { RequestHandler } from 'express';
import { callDcs, type DcsOrigins, visitorOf } from './call-dcs';

/** A call on every page view, with a timeout of a second. */
export function fetchPerRequest(dcs: DcsOrigins): RequestHandler {
  return async (req, res, next) => {
    res.locals.ids = [];
    const visitor = visitorOf(req);
    try {
      if (visitor) res.locals.ids = await callDcs(dcs, visitor);
    } catch {
      // The page goes on without segments.
    }
    next();
  };
}

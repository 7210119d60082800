import type { RequestHandler } from 'express';
import { callDcs, type DcsOrigins, visitorOf } from './call-dcs';

/** A call on every page view, raced with a timer of `maxWaitMs`. */
export function promiseRace(dcs: DcsOrigins, maxWaitMs: number): RequestHandler {
  return async (req, res, next) => {
    res.locals.ids = [];
    const visitor = visitorOf(req);
    if (visitor) {
      const call = callDcs(dcs, visitor).catch(() => []);
      const late = new Promise<string[]>((resolve) => setTimeout(resolve, maxWaitMs, []));
      res.locals.ids = await Promise.race([call, late]);
    }
    next();
  };
}

/**
 * Owns: knowing whether a handler runs inside a route. There, `next('route')` leaves the route; in `app.use()` Express
 * takes it for a plain `next()` and goes on to the very handler that should not run.
 */
import type { IncomingMessage } from 'node:http';

/** Where a handler keeps itself, so that it is recognised in a stack also when a tracing tool has wrapped it. */
const SELF = Symbol('express-aam-segments.handler');

// biome-ignore lint/suspicious/noExplicitAny: whatever handlers are like
type AnyHandler = (...args: any[]) => unknown;

/** What Express 4 and 5 leave on a request while they pass it on. */
interface RoutedRequest extends IncomingMessage {
  /** The route that matched last. It stays when that route has been left. */
  route?: { stack?: readonly { handle?: { [SELF]?: AnyHandler } }[] } | undefined;
  /** The `next` of the router that is passing the request on. In a route the handler gets another one. */
  next?: unknown;
}

export type Next = (error?: unknown) => void;

/** Makes a handler recognisable to {@link leaveRoute}. */
export function recognisable<H extends AnyHandler>(handler: H): H {
  return Object.assign(handler, { [SELF]: handler });
}

/**
 * Leaves the route in which the handler runs. Returns false, having done nothing, unless it is certain that it runs in
 * one: the handler was not called by a router itself, and the route that matched last has it among its own.
 */
export function leaveRoute(request: IncomingMessage, next: Next, handler: AnyHandler): boolean {
  const req = request as RoutedRequest;
  if (next === req.next) return false;
  if (!req.route?.stack?.some((layer) => layer.handle?.[SELF] === handler)) return false;
  // Else the route that is being left would still look like the current one to whatever comes behind it.
  req.route = undefined;
  next('route');
  return true;
}

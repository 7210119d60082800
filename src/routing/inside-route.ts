/**
 * Owns: leaving a route, and knowing whether a guard runs inside one. There, `next('route')` leaves the route; in
 * `app.use()` Express takes it for a plain `next()` and goes on to the very handler that should not run.
 */
import type { IncomingMessage } from 'node:http';

/**
 * Where a guard keeps itself, so that it is recognised in a stack also when a tracing tool has put a function of its own
 * in its place. Those copy what they find by `for...in`, some of them nothing else: so it is no symbol.
 */
const SELF = 'aamSegmentGuard';

// biome-ignore lint/suspicious/noExplicitAny: whatever handlers are like
type AnyHandler = (...args: any[]) => unknown;

/** One of the handlers of a route. */
interface Layer {
  readonly handle?: AnyHandler & { readonly [SELF]?: AnyHandler };
  /** The only method that it is for. */
  readonly method?: string | undefined;
}

/** What Express 4 and 5 leave on a request while they pass it on. */
interface RoutedRequest extends IncomingMessage {
  /** The route that matched last. It stays when that route has been left. */
  route?: { readonly stack?: readonly Layer[] } | undefined;
  /** The `next` of the router that is passing the request on. In a route the handler gets another one. */
  next?: unknown;
}

export type Next = (error?: unknown) => void;

/** Makes a guard recognisable to {@link leaveRoute}. */
export function recognisable<H extends AnyHandler>(guard: H): H {
  return Object.assign(guard, { [SELF]: guard });
}

/**
 * Leaves the route in which a guard runs. Returns false, having done nothing, where it does not run in one, or in one
 * that has nothing to guard: whatever comes behind that route would get the request.
 */
export function leaveRoute(request: IncomingMessage, next: Next, guard: AnyHandler): boolean {
  const req = request as RoutedRequest;
  if (next === req.next || !isGuarding(guard, req.route?.stack ?? []) || isCalledByUse()) return false;
  // Else the route that is being left would still look like the current one to whatever comes behind it.
  req.route = undefined;
  next('route');
  return true;
}

/**
 * Passes a request on that a handler has nothing for. In doubt it leaves a route: to the `next` of `use()` that is a plain
 * `next()`, and whatever comes behind a handler in its route may count on its having been there.
 */
export function passOn(request: IncomingMessage, next: Next): void {
  const isPassedByExpress = (request as RoutedRequest).next !== undefined;
  if (isPassedByExpress) next('route');
  else next();
}

/** Whether the guard is among the handlers of a route, and not only other guards are behind it. */
function isGuarding(guard: AnyHandler, layers: readonly Layer[]): boolean {
  const at = layers.findLastIndex(({ handle }) => handle?.[SELF] === guard);
  const own = layers[at]?.method;
  return layers.some(({ handle, method }, index) => {
    const isGuarded = handle !== undefined && handle[SELF] === undefined && handle.length < 4;
    return at !== -1 && index > at && isGuarded && (own === undefined || method === undefined || own === method);
  });
}

/** The method of Express 4 and 5 that calls a handler, and what calls that method: `use()` or a route. */
const LAYER = /^Layer\d*\.handle/;
const USE_OR_ROUTE = /^(?:(trim_?prefix)|next)\d* /i;

/**
 * Whether Express calls the running guard as one of `use()`. The request does not tell: where something wraps `next`, as
 * tracing tools do, a guard that stands in `use()` and in a route too looks as if it ran in the route, although another
 * handler has left that. But the call stack tells, since Express calls handlers synchronously. (Not that of a minified
 * Express: there a guard is best not shared between a route and `use()`.)
 */
function isCalledByUse(): boolean {
  let isBehindLayer = false;
  for (const each of callStack()) {
    const call = String(each);
    const from = isBehindLayer ? USE_OR_ROUTE.exec(call) : null;
    if (from !== null) return from[1] !== undefined;
    isBehindLayer ||= LAYER.test(call);
  }
  return false;
}

/** The calls on the stack, innermost first. */
function callStack(): readonly NodeJS.CallSite[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: unknown } = {};
  try {
    Error.stackTraceLimit = 100;
    Error.prepareStackTrace = (_error, calls) => calls;
    Error.captureStackTrace(holder, callStack);
    return holder.stack as NodeJS.CallSite[];
  } finally {
    Error.prepareStackTrace = prepareStackTrace as NonNullable<typeof prepareStackTrace>;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

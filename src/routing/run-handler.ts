/**
 * Owns: running a handler of the site. What it throws or rejects with is passed to `next()` once: Express 4 ignores
 * promises, and Express 5 would report a rejected promise a second time if it were returned.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';

export type Next = (error?: unknown) => void;

/** A request handler of any route, whatever its parameters, bodies and locals. */
// biome-ignore lint/suspicious/noExplicitAny: handlers of routes with different parameters have nothing else in common
export type AnyRequestHandler = RequestHandler<any, any, any, any, any>;

/** A function with four parameters is an error handler, which Express only calls after an error. */
export function isRequestHandler(value: unknown): value is AnyRequestHandler {
  return typeof value === 'function' && value.length < 4;
}

export function runHandler(
  handler: AnyRequestHandler,
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
): void | Promise<void> {
  const fail = (thrown: unknown) => next(toError(thrown));
  try {
    const result: unknown = handler(req as Request, res as Response, next);
    if (isThenable(result)) return Promise.resolve(result).then(() => {}, fail);
  } catch (thrown) {
    fail(thrown);
  }
}

/** Runs handlers as a route does, each when the one before calls `next()`. `next('route')` and errors leave the list. */
export function runInOrder(
  [handler, ...rest]: readonly AnyRequestHandler[],
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
): void | Promise<void> {
  if (handler === undefined) {
    next();
    return;
  }
  return runHandler(handler, req, res, (error) => {
    if (error) next(error);
    else void runInOrder(rest, req, res, next);
  });
}

/** What was thrown; wrapped in an error if `next()` would not take it for one: a falsy value, `'route'` or `'router'`. */
export function toError(thrown: unknown): unknown {
  const meansGoOn = !thrown || thrown === 'route' || thrown === 'router';
  return meansGoOn ? new Error(`A request handler failed with ${String(thrown)}`, { cause: thrown }) : thrown;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

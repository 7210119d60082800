/**
 * Owns: running a handler of the site, and what it is. Whatever the handler throws or rejects with reaches `next()` once:
 * on Express 4, which ignores promises, and on Express 5, which would report a rejected promise a second time if it were
 * returned.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';

export type Next = (error?: unknown) => void;

/** A request handler of any route, whatever its parameters, bodies and locals. */
// biome-ignore lint/suspicious/noExplicitAny: handlers of routes with different parameters have nothing else in common
export type AnyRequestHandler = RequestHandler<any, any, any, any, any>;

/** A function with four parameters handles errors: Express never calls it for a request without one. */
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

/** What was thrown, unless `next()` would take it for "no error": nothing at all, `'route'` or `'router'`. */
export function toError(thrown: unknown): unknown {
  const meansGoOn = !thrown || thrown === 'route' || thrown === 'router';
  return meansGoOn ? new Error(`A request handler failed with ${String(thrown)}`, { cause: thrown }) : thrown;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

import type { VisitorSegments } from './segments/visitor-segments';

/**
 * Tells TypeScript, once per site, which instance `req.aamSegments` comes from, so that a misspelt segment name does
 * not compile. Unregistered, a name is any string.
 *
 * @example
 * declare module 'express-aam-segments' {
 *   interface Register { aam: typeof aam }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be merged into
export interface Register {}

/** The segment names of the registered instance. */
export type RegisteredName = Register extends {
  aam: { lookup(...args: never[]): Promise<VisitorSegments<infer Name>> };
}
  ? Name
  : string;

declare global {
  namespace Express {
    interface Request {
      /** The segments of the visitor who makes this request. Always there behind the middleware. */
      aamSegments: VisitorSegments<RegisteredName>;
    }
  }
}

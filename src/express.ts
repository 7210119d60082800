import type { VisitorSegments } from './segments/visitor-segments';

/**
 * Registers the type of the site's instance, once per site, so that a misspelt segment name in `req.aamSegments` does not
 * compile. Without it, any string is accepted as a name.
 *
 * @example
 * declare module 'express-aam-segments' {
 *   interface Register { aam: typeof aam }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: sites merge their instance into it
export interface Register {}

/** The segment names of the registered instance; `string` without one. */
export type RegisteredName = Register extends {
  aam: { lookup(...args: never[]): Promise<VisitorSegments<infer Name>> };
}
  ? Name
  : string;

declare global {
  namespace Express {
    interface Request {
      /** The segments of this request's visitor. Always present after the middleware. */
      aamSegments: VisitorSegments<RegisteredName>;
    }
  }
}

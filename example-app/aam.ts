import { type AamSegmentsOptions, aamSegments } from 'express-aam-segments';

/** The segments that this shop uses, by their Audience Manager ids. */
export const SEGMENTS = { golfFans: 984263, highValue: 985264 };

export type Segment = keyof typeof SEGMENTS;

/** How long a page waits for an answer at most, in milliseconds. */
export const MAX_WAIT_MS = 150;

export type Aam = ReturnType<typeof createAam>;

/** Creates the middleware. Use one per process: it owns a cache and a pool of sockets. */
export function createAam(options: AamSegmentsOptions<Segment>) {
  return aamSegments({ segments: SEGMENTS, maxWaitMs: MAX_WAIT_MS, ...options });
}

// Makes a misspelt segment name a type error.
declare module 'express-aam-segments' {
  interface Register {
    aam: Aam;
  }
}

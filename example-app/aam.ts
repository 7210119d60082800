import { type AamSegmentsOptions, aamSegments } from 'express-aam-segments';

/** The segments that this shop cares about, by the ids that Audience Manager gave them. */
export const SEGMENTS = { golfFans: 984263, highValue: 985264 };

export type Segment = keyof typeof SEGMENTS;

/** No page is held for longer than this. */
export const MAX_WAIT_MS = 150;

export type Aam = ReturnType<typeof createAam>;

/** The middleware of this shop. One is enough for a process: it owns a cache and a pool of sockets. */
export function createAam(options: AamSegmentsOptions<Segment>) {
  return aamSegments({ segments: SEGMENTS, maxWaitMs: MAX_WAIT_MS, ...options });
}

// From here on TypeScript refuses a misspelt segment, wherever in the shop it stands.
declare module 'express-aam-segments' {
  interface Register {
    aam: Aam;
  }
}

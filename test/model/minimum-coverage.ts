/** What 100 000 steps must have met, and how often. */
export const MINIMUM_COVERAGE: readonly (readonly [what: string, count: number])[] = [];

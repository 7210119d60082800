/** The limits of a modelled site: small, so that they are met. */
import fc from 'fast-check';

export interface Limits {
  readonly connections: number;
  readonly maxQueuedCalls: number;
  readonly maxQueuedEvents: number;
  readonly maxCallsPerMinute: number;
  readonly timeoutMs: number;
  readonly failureCooldownMs: number;
  readonly noDataCooldownMs: number;
  readonly breaker: false | { minCalls: number; windowMs: number; failurePercent: number; probeAfterMs: number };
  readonly failover: boolean;
  readonly regions: number;
  readonly ttlMs: number;
  readonly emptyTtlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly maxWaitMs: number;
  readonly maxVisitors: number;
  readonly closesAtOnce: boolean;
  /** In the place of `Math.random()`: a history can be run again. */
  readonly random: number;
}

export const LIMITS: fc.Arbitrary<Limits> = fc.record({
  connections: fc.integer({ min: 1, max: 4 }),
  maxQueuedCalls: fc.integer({ min: 1, max: 4 }),
  maxQueuedEvents: fc.integer({ min: 1, max: 10 }),
  maxCallsPerMinute: fc.constantFrom(2, 3, 5, 20),
  timeoutMs: fc.constantFrom(100, 1_000, 3_000),
  failureCooldownMs: fc.constantFrom(0, 50, 1_000),
  noDataCooldownMs: fc.constantFrom(10, 15_000),
  breaker: fc.oneof(
    fc.constant(false as const),
    fc.record({
      minCalls: fc.integer({ min: 1, max: 4 }),
      windowMs: fc.constantFrom(1_000, 10_000),
      failurePercent: fc.constantFrom(1, 50, 100),
      probeAfterMs: fc.constantFrom(20, 5_000),
    }),
    fc.constant({ minCalls: 1, windowMs: 10_000, failurePercent: 50, probeAfterMs: 200 }),
  ),
  failover: fc.boolean(),
  regions: fc.integer({ min: 2, max: 3 }),
  ttlMs: fc.constantFrom(1, 500, 60_000),
  emptyTtlMs: fc.constantFrom(1, 15_000),
  staleWhileRevalidateMs: fc.constantFrom(0, 1_000, 600_000),
  staleIfErrorMs: fc.constantFrom(0, 5_000, 3_600_000),
  maxWaitMs: fc.constantFrom(0, 50, 150),
  maxVisitors: fc.constantFrom(2, 2_000),
  closesAtOnce: fc.boolean(),
  random: fc.constantFrom(0, 0.4, 0.99),
});

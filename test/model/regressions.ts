/** The shortest histories in which the model has found something broken. */
import type { Limits } from './limits';
import type { Step } from './steps';

export interface Regression {
  readonly what: string;
  readonly limits: Limits;
  readonly history: readonly Step[];
}

const LIMITS: Limits = {
  connections: 4,
  maxQueuedCalls: 4,
  maxQueuedEvents: 9,
  maxCallsPerMinute: 20,
  timeoutMs: 1_000,
  failureCooldownMs: 50,
  noDataCooldownMs: 15_000,
  breaker: false,
  failover: false,
  regions: 3,
  ttlMs: 60_000,
  emptyTtlMs: 15_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  maxWaitMs: 50,
  maxVisitors: 2_000,
  closesAtOnce: true,
  random: 0,
};
const BREAKER = { minCalls: 1, windowMs: 10_000, failurePercent: 50, probeAfterMs: 200 };

const view = (visitor: number, region: number): Step => ({
  do: 'view',
  visitor,
  region,
  hasTcString: false,
  mayCall: true,
  hasSignals: false,
  isConsentPending: false,
});
const tell = (visitor: number, region: number): Step => ({ do: 'tell', visitor, region, isAwaited: true });
const answer = (outcome: Extract<Step, { do: 'answer' }>['outcome'], isAll = true, retryAfterMs = 300_000): Step => ({
  do: 'answer',
  which: 0,
  outcome,
  retryAfterMs,
  isAll,
});
const wait = (ms: number, isLate = false): Step => ({ do: 'wait', ms, isLate });
const flood = (what: 'view' | 'event', count: number, region: number): Step => ({ do: 'flood', what, count, region });

export const REGRESSIONS: readonly Regression[] = [
  {
    what: 'a customer who refuses on one device is not asked about on another one that waits',
    limits: { ...LIMITS, connections: 1, failureCooldownMs: 0 },
    history: [view(1, 0), view(2, 1), { do: 'refuse', visitor: 4, reason: 'no-consent' }, answer('http-status', false)],
  },
  {
    what: 'nothing is told about a customer who opts out on another device',
    limits: { ...LIMITS, regions: 2, breaker: BREAKER, closesAtOnce: false },
    history: [view(0, 4), answer('garbage'), tell(2, 3), { do: 'opt out', visitor: 5 }],
  },
  {
    what: 'of several events that a refusal ends, none begins in the place of another',
    limits: { ...LIMITS, connections: 1, failureCooldownMs: 1_000 },
    history: [
      view(5, 0),
      answer('429 retry-after'),
      wait(5_000),
      { do: 'event', which: 0 },
      tell(5, 3),
      { do: 'opt out', visitor: 2 },
    ],
  },
  {
    what: 'an answer beside a customer id is not served after that customer has refused elsewhere',
    limits: { ...LIMITS },
    history: [view(5, 0), answer('segments'), { do: 'refuse', visitor: 3, reason: 'opted-out' }, view(5, 0)],
  },
  {
    what: 'an event that was turned away holds nobody while its answer is read',
    limits: { ...LIMITS },
    history: [tell(5, 1), answer('429', false), view(5, 2)],
  },
  {
    what: 'an opt-out leaves what the DCS has said',
    limits: { ...LIMITS },
    history: [tell(4, 1), answer('code 101'), { do: 'opt out', visitor: 5 }, { ...view(4, 3), mayCall: false } as Step],
  },
  {
    what: 'an event that is turned away after an opt-out was asked for is not sent again',
    limits: { ...LIMITS, connections: 1 },
    history: [tell(3, 4), { do: 'opt out', visitor: 1 }, answer('429 retry-after')],
  },
  {
    what: 'a page after forget() does not join an event from before it',
    limits: { ...LIMITS },
    history: [tell(5, 0), { do: 'forget', visitor: 4 }, { do: 'lookup', visitor: 5, region: 1 }],
  },
  {
    what: 'an event of a stranger is one after a 429, too',
    limits: { ...LIMITS, maxQueuedEvents: 3 },
    history: [
      tell(1, 2),
      view(4, 2),
      answer('429 retry-after'),
      answer('code 300'),
      { do: 'event', which: 7 },
      tell(4, 1),
      tell(1, 4),
    ],
  },
  {
    what: 'a probe that is answered 429 lets nothing through',
    limits: {
      ...LIMITS,
      regions: 2,
      timeoutMs: 100,
      breaker: BREAKER,
      failover: true,
      maxQueuedCalls: 2,
      maxQueuedEvents: 3,
      maxWaitMs: 0,
      random: 0.99,
    },
    history: [
      flood('view', 6, 0),
      wait(7_200_000),
      tell(3, 3),
      { do: 'event', which: 1 },
      answer('429 retry-after', true, 30_000),
    ],
  },
  {
    what: 'events look again when the stand-in of their region opens',
    limits: { ...LIMITS, connections: 1, breaker: BREAKER, failover: true, timeoutMs: 3_000, failureCooldownMs: 0 },
    history: [
      view(2, 2),
      wait(60_000),
      flood('view', 5, 0),
      { ...answer('http-status'), which: 1 } as Step,
      flood('event', 5, 2),
      wait(1_000),
    ],
  },
  {
    what: 'an event that waits for room at a stand-in looks again when its own region opens',
    limits: {
      ...LIMITS,
      regions: 2,
      maxQueuedCalls: 1,
      breaker: BREAKER,
      failover: true,
      timeoutMs: 100,
      maxWaitMs: 0,
      closesAtOnce: false,
    },
    history: [
      flood('view', 12, 4),
      flood('view', 7, 1),
      { ...answer('http-status'), which: 6 } as Step,
      wait(7_200_000),
      view(5, 3),
      wait(600_000, true),
      { do: 'lookup', visitor: 5, region: 1 },
      { ...answer('garbage'), which: 3 } as Step,
      { do: 'event', which: 4 },
      wait(600_000, true),
    ],
  },
  {
    what: 'events look again at the first opening of their servers',
    limits: {
      ...LIMITS,
      maxQueuedCalls: 2,
      maxQueuedEvents: 8,
      breaker: BREAKER,
      failover: true,
      failureCooldownMs: 0,
      random: 0.99,
    },
    history: [
      view(3, 4),
      flood('event', 8, 2),
      wait(3_000),
      { ...answer('429 retry-after', false, 30_000), which: 5 } as Step,
      wait(3_000),
    ],
  },
  {
    what: 'a lookup overtakes an event that is held back by a probe',
    limits: {
      ...LIMITS,
      connections: 1,
      breaker: { ...BREAKER, failurePercent: 1, probeAfterMs: 5_000 },
      timeoutMs: 100,
      maxWaitMs: 0,
      closesAtOnce: false,
    },
    history: [view(4, 2), wait(7_200_000), tell(3, 2), view(2, 3), view(6, 2)],
  },
  {
    what: 'a lookup overtakes an event that is held back, also where another event has been told first',
    limits: { ...LIMITS, connections: 1, maxQueuedCalls: 2, maxQueuedEvents: 8, maxWaitMs: 0 },
    history: [
      view(0, 1),
      view(5, 1),
      { do: 'event', which: 5 },
      tell(3, 1),
      view(1, 0),
      answer('429 retry-after', true, 30_000),
    ],
  },
  {
    what: 'queued lookups are turned away when the probe is an event',
    limits: { ...LIMITS, connections: 2, maxQueuedCalls: 3, breaker: BREAKER, failover: true, closesAtOnce: false },
    history: [flood('view', 5, 0), { ...answer('empty'), which: 2 } as Step, tell(4, 4), wait(60_000), view(1, 0)],
  },
  {
    what: 'an opt-out that fails does not shorten a cooldown',
    limits: { ...LIMITS, timeoutMs: 100 },
    history: [
      view(3, 3),
      answer('code 200', false),
      { do: 'opt out', visitor: 3 },
      wait(1_000),
      { do: 'lookup', visitor: 1, region: 3 },
    ],
  },
  {
    what: 'an exclusion that ends while a request is held is not served as stale segments',
    limits: { ...LIMITS, connections: 3 },
    history: [
      view(5, 3),
      answer('code 171'),
      tell(0, 1),
      tell(1, 1),
      wait(7_199_980),
      view(0, 1),
      tell(5, 3),
      view(5, 3),
      wait(3_000, true),
    ],
  },
  {
    what: 'a full queue does not make an event that waits for room at a stand-in one that is held back',
    limits: {
      ...LIMITS,
      maxQueuedEvents: 5,
      failureCooldownMs: 0,
      staleWhileRevalidateMs: 600_000,
      maxWaitMs: 150,
      closesAtOnce: false,
      connections: 1,
      maxQueuedCalls: 1,
      breaker: BREAKER,
      failover: true,
      timeoutMs: 3_000,
    },
    history: [
      flood('event', 6, 0),
      view(4, 2),
      view(5, 1),
      tell(3, 2),
      { ...answer('http-status'), which: 1 } as Step,
      view(1, 3),
      view(0, 4),
    ],
  },
  {
    what: 'events about an id that the DCS has denylisted take nobody else’s place',
    limits: { ...LIMITS, connections: 1, maxQueuedEvents: 2, failover: true, timeoutMs: 3_000, maxWaitMs: 0 },
    history: [
      view(1, 1),
      { do: 'event', which: 0 },
      view(4, 4),
      answer('429 retry-after'),
      view(6, 3),
      wait(2_000),
      view(1, 0),
      { ...answer('code 306', false), which: 1 } as Step,
      tell(0, 0),
      { do: 'event', which: 7 },
    ],
  },
  {
    what: 'what close() ends does not begin first',
    limits: { ...LIMITS, connections: 3, breaker: BREAKER },
    history: [flood('event', 8, 1), wait(1_000, true), { do: 'close' }, wait(5_000)],
  },
  {
    what: 'an event that was not sent leaves what is said about other devices of its customer',
    limits: { ...LIMITS, emptyTtlMs: 1, ttlMs: 500, noDataCooldownMs: 10, maxWaitMs: 0, closesAtOnce: false },
    history: [
      view(5, 0),
      answer('segments'),
      view(4, 0),
      { ...view(2, 2), mayCall: false } as Step,
      view(3, 0),
      { ...view(3, 2), mayCall: false } as Step,
      { do: 'event', which: 6 },
      answer('code 172'),
      answer('code 171'),
      { ...view(2, 1), mayCall: false } as Step,
    ],
  },
  {
    what: 'an event that was turned away leaves what is said about other devices of its customer',
    limits: { ...LIMITS, connections: 1, maxQueuedCalls: 1, breaker: BREAKER, maxWaitMs: 0 },
    history: [
      view(5, 0),
      tell(4, 3),
      view(3, 2),
      view(0, 1),
      answer('segments', false),
      answer('429 retry-after', false, 30_000),
      view(4, 2),
      view(2, 0),
      answer('empty'),
      wait(1_000),
      { ...answer('code 171'), which: 1 } as Step,
      answer('code 172'),
      view(3, 1),
    ],
  },
];

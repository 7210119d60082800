import { EventEmitter } from 'node:events';
import { aamSegments, createDcsClient, type DcsCallMessage } from 'express-aam-segments';
import { createDcsSimulator, type Fault } from 'express-aam-segments/testing';
import fc from 'fast-check';
import { cookieOf, GOLF, ORG } from '../helpers/site';
import { expectEqualCounts, published, runningCalls, stopWatching, type Watch, watch } from './watch';

afterEach(stopWatching);

const ecidOf = (visitor: number) => `${visitor}`.padStart(38, '4');

/** Small limits, so that each of them is reached. */
const DCS = {
  failureCooldownMs: 1,
  connections: 2,
  maxQueuedCalls: 2,
  maxQueuedEvents: 3,
  breaker: { minCalls: 2, failurePercent: 50, windowMs: 1_000, probeAfterMs: 0 },
};

async function createWorld(timeoutMs = 40) {
  const simulator = await createDcsSimulator({ segmentIds: true });
  const common = {
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: GOLF },
    dcs: { ...simulator.dcs, ...DCS, timeoutMs },
  };
  const sites = [aamSegments({ ...common, maxWaitMs: timeoutMs }), aamSegments({ ...common, maxWaitMs: 0 })];
  const client = createDcsClient(common);
  return { simulator, sites, client, instances: [...sites, client] };
}

type World = Awaited<ReturnType<typeof createWorld>>;
type Step = readonly [kind: keyof typeof STEPS | 'check' | 'rest', which: number, visitor: number];

const FAULTS: readonly Fault[] = [
  { kind: 'hang' },
  { kind: 'reset' },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 429 },
  { kind: 'malformed' },
  { kind: 'latency', latencyMs: 15 },
  { kind: 'body', body: '{"errors":[{"code":171,"msg":"Opt out"}]}' },
];

function viewOn(site: World['sites'][number], cookie: string): Promise<{ headers: object }> {
  const req = { headers: { cookie }, url: '/' };
  return new Promise((resolve) => site(req as never, new EventEmitter() as never, () => resolve(req)));
}

const siteOf = ({ sites }: World, which: number) => sites[which % sites.length] as World['sites'][number];
const regionOf = (visitor: number) => (visitor % 3 === 0 ? 6 : 9);

/** What can happen. Each returns what has to settle. */
const STEPS = {
  view: (world: World, which: number, visitor: number) =>
    viewOn(siteOf(world, which), cookieOf(ecidOf(visitor), regionOf(visitor))),
  anonymous: (world: World, which: number, _visitor: number) => viewOn(siteOf(world, which), 'theme=dark'),
  refuse: (world: World, which: number, visitor: number) =>
    viewOn(siteOf(world, which), cookieOf(ecidOf(visitor), regionOf(visitor), 'global')),
  async event(world: World, which: number, visitor: number) {
    const site = siteOf(world, which);
    await site.sendEvent((await STEPS.view(world, which, visitor)) as never, { c_n: visitor });
  },
  forget: (world: World, which: number, visitor: number) => siteOf(world, which).forget({ ecid: ecidOf(visitor) }),
  lookup: ({ instances }: World, which: number, visitor: number) =>
    instances[which % 3]?.lookup({ ecid: ecidOf(visitor), region: regionOf(visitor) }),
  clientEvent: ({ client }: World, _which: number, visitor: number) =>
    client.sendEvent({ ecid: ecidOf(visitor), region: regionOf(visitor) }, { c_n: visitor }),
  optOut: ({ client }: World, _which: number, visitor: number) =>
    client.optOut({ ecid: ecidOf(visitor) }, { irreversible: true }),
  fault({ simulator }: World, which: number, visitor: number) {
    simulator.fault(FAULTS[which % FAULTS.length] as Fault, { calls: 1 + (visitor % 4) });
  },
};

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[]), 'check' as const),
  fc.nat(20),
  fc.nat(7),
);

const many = (kind: Step[0], count: number): Step[] => Array.from({ length: count }, (_, n) => [kind, 2, n + 20]);
const REST: Step = ['rest', 0, 0];
/** One history in which everything occurs. */
const EVERYTHING: readonly Step[] = [
  // HTTP 503 twice opens the breaker of a region, and a probe closes it.
  ...([['fault', 2, 1], ['lookup', 2, 12], ['lookup', 2, 15], REST, ['lookup', 2, 18], REST] as const),
  ...([['fault', 1, 0], ['clientEvent', 0, 13], REST] as const),
  ...([['view', 0, 14], REST, ['view', 0, 14], ['view', 1, 14], ['event', 0, 14], REST] as const),
  ...([['optOut', 0, 16], REST, ['fault', 3, 0], ['view', 0, 17], REST, ['anonymous', 0, 0]] as const),
  ...many('clientEvent', 12),
  ['refuse', 0, 14],
];

const isBusy = ({ instances }: World) => instances.some((each) => each.stats().inFlight > 0);

async function take(world: World, steps: readonly Step[], check: () => void): Promise<void> {
  const unsettled: Promise<unknown>[] = [];
  for (const [kind, which, visitor] of steps) {
    if (kind === 'check' || kind === 'rest') {
      await published();
      while (kind === 'rest' && isBusy(world)) await published();
      check();
    } else {
      // Lookups and events may be rejected: that is what the faults are for.
      const result: unknown = STEPS[kind](world, which, visitor);
      unsettled.push(Promise.resolve(result).catch(() => {}));
    }
  }
  await Promise.all(world.instances.map((each) => each.close()));
  await Promise.all(unsettled);
  // The sockets of aborted calls may still be closing.
  while (isBusy(world)) await published();
  await published();
  check();
}

/** Takes these steps in a world of their own, comparing at each check, and returns the messages. */
async function compared(steps: readonly Step[], timeoutMs?: number): Promise<Watch> {
  const world = await createWorld(timeoutMs);
  const watched = watch();
  try {
    await take(world, steps, () => {
      for (const each of world.instances) {
        // A rate limited event that is still running may have been given up meanwhile: only stats() tells.
        const isRateLimited = ({ kind, reason }: DcsCallMessage) => kind === 'event' && reason === 'rate-limited';
        if (!runningCalls(watched, each).some(isRateLimited)) expectEqualCounts(watched, each);
      }
    });
    for (const each of world.instances) expect(runningCalls(watched, each)).toEqual([]);
    return watched;
  } finally {
    watched.stop();
    await world.simulator.close({ unusedFaults: 'ignore' });
  }
}

describe('counts of messages', () => {
  it('equal stats() of each instance when everything occurs', async () => {
    const { requests, events, breakers, calls } = await compared(EVERYTHING, 5_000);
    const ends = calls.filter(([phase]) => phase === 'asyncEnd').map(([, { kind, outcome }]) => `${kind} ${outcome}`);
    const happened = [requests.map(({ status }) => status), events.map(({ outcome }) => outcome), ends].flat();
    const expected = ['fresh', 'cached', 'unknown', 'anonymous', 'excluded', 'queued', 'sent', 'failed', 'dropped'];
    const expectedEnds = ['lookup success', 'lookup failure', 'lookup neutral', 'event success', 'event failure'];
    expect(happened).toEqual(expect.arrayContaining([...expected, ...expectedEnds, 'opt-out success']));
    expect(breakers.map(({ previous, state, region }) => [previous, state, region]).slice(0, 3)).toEqual([
      ['closed', 'open', 6],
      ['open', 'half-open', 6],
      ['half-open', 'closed', 6],
    ]);
  });

  it('equal stats() of each instance at every moment, whatever happens', async () => {
    const steps = fc.array(step, { minLength: 30, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(steps, async (each) => void (await compared(each))),
      { numRuns: 25 },
    );
  });
});

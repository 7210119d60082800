import type { DcsClientOptions } from 'express-aam-segments';
import { closeClients, createClient } from '../../helpers/client';
import { advanceableClock, ECID } from '../../helpers/site';
import { ecidOf } from './flow-site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeClients();
});

const VISITOR = { ecid: ECID, region: 9 };
const OTHER = { ecid: ecidOf(1), region: 9 };
const CONFIRMED = { irreversible: true } as const;

/** How a promise ended: `ok`, or the code of its error. */
const endOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    ({ code }: { code: string }) => code,
  );

async function createDesk(dcs: DcsClientOptions['dcs'] = {}) {
  const { client, simulator } = await createClient({ dcs: { failureCooldownMs: 0, ...dcs } });
  return {
    client,
    simulator,
    /** Has the visitor opted out. */
    optOut: () => endOf(client.optOut({ ecid: ECID }, CONFIRMED)),
    /** What the DCS received about the visitor since the log was last cleared. */
    received: () =>
      simulator.requestsOf(ECID).map(({ path, params }) => (path === '/event' ? (params.c_n ?? 'lookup') : 'opt-out')),
  };
}

describe('an opt-out', () => {
  it.each([
    ['ends well', {}],
    ['hangs', { timeoutMs: 300 }],
  ])('is sent after a lookup in flight that %s, and what waits is not asked and told', async (how, dcs) => {
    const { client, simulator, optOut, received } = await createDesk(dcs);
    if (how === 'hangs') simulator.fault({ kind: 'hang' }, { calls: 1 });
    else simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 1 });
    const lookup = endOf(client.lookup(VISITOR));
    const events = [1, 2, 3].map((n) => endOf(client.sendEvent(VISITOR, { c_n: n })));
    await simulator.received(1);
    expect(await optOut()).toBe('ok');
    expect(await lookup).toBe(how === 'hangs' ? 'ERR_AAM_DCS_TIMEOUT' : 'ok');
    expect(await Promise.all(events)).toEqual(Array(3).fill('ERR_AAM_DCS_REJECTED'));
    expect(received()).toEqual(['lookup', 'opt-out']);
    expect(simulator.overlaps).toEqual([]);
    expect(client.stats()).toMatchObject({ inFlight: 0, events: { queued: 0 } });
  });

  it.each([
    ['answered', undefined],
    ['turned away by a 429', { kind: 'status', status: 429, headers: { 'Retry-After': '300' } }],
    ['answered by an error', { kind: 'status', status: 503 }],
    ['cut off', { kind: 'reset' }],
  ] as const)('is sent after an event in flight that is %s, and once', async (_name, fault) => {
    const { client, simulator, optOut, received } = await createDesk();
    simulator.fault({ kind: 'latency', latencyMs: 60 }, { calls: 1 });
    if (fault !== undefined) simulator.fault(fault, { calls: 1 });
    const events = [1, 2, 3].map((n) => endOf(client.sendEvent(VISITOR, { c_n: n })));
    await simulator.received(1);
    expect(await optOut()).toBe('ok');
    const [, ...waiting] = await Promise.all(events);
    expect(waiting).toEqual(Array(2).fill('ERR_AAM_DCS_REJECTED'));
    expect(received()).toEqual(['1', 'opt-out']);
    expect(client.stats()).toMatchObject({ inFlight: 0, events: { queued: 0 } });
  });

  it('is sent during a pause, and the events that it held are not', async () => {
    const { client, simulator, optOut, received } = await createDesk();
    simulator.fault({ kind: 'status', status: 429, headers: { 'Retry-After': '300' } }, { calls: 2 });
    // The alias too, which is where opt-outs go.
    await endOf(client.lookup({ ecid: ecidOf(2) }));
    await endOf(client.lookup(OTHER));
    const event = endOf(client.sendEvent(VISITOR, { c_n: 1 }));
    expect(client.stats().events.queued).toBe(1);
    expect(await optOut()).toBe('ok');
    expect([await event, received()]).toEqual(['ERR_AAM_DCS_REJECTED', ['opt-out']]);
    expect(client.stats().events.queued).toBe(0);
  });

  it('is sent past an open breaker, and its success does not close it', async () => {
    const { client, simulator, optOut, received } = await createDesk({ breaker: { minCalls: 1 }, failover: false });
    simulator.fault({ kind: 'status', status: 503 }, { calls: 2 });
    await endOf(client.lookup({ ecid: ecidOf(2) }));
    await endOf(client.lookup(OTHER));
    const event = endOf(client.sendEvent(VISITOR, { c_n: 1 }));
    expect(await optOut()).toBe('ok');
    expect([await event, received()]).toEqual(['ERR_AAM_DCS_REJECTED', ['opt-out']]);
    expect(Object.values(client.stats().origins).map(({ breaker }) => breaker)).toEqual(['open', 'open']);
  });

  it('is sent when the calls of the minute are used up, in a cooldown, and about a denylisted visitor', async () => {
    advanceableClock();
    const used = await createDesk({ maxCallsPerMinute: 1 });
    await used.client.lookup(VISITOR);
    const event = endOf(used.client.sendEvent(VISITOR, { c_n: 1 }));
    expect([await used.optOut(), await event]).toEqual(['ok', 'ERR_AAM_DCS_REJECTED']);
    expect(used.received()).toEqual(['lookup', 'opt-out']);

    const cooling = await createDesk({ failureCooldownMs: 60_000 });
    cooling.simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    await endOf(cooling.client.lookup(VISITOR));
    expect([await cooling.optOut(), cooling.received()]).toEqual(['ok', ['lookup', 'opt-out']]);

    const denylisted = await createDesk();
    denylisted.simulator.visitor(ECID).denylist();
    await endOf(denylisted.client.lookup(VISITOR));
    await denylisted.optOut();
    expect(denylisted.received()).toEqual(['lookup', 'opt-out']);
  });

  it('is sent while every connection is taken and the queue is full', async () => {
    const { client, simulator, optOut, received } = await createDesk({ connections: 1, maxQueuedCalls: 1 });
    const hanging = simulator.fault({ kind: 'hang' }, { calls: 2 });
    // At the region and at the alias.
    const others = [3, 4].flatMap((n) => [
      endOf(client.lookup({ ecid: ecidOf(n) })),
      endOf(client.lookup({ ecid: ecidOf(n + 10), region: 9 })),
    ]);
    await simulator.received(2);
    expect([await optOut(), received(), hanging.used]).toEqual(['ok', ['opt-out'], 2]);
    await client.close();
    await Promise.all(others);
  });

  it('is waited for by close()', async () => {
    const { client, simulator, optOut, received } = await createDesk();
    simulator.fault({ kind: 'latency', latencyMs: 200 }, { calls: 1 });
    const optedOut = optOut();
    await simulator.received(1);
    await client.close();
    expect([await optedOut, received()]).toEqual(['ok', ['opt-out']]);
    expect(await optOut()).toBe('ERR_AAM_CLOSED');
  });

  it.each(['lookup', 'event'])(
    'that waits for a hanging %s is sent all the same when close() is called',
    async (kind) => {
      const { client, simulator, optOut, received } = await createDesk({ timeoutMs: 400 });
      simulator.fault({ kind: 'hang' }, { calls: 1 });
      const call = endOf(kind === 'event' ? client.sendEvent(VISITOR, { c_n: 1 }) : client.lookup(VISITOR));
      const optedOut = optOut();
      simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 1 });
      await simulator.received(1);
      await client.close();
      await call;
      expect([await optedOut, received()]).toEqual(['ok', [kind === 'event' ? '1' : 'lookup', 'opt-out']]);
      expect(client.stats().inFlight).toBe(0);
    },
  );

  it('rejects when it failed, and can be repeated', async () => {
    const { simulator, optOut, received } = await createDesk();
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    expect([await optOut(), await optOut()]).toEqual(['ERR_AAM_DCS_STATUS', 'ok']);
    expect(received()).toEqual(['opt-out', 'opt-out']);
  });

  it('makes what was asked before it out of date', async () => {
    const { client, simulator, optOut } = await createDesk();
    simulator.fault({ kind: 'latency', latencyMs: 60 }, { calls: 1 });
    const before = client.lookup(VISITOR);
    await simulator.received(1);
    const optedOut = optOut();
    await before;
    await optedOut;
    expect((await client.lookup(VISITOR)).status).toBe('excluded');
  });
});

import { createDcsClient, type DcsClient, type DcsClientOptions, type VisitorId } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator, type DcsSimulatorOptions } from 'express-aam-segments/testing';
import fc from 'fast-check';
import { advanceableClock, deadOrigin, ECID, GOLF, HIGH_VALUE, ORG } from './helpers/site';

const OTHER_ECID = '91563127448770346027793623225009407783';
const UUID = '26896275281853107943424826352206124312';

type Name = 'golfFans' | 'highValue';
const open: { close(): Promise<void> }[] = [];

async function createClient(
  { dcs, ...options }: Partial<DcsClientOptions<Name>> = {},
  simulatorOptions?: DcsSimulatorOptions,
): Promise<{ client: DcsClient<Name>; simulator: DcsSimulator }> {
  const simulator = await createDcsSimulator({ segmentIds: true, ...simulatorOptions });
  const client = createDcsClient({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: GOLF, highValue: HIGH_VALUE },
    dcs: { ...simulator.dcs, timeoutMs: 5_000, ...dcs },
    ...options,
  });
  open.push(client, simulator);
  return { client, simulator };
}

afterEach(async () => {
  jest.restoreAllMocks();
  for (const each of open.splice(0)) await each.close();
});

/** The ECID with this number. */
const ecidOf = (n: number) => `1${String(n).padStart(37, '0')}`;

describe('createDcsClient()', () => {
  it('looks up visitors by ECID, by UUID and by customer id', async () => {
    const { client, simulator } = await createClient();
    simulator.visitor(ECID).in(GOLF);
    simulator.visitor(UUID).in(HIGH_VALUE);
    simulator.customer('acme crm', 'müller & söhne').in(GOLF).in(HIGH_VALUE);
    expect((await client.lookup({ ecid: ECID, region: 9 })).names).toEqual(['golfFans']);
    expect((await client.lookup({ uuid: UUID })).names).toEqual(['highValue']);
    const customer = { customerIds: [{ id: 'müller & söhne', integrationCode: 'acme crm' }] };
    expect((await client.lookup(customer)).names).toEqual(['golfFans', 'highValue']);
    expect(simulator.requests.map(({ region }) => region)).toEqual([9, 'alias', 'alias']);
  });

  it('gives the same answer again for dcs.minIntervalMs, and asks after that', async () => {
    const clock = advanceableClock();
    const { client, simulator } = await createClient();
    simulator.visitor(ECID).in(GOLF);
    expect((await client.lookup({ ecid: ECID })).status).toBe('fresh');
    expect((await client.lookup({ ecid: ECID })).status).toBe('cached');
    clock.advance(1_001);
    expect((await client.lookup({ ecid: ECID })).status).toBe('fresh');
    expect(simulator.requests).toHaveLength(2);
  });

  it('sends events in their order and never beside a lookup', async () => {
    const { client, simulator } = await createClient({ dcs: { minIntervalMs: 0 } });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(ECID, OTHER_ECID), fc.boolean()), { minLength: 1, maxLength: 25 }),
        async (acts) => {
          simulator.clear();
          const sent: Record<string, string[]> = { [ECID]: [], [OTHER_ECID]: [] };
          await Promise.all(
            acts.map(([ecid, isEvent], n) => {
              if (!isEvent) return client.lookup({ ecid });
              sent[ecid]?.push(String(n));
              return client.sendEvent({ ecid }, { c_n: n });
            }),
          );
          expect(simulator.overlaps).toEqual([]);
          for (const ecid of [ECID, OTHER_ECID]) {
            expect(simulator.requestsOf(ecid).flatMap(({ params }) => params.c_n ?? [])).toEqual(sent[ecid]);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('gives the segments after an event, which the next lookup goes by', async () => {
    const { client, simulator } = await createClient();
    expect((await client.lookup({ ecid: ECID })).size).toBe(0);
    simulator.visitor(ECID).in(GOLF);
    expect((await client.sendEvent({ ecid: ECID }, { c_product: 'irons' })).names).toEqual(['golfFans']);
    expect(await client.lookup({ ecid: ECID })).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(client.stats()).toMatchObject({ calls: 2, inFlight: 0, events: { sent: 1, failed: 0 } });
  });

  it('has text arrive as it is, or refuses it with a code', async () => {
    const { client, simulator } = await createClient({ dcs: { minIntervalMs: 0 } }, { denylistAfter: false });
    // Any UTF-16 there is: controls, halves of surrogate pairs, separators of URLs and of the protocol.
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom('&', '=', '%', '+', ' ', '\u0001', '#', '%01', ',', '/', '?', '\n') }),
      fc.string({ maxLength: 3 }).map((start) => `${start}\ud800`),
    );
    const isTerm = (term: string) => term.trim() !== '' && !/[\p{Cc}\p{Cs}]/u.test(term);
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (id, integrationCode, key, value) => {
        simulator.clear();
        const visitor: VisitorId = { customerIds: [{ id, integrationCode, authState: 'authenticated' }] };
        const signals = { [`c_${key}`]: value };
        const isWellFormed = !/\p{Cs}/u.test(value) && isTerm(`c_${key}`);
        const sent = await client.sendEvent(visitor, signals).catch((error) => error.code);
        if (!isWellFormed) expect(sent).toBe('ERR_AAM_INVALID_SIGNAL');
        else if (!isTerm(id) || !isTerm(integrationCode)) expect(sent).toBe('ERR_AAM_INVALID_OPTION');
        else {
          const [request] = simulator.requests;
          expect(request?.customerIds).toEqual([{ parameter: 'd_cid_ic', source: integrationCode, id, authState: 1 }]);
          expect(request?.params).toHaveProperty([`c_${key}`], value);
        }
        if (typeof sent === 'string') expect(simulator.requests).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('opts a visitor out when it is told that this cannot be taken back, and only then', async () => {
    const { client, simulator } = await createClient();
    simulator.visitor(ECID).in(GOLF);
    for (const confirmation of [undefined, {}, { irreversible: false }, true]) {
      const optOut = client.optOut({ ecid: ECID }, confirmation as never);
      await expect(optOut).rejects.toMatchObject({ code: 'ERR_AAM_INVALID_OPTION' });
    }
    const twoIds = { ecid: ECID, customerIds: [{ id: 'a', dataSourceId: 1 }] };
    await expect(client.optOut(twoIds, { irreversible: true })).rejects.toMatchObject({
      code: 'ERR_AAM_INVALID_OPTION',
    });
    expect(simulator.requests).toEqual([]);
    await client.lookup({ ecid: ECID });
    await client.optOut({ ecid: ECID }, { irreversible: true });
    const optOut = simulator.requests[1];
    expect(optOut).toMatchObject({ path: '/demoptout.jpg', params: { d_mid: ECID, d_orgid: ORG }, region: 'alias' });
    expect(await client.lookup({ ecid: ECID })).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });

  it.each([
    ['an ECID', { ecid: ECID }, { d_mid: ECID, d_orgid: ORG }],
    ['a UUID', { uuid: UUID }, { d_uuid: UUID }],
    ['a customer id', { customerIds: [{ id: 'a b', dataSourceId: 7 }] }, { d_cid: '7\u0001a b' }],
  ])('opts out %s, and says no more than whom', async (_name, visitor, params) => {
    const { client, simulator } = await createClient();
    await client.optOut(visitor as VisitorId, { irreversible: true });
    await client.optOut(visitor as VisitorId, { irreversible: true });
    expect(simulator.requests.map((request) => request.params)).toEqual([params, params]);
  });

  it.each([
    ['lookup', (client: DcsClient) => client.lookup({ ecid: ECID })],
    ['sendEvent', (client: DcsClient) => client.sendEvent({ ecid: ECID }, { c_a: 1 })],
    ['optOut', (client: DcsClient) => client.optOut({ ecid: ECID }, { irreversible: true })],
  ])('%s() is refused after close()', async (_name, act) => {
    const { client } = await createClient();
    await client.close();
    await expect(act(client as DcsClient)).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
  });

  it('refuses options that only the middleware has, and says once that an organisation is unusual', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const options = { orgId: ORG, partner: 'acme', maxWaitMs: 5 } as DcsClientOptions;
    expect(() => createDcsClient(options)).toThrow(expect.objectContaining({ code: 'ERR_AAM_UNKNOWN_OPTION' }));
    open.push(createDcsClient({ orgId: 'acme', partner: 'acme' }));
    expect(warn.mock.calls).toEqual([[expect.stringContaining('acme@AdobeOrg'), { code: 'WRN_AAM_ORG_ID' }]]);
  });
});

describe('lookupMany()', () => {
  async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
    const list: T[] = [];
    for await (const result of results) list.push(result);
    return list;
  }
  const visitors = (count: number) => Array.from({ length: count }, (_, n) => ({ ecid: ecidOf(n) }));

  it('answers all in the order in which they were given, with the very objects that were given', async () => {
    const { client, simulator } = await createClient();
    const given = visitors(300);
    for (const [n, { ecid }] of given.entries()) if (n % 3 === 0) simulator.visitor(ecid).in(GOLF);
    // Those who are asked about first are answered last.
    const slow = simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 20 });
    const results = await all(client.lookupMany(given));
    expect(results.map(({ visitor }) => visitor)).toEqual(given);
    expect(results.every(({ visitor }, n) => visitor === given[n])).toBe(true);
    expect(results.map(({ segments }) => segments?.size)).toEqual(given.map((_, n) => (n % 3 === 0 ? 1 : 0)));
    expect(slow.used).toBeGreaterThan(0);
    expect(simulator.overlaps).toEqual([]);
  });

  it('asks about no more at a time than it may', async () => {
    const { client, simulator } = await createClient();
    let most = 0;
    const results = client.lookupMany(visitors(60), { concurrency: 5 });
    for await (const _ of results) most = Math.max(most, client.stats().inFlight);
    const { requests } = simulator;
    const atOnce = requests.map(({ at }) => requests.filter((r) => r.at <= at && (r.endedAt as number) > at).length);
    expect(Math.max(...atOnce)).toBeLessThanOrEqual(5);
    expect(most).toBeLessThanOrEqual(5);
    expect(requests).toHaveLength(60);
  });

  it('reads no further ahead than its window, and nothing that nobody waits for', async () => {
    const { client } = await createClient();
    let read = 0;
    let isClosed = false;
    async function* endless() {
      try {
        for (;;) yield { ecid: ecidOf(read++) };
      } finally {
        isClosed = true;
      }
    }
    const results = client.lookupMany(endless(), { concurrency: 2 });
    expect(read).toBe(0);
    await results.next();
    while (client.stats().inFlight > 0) await new Promise(setImmediate);
    expect(read).toBeLessThanOrEqual(2 * 8 + 1);
    await results.return();
    expect(isClosed).toBe(true);
  });

  it('asks once about who occurs twice', async () => {
    const { client, simulator } = await createClient({ dcs: { minIntervalMs: 0 } });
    simulator.visitor(ECID).in(GOLF);
    const given = [{ ecid: ECID }, { ecid: OTHER_ECID }, { ecid: ECID }, { ecid: ECID }];
    // One after the other: nobody joins a call that is on its way.
    const results = await all(client.lookupMany(given, { concurrency: 1 }));
    expect(results.map(({ segments }) => segments?.names)).toEqual([['golfFans'], [], ['golfFans'], ['golfFans']]);
    expect(simulator.requests).toHaveLength(2);
  });

  it('gives each visitor an error of their own', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'status', status: 503 }, { visitor: OTHER_ECID });
    const given = [{ ecid: ECID }, { ecid: 'x' }, { ecid: OTHER_ECID }, { ecid: ecidOf(1) }];
    const results = await all(client.lookupMany(given, { concurrency: 1 }));
    expect(results.map(({ error }) => error?.code)).toEqual([
      undefined,
      'ERR_AAM_INVALID_OPTION',
      'ERR_AAM_DCS_STATUS',
      undefined,
    ]);
    expect(results.map(({ segments }) => segments?.status)).toEqual(['fresh', undefined, undefined, 'fresh']);
  });

  it('is slowed down by 429, and nobody fails', async () => {
    const rateLimit = { calls: 10, withinMs: 300, retryAfterSeconds: 1 };
    const { client, simulator } = await createClient({ dcs: { minIntervalMs: 0 } }, { rateLimit });
    const results = await all(client.lookupMany(visitors(25), { concurrency: 8 }));
    expect(results.map(({ segments }) => segments?.status)).toEqual(Array(25).fill('fresh'));
    expect(simulator.requests.some(({ answeredStatus }) => answeredStatus === 429)).toBe(true);
  });

  it('waits out a server that fails for a while', async () => {
    const breaker = { minCalls: 2, windowMs: 10_000, failurePercent: 50, probeAfterMs: 50 };
    const { client, simulator } = await createClient({ dcs: { breaker, minIntervalMs: 0 } });
    simulator.fault({ kind: 'status', status: 503 }, { calls: 3 });
    const results = await all(client.lookupMany(visitors(20), { concurrency: 1 }));
    expect(results.filter(({ error }) => error !== undefined)).toHaveLength(3);
    expect(results.map(({ error }) => error?.code)).not.toContain('ERR_AAM_DCS_CIRCUIT_OPEN');
  });

  it('does not wait for a server that has failed for a minute', async () => {
    const clock = advanceableClock();
    const breaker = { minCalls: 1, windowMs: 10_000, failurePercent: 50, probeAfterMs: 2_147_483_647 };
    const defaultOrigin = await deadOrigin();
    const { client } = await createClient({ dcs: { origins: {}, defaultOrigin, breaker } });
    const results = client.lookupMany(visitors(3), { concurrency: 1 });
    expect((await results.next()).value?.error?.code).toBe('ERR_AAM_DCS_NETWORK');
    const next = results.next();
    // It has met the open breaker by then.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    clock.advance(60_000);
    for (const result of [await next, await results.next()]) {
      expect(result.value?.error?.code).toBe('ERR_AAM_DCS_CIRCUIT_OPEN');
    }
    expect(client.stats().calls).toBe(1);
  });

  it('keeps to a rate', async () => {
    const { client, simulator } = await createClient();
    await all(client.lookupMany(visitors(30), { concurrency: 10, ratePerSecond: 100 }));
    const { requests } = simulator;
    const [first, last] = [requests[0]?.at as number, requests.at(-1)?.at as number];
    // 29 intervals of 10 ms, of which 20 ms may be made up for.
    expect(last - first).toBeGreaterThan(255);
  });

  it('tells of each result as soon as it is there, and of none that was ended', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'hang' }, { visitor: ECID });
    const told: unknown[] = [];
    const given = [{ ecid: ecidOf(1) }, { ecid: ECID }, { ecid: OTHER_ECID }, { ecid: ecidOf(2) }];
    const onResult = ({ visitor }: { visitor: { ecid: string } }) => told.push(visitor.ecid);
    const results = client.lookupMany(given, { onResult, concurrency: 2 });
    expect((await results.next()).value?.visitor).toBe(given[0]);
    while (told.length < 3) await new Promise(setImmediate);
    expect(told).toEqual([ecidOf(1), OTHER_ECID, ecidOf(2)]);
    const controller = new AbortController();
    const other = client.lookupMany([{ ecid: ECID }, { ecid: 'x' }, { ecid: ecidOf(3) }], {
      onResult: ({ error }) => told.push(error?.code),
      concurrency: 1,
      signal: controller.signal,
    });
    const next = other.next();
    while (told.length < 4) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(told.slice(3)).toEqual(['ERR_AAM_INVALID_OPTION']);
    const toldOfThird: string[] = [];
    const third = client.lookupMany([{ ecid: ecidOf(4) }, { ecid: ECID }, { ecid: ecidOf(5) }], {
      onResult: ({ visitor }) => toldOfThird.push(visitor.ecid),
      concurrency: 1,
    });
    await third.next();
    await third.return();
    await client.close();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(toldOfThird).toEqual([ecidOf(4)]);
  });

  it('ends with the reason of its signal', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'hang' }, { region: 9 });
    const controller = new AbortController();
    const results = client.lookupMany([{ ecid: ECID, region: 9 }], { signal: controller.signal });
    const next = results.next();
    await simulator.received(1);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    const aborted = client.lookupMany([{ ecid: ECID }], { signal: controller.signal });
    await expect(aborted.next()).rejects.toThrow('enough');
    expect(simulator.requests).toHaveLength(1);
  });

  it('gives what came before the source failed, then the failure', async () => {
    const { client } = await createClient();
    async function* source() {
      yield { ecid: ECID };
      yield { ecid: OTHER_ECID };
      throw new Error('the file ends here');
    }
    const results: unknown[] = [];
    const reading = (async () => {
      for await (const { segments } of client.lookupMany(source())) results.push(segments?.status);
    })();
    await expect(reading).rejects.toThrow('the file ends here');
    expect(results).toEqual(['fresh', 'fresh']);
  });

  it.each([{ concurrency: 0 }, { ratePerSecond: 0 }, { signal: 1 }, { concurency: 1 }])(
    'refuses %j',
    async (options) => {
      const { client } = await createClient();
      const results = client.lookupMany([], options as never);
      await expect(results.next()).rejects.toMatchObject({ code: expect.stringMatching(/_OPTION$/) });
    },
  );
});

import { createDcsClient, type DcsClient, type DcsClientOptions, type VisitorId } from 'express-aam-segments';
import fc from 'fast-check';
import { closeClients, createClient, OTHER_ECID } from './helpers/client';
import { advanceableClock, ECID, GOLF, HIGH_VALUE, ORG } from './helpers/site';

const UUID = '26896275281853107943424826352206124312';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeClients();
});

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

  it('reuses an answer for dcs.failureCooldownMs, and makes a new call after that', async () => {
    const clock = advanceableClock();
    const { client, simulator } = await createClient();
    simulator.visitor(ECID).in(GOLF);
    expect((await client.lookup({ ecid: ECID })).status).toBe('fresh');
    expect((await client.lookup({ ecid: ECID })).status).toBe('cached');
    clock.advance(1_001);
    expect((await client.lookup({ ecid: ECID })).status).toBe('fresh');
    expect(simulator.requests).toHaveLength(2);
  });

  it('sends events in order and never during a lookup', async () => {
    const { client, simulator } = await createClient(
      { dcs: { failureCooldownMs: 0, maxCallsPerMinute: 1_000 } },
      { denylistAfter: false },
    );
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

  it('resolves with the segments after an event, which the next lookup uses', async () => {
    const { client, simulator } = await createClient();
    expect((await client.lookup({ ecid: ECID })).size).toBe(0);
    simulator.visitor(ECID).in(GOLF);
    expect((await client.sendEvent({ ecid: ECID }, { c_product: 'irons' })).names).toEqual(['golfFans']);
    expect(await client.lookup({ ecid: ECID })).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(client.stats()).toMatchObject({ calls: 2, inFlight: 0, events: { sent: 1, failed: 0 } });
  });

  it('sends any text unchanged, or rejects it with a code', async () => {
    const { client, simulator } = await createClient({ dcs: { failureCooldownMs: 0 } }, { denylistAfter: false });
    // Any UTF-16: control characters, lone surrogates, separators of URLs and of the protocol.
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

  it('opts a visitor out only with the confirmation that this is irreversible', async () => {
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
  ])('opts out %s, and sends nothing but the id', async (_name, visitor, params) => {
    const { client, simulator } = await createClient();
    await client.optOut(visitor as VisitorId, { irreversible: true });
    await client.optOut(visitor as VisitorId, { irreversible: true });
    expect(simulator.requests.map((request) => request.params)).toEqual([params, params]);
  });

  it.each([
    ['lookup', (client: DcsClient) => client.lookup({ ecid: ECID })],
    ['sendEvent', (client: DcsClient) => client.sendEvent({ ecid: ECID }, { c_a: 1 })],
    ['optOut', (client: DcsClient) => client.optOut({ ecid: ECID }, { irreversible: true })],
  ])('%s() rejects after close()', async (_name, act) => {
    const { client } = await createClient();
    await client.close();
    await expect(act(client as DcsClient)).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
  });

  it('rejects options of the middleware, and warns once about an unusual organisation', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const options = { orgId: ORG, partner: 'acme', maxWaitMs: 5 } as DcsClientOptions;
    expect(() => createDcsClient(options)).toThrow(expect.objectContaining({ code: 'ERR_AAM_UNKNOWN_OPTION' }));
    void createDcsClient({ orgId: 'acme', partner: 'acme' }).close();
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('acme@AdobeOrg'), expect.objectContaining({ code: 'WRN_AAM_ORG_ID' })],
    ]);
  });
});

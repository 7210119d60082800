import type { CustomerId, Visitor, VisitorId } from 'express-aam-segments';
import fc from 'fast-check';
import request from 'supertest';
import { usableCustomerIds } from '../../src/identity/customer-ids';
import { parseVisitor } from '../../src/identity/visitor';
import { changing, hostile, revoked, throwing, withThrowing } from '../helpers/hostile';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE } from '../helpers/site';

const OTHER_ECID = '91563127448770346027793623225009407783';
const ANN: CustomerId = { id: 'ann', dataSourceId: 77, authState: 'authenticated' };
const BOB: CustomerId = { id: 'bob', dataSourceId: 77, authState: 'authenticated' };

type Then = (done: (value: unknown) => void, fail: (why: unknown) => void) => unknown;
const thenable = (then: Then): object => Object.defineProperty({}, 'then', { value: then });

let rejections: unknown[];
const onRejection = (reason: unknown) => rejections.push(reason);

beforeEach(() => {
  rejections = [];
  process.on('unhandledRejection', onRejection);
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  await new Promise(setImmediate);
  process.off('unhandledRejection', onRejection);
  jest.restoreAllMocks();
  await closeSites();
  expect(rejections).toEqual([]);
});

const warnings = () => jest.mocked(process.emitWarning).mock.calls.map(([text, options]) => [text, options]);

describe('an object that the site uses again', () => {
  it('for the customer ids of its next visitor leaves the one who waits with their own segments', async () => {
    const reused = { ...ANN } as { -readonly [Key in keyof CustomerId]: CustomerId[Key] };
    const list = [reused as CustomerId];
    const customerIds = (req: { headers: Record<string, unknown> }) => {
      reused.id = String(req.headers['x-user']);
      return list;
    };
    // Nobody is looked up before all have come.
    const users = ['ann', 'bob', 'carol'];
    let arrived = 0;
    let release = () => {};
    const everybody = new Promise<void>((resolve) => (release = resolve));
    const given = async () => {
      if (++arrived === users.length) release();
      await everybody;
      return true;
    };
    const site = await createSite({ identity: { customerIds }, consent: { given } });
    site.simulator.customer(77, 'ann').in(GOLF);
    site.simulator.customer(77, 'bob').in(HIGH_VALUE);
    const view = async (user: string) => (await request(site.app).get('/').set('X-User', user)).body.names;
    const expected = [['golfFans'], ['highValue'], []];
    expect(await Promise.all(users.map(view))).toEqual(expected);
    expect(await Promise.all(users.map(view))).toEqual(expected);
    expect(site.simulator.requests.map(({ customerIds: [only] }) => only?.id).sort()).toEqual(users);
  });

  it('as the visitor of lookup() changes nothing about the lookup', async () => {
    const { aam, simulator } = await createSite();
    const customerIds = [{ ...ANN }];
    const visitor: { ecid: string; customerIds: CustomerId[] } = { ecid: ECID, customerIds };
    const before = aam.lookup(visitor);
    visitor.ecid = OTHER_ECID;
    (customerIds[0] as { id: string }).id = 'bob';
    customerIds.push({ ...BOB });
    const segments = await before;
    expect(segments.visitor).toEqual({ ecid: ECID, customerIds: [ANN] });
    expect(simulator.requests).toMatchObject([{ params: { d_mid: ECID }, customerIds: [{ id: 'ann' }] }]);
    expect(simulator.requests[0]?.customerIds).toHaveLength(1);
  });

  it('cannot be reached, or changed, through req.aamSegments.visitor', async () => {
    const { aam } = await createSite();
    const given = { ...ANN, secret: 1 };
    const [shown] = (await aam.lookup({ customerIds: [given] })).visitor.customerIds as CustomerId[];
    expect(shown).not.toBe(given);
    expect(shown).not.toHaveProperty('secret');
    expect(() => Object.assign(shown as object, { id: 'bob' })).toThrow(TypeError);
  });
});

describe('a visitor', () => {
  it('is read once, field by field', () => {
    fc.assert(
      fc.property(fc.constantFrom<Visitor>({ ecid: ECID, region: 9 }, { uuid: ECID }, { ecid: ECID }), (first) => {
        const { given, reads } = changing(first, { ecid: OTHER_ECID, uuid: OTHER_ECID, region: 'x' });
        expect(parseVisitor(given).visitor).toEqual(first);
        expect(new Set(reads()).size).toBe(reads().length);
      }),
    );
  });

  it('has customer ids that are read once, field by field', () => {
    const { given, reads } = changing({ ...ANN }, { ...BOB, dataSourceId: -1 });
    expect(usableCustomerIds([given])).toEqual({ ids: [ANN], problem: undefined });
    expect(new Set(reads()).size).toBe(reads().length);
  });

  it('that cannot be looked at is no visitor, and neither do customer ids throw', () => {
    const keys = ['ecid', 'uuid', 'region', 'customerIds'];
    const list = hostile([ANN], ['0']);
    const each = hostile({ ...ANN }, ['id', 'dataSourceId', 'integrationCode', 'authState']);
    fc.assert(
      fc.property(hostile({ ecid: ECID }, keys), list, each, (...made) => {
        const [visitor, ids, id] = made.map((make) => make());
        for (const given of [visitor, { ecid: ECID, customerIds: ids }, { ecid: ECID, customerIds: [id] }, id]) {
          const parsed = parseVisitor(given);
          expect(parsed.visitor ?? { ecid: ECID }).toMatchObject({ ecid: ECID });
        }
        for (const { id: kept } of usableCustomerIds([BOB, id]).ids) expect(['ann', 'bob']).toContain(kept);
      }),
    );
    expect(usableCustomerIds([revoked(), BOB]).ids).toEqual([BOB]);
  });

  it('with a list of customer ids that pretends to be endless is looked at for a while only', () => {
    let reads = 0;
    const endless = new Proxy([], { get: (_list, key) => (key === 'length' ? 2 ** 32 - 1 : void reads++) });
    expect(usableCustomerIds(endless).ids).toEqual([]);
    expect(reads).toBeLessThan(50_000);
  });
});

describe('explicit calls with what cannot be looked at', () => {
  const keys = ['ecid', 'uuid', 'region', 'customerIds'];
  const invalid = { code: 'ERR_AAM_INVALID_OPTION' };

  it('are refused: lookup() by rejection, forget() at once', async () => {
    const { aam } = await createSite();
    for (const given of [revoked(), throwing({ ecid: ECID }), withThrowing({ ecid: ECID }, ['ecid']), null, 7]) {
      await expect(aam.lookup(given as VisitorId)).rejects.toMatchObject(invalid);
      expect(() => aam.forget(given as VisitorId)).toThrow(expect.objectContaining(invalid));
    }
    for (const options of [revoked(), throwing({}), withThrowing({}, ['maxWaitMs']), null, 'x']) {
      await expect(aam.lookup({ ecid: ECID }, options as object)).rejects.toMatchObject(invalid);
    }
  });

  it('are refused whatever part of them throws', async () => {
    const { aam } = await createSite();
    await fc.assert(
      fc.asyncProperty(hostile({ ecid: 'x' }, keys), async (make) => {
        const given = make();
        await expect(aam.lookup(given as VisitorId)).rejects.toMatchObject(invalid);
        expect(() => aam.forget(given as VisitorId)).toThrow(expect.objectContaining(invalid));
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['an empty object', {}],
    ['text', 'abort'],
    ['a revoked proxy', revoked()],
    ['half of a signal', { aborted: false, addEventListener() {} }],
  ])('lookup() takes no %s for a signal', async (_what, signal) => {
    const { aam, simulator } = await createSite();
    await expect(aam.lookup({ ecid: ECID }, { signal: signal as AbortSignal })).rejects.toMatchObject({
      ...invalid,
      message: expect.stringMatching(/^options\.signal must be an AbortSignal, got /),
    });
    expect(simulator.requests).toHaveLength(0);
  });

  it('sendEvent() is refused, and never leaves an unhandled rejection', async () => {
    const { aam } = await createSite();
    const refused = async (...args: unknown[]) => {
      const error = await (aam.sendEvent as (...all: unknown[]) => Promise<unknown>)(...args).catch((why) => why);
      expect((error as { code?: unknown }).code).toMatch(/^ERR_AAM_/);
    };
    const signals = { c_a: 1 };
    for (const req of [null, undefined, revoked(), throwing({}), {}]) await refused(req, signals);
    for (const given of [
      revoked(),
      throwing({}),
      withThrowing({}, ['c_a']),
      { c_a: revoked([]) },
      { c_a: throwing([1]) },
    ]) {
      await refused({}, given);
      await refused({}, signals, given);
    }
    // Nobody awaits this one.
    const thrower = Object.defineProperty({}, 'aamSegments', {
      get() {
        throw undefined;
      },
    });
    aam.sendEvent(thrower as never, signals);
  });
});

describe('a function that may not be asynchronous', () => {
  const failing = async () => {
    throw new RangeError(ECID);
  };
  const promise = (option: string, code: string) => [
    expect.stringMatching(new RegExp(`^options\\.${option} returned a promise`)),
    expect.objectContaining({ code }),
  ];

  it.each([
    ['resolves to false', async () => false],
    ['rejects', failing],
    ['is a thenable', () => thenable((done) => done(false))],
    [
      'is a thenable that throws',
      () =>
        thenable(() => {
          throw new Error('x');
        }),
    ],
  ])('skip: what %s skips the request, with one warning', async (_what, skip) => {
    const site = await createSite({ skip: skip as never });
    for (let n = 0; n < 2; n++) expect(await site.view()).toMatchObject({ status: 'excluded', reason: 'skipped' });
    expect(warnings()).toEqual([promise('skip', 'WRN_AAM_SKIP_THREW')]);
  });

  it.each([
    ['resolves', async () => ({ ecid: ECID })],
    ['rejects', failing],
  ])('resolve: a promise that %s is no visitor', async (_what, resolve) => {
    const site = await createSite({ identity: { resolve: resolve as never } });
    for (let n = 0; n < 2; n++) expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
    expect(warnings()).toEqual([promise('identity\\.resolve', 'WRN_AAM_IDENTITY')]);
    expect(site.simulator.requests).toHaveLength(0);
  });

  it.each([
    ['resolves', async () => [ANN]],
    ['rejects', failing],
  ])('customerIds: a promise that %s has no ids', async (_what, customerIds) => {
    const site = await createSite({ identity: { customerIds: customerIds as never } });
    for (let n = 0; n < 2; n++) await site.view();
    expect(site.simulator.requests).toMatchObject([{ customerIds: [] }]);
    expect(warnings()).toEqual([promise('identity\\.customerIds', 'WRN_AAM_IDENTITY')]);
  });

  it.each([
    ['resolves', async () => ({ c_a: 1 })],
    ['rejects', failing],
  ])('signals: a promise that %s has no signals', async (_what, signals) => {
    const site = await createSite({ signals: signals as never });
    expect(await site.view()).toMatchObject({ status: 'fresh' });
    expect(site.simulator.requests[0]?.params).not.toHaveProperty('c_a');
    expect(warnings()).toEqual([promise('signals', 'WRN_AAM_SIGNALS')]);
  });
});

describe('whatever the site’s functions return or throw', () => {
  const anything = () =>
    fc.oneof(
      hostile({ ecid: OTHER_ECID, id: 'x', c_a: 1 }, ['ecid', 'customerIds', 'c_a']),
      hostile([ANN], ['0']),
      fc.anything({ withNullPrototype: true, withBigInt: true }).map((value) => () => value),
    );
  const functionOf = (value: unknown, throws: boolean) => () => {
    if (throws) throw value;
    return value;
  };

  it('every page is served, and nobody without consent is asked about', async () => {
    const current: { value: unknown; throws: boolean } = { value: undefined, throws: false };
    const call = () => functionOf(current.value, current.throws)() as never;
    const sites = await Promise.all([
      createSite({ skip: call }),
      createSite({ identity: { resolve: call } }),
      createSite({ identity: { customerIds: call } }),
      createSite({ signals: call, cache: { ttlMs: 0, staleWhileRevalidateMs: 0 } }),
      createSite({ maxWaitMs: 50, consent: { given: call } }),
    ]);
    const withConsent = sites[4] as (typeof sites)[0];
    await fc.assert(
      fc.asyncProperty(anything(), fc.boolean(), async (make, throws) => {
        const value = make();
        fc.pre(throws || value !== true);
        Object.assign(current, { value, throws });
        for (const { app } of sites) {
          const { status } = await request(app).get('/').set('Cookie', cookieOf(ECID));
          expect(status).toBe(200);
        }
      }),
      { numRuns: 40 },
    );
    expect(withConsent.simulator.requests).toHaveLength(0);
  });
});

describe('consent.given', () => {
  const NO_CONSENT = { status: 'excluded', reason: 'no-consent' };
  it.each<[string, Then, object]>([
    ['calls back at once', (done) => done(true), { status: 'fresh' }],
    ['calls back later', (done) => setImmediate(done, true), { status: 'fresh' }],
    ['calls back twice, first with true', (done) => [done(true), done(false)], { status: 'fresh' }],
    ['calls back twice, first with false', (done) => [done(false), done(true)], NO_CONSENT],
    ['fails, then agrees', (done, fail) => [fail(new Error('x')), done(true)], NO_CONSENT],
    ['agrees by a truthy value', (done) => done('yes'), NO_CONSENT],
    ['agrees by a promise, which nobody has awaited', (done) => done(Promise.reject(new Error('x'))), NO_CONSENT],
    ['fails with what cannot be looked at', (_done, fail) => fail(revoked()), NO_CONSENT],
    [
      'throws',
      () => {
        throw revoked();
      },
      NO_CONSENT,
    ],
    ['never calls back', () => {}, NO_CONSENT],
  ])('may return a thenable that %s', async (what, then, expected) => {
    const maxWaitMs = what.startsWith('never') ? 30 : 5_000;
    const site = await createSite({ maxWaitMs, consent: { given: () => thenable(then) as never } });
    expect(await site.view()).toMatchObject(expected);
  });

  it.each([
    ['a `then` that throws', withThrowing({}, ['then'])],
    ['a revoked proxy', revoked()],
    ['a promise whose constructor throws', withThrowing(Promise.resolve(true), [])],
    ['a truthy object', {}],
    ['a number', 1],
  ])('that returns %s has not agreed', async (_what, answer) => {
    const site = await createSite({ consent: { given: () => answer as never } });
    expect(await site.view()).toMatchObject(NO_CONSENT);
    expect(site.simulator.requests).toHaveLength(0);
  });

  it('reads `then` once', async () => {
    const { given, reads } = changing(
      thenable((done) => done(true)),
      {},
    );
    const site = await createSite({ consent: { given: () => given as never } });
    expect(await site.view()).toMatchObject({ status: 'fresh' });
    expect(reads()).toEqual(['then']);
  });
});

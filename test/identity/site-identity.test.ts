import type { CustomerId, VisitorId } from 'express-aam-segments';
import request from 'supertest';
import { usableCustomerIds } from '../../src/identity/customer-ids';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, type Site } from '../helpers/site';

const OTHER_ECID = '91563127448770346027793623225009407783';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const view = async (site: Site, headers: Record<string, string> = {}, path = '/') =>
  (await request(site.app).get(path).set(headers)).body;

describe('the option identity.resolve', () => {
  it('names the visitor instead of the cookies, by ECID or UUID, with a region', async () => {
    const visitors: VisitorId[] = [{ ecid: OTHER_ECID, region: 6 }, { uuid: OTHER_ECID }];
    const site = await createSite({ identity: { resolve: () => visitors.shift() } });
    await site.view();
    await site.view();
    expect(site.simulator.requests).toMatchObject([
      { region: 6, params: { d_mid: OTHER_ECID } },
      { region: 'alias', params: { d_uuid: OTHER_ECID } },
    ]);
  });

  it.each([undefined, null])('leaves it to the cookies where it gives %p', async (nothing) => {
    const site = await createSite({ identity: { resolve: () => nothing } });
    await site.view();
    expect(site.simulator.requests).toMatchObject([{ region: 9, params: { d_mid: ECID } }]);
  });

  it('does not bring back a visitor whose cookies say that they opted out', async () => {
    const site = await createSite({ identity: { resolve: () => ({ ecid: OTHER_ECID }) } });
    expect(await site.view(cookieOf(ECID, 9, 'global'))).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });

  it.each([
    ['no visitor', () => ({ ecid: '123' })],
    ['two ids', () => ({ ecid: ECID, uuid: ECID })],
    ['nothing in it', () => ({})],
    ['text', () => ECID],
    ['a promise', async () => ({ ecid: ECID })],
    ['a region that is none', () => ({ ecid: ECID, region: '9' })],
    ['customer ids that are none', () => ({ customerIds: [{ id: ECID }] })],
  ])(
    'that gives %s leaves an anonymous visitor, and is complained about once without any id',
    async (_what, resolve) => {
      const site = await createSite({ identity: { resolve: resolve as never } });
      expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
      expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
      expect(site.simulator.requests).toHaveLength(0);
      const { calls } = jest.mocked(process.emitWarning).mock;
      expect(calls).toEqual([
        [expect.stringMatching(/^options\.identity\.resolve: a visitor/), { code: 'WRN_AAM_IDENTITY' }],
      ]);
      expect(String(calls)).not.toMatch(/123|\d{38}/);
    },
  );

  it('that throws leaves an anonymous visitor too', async () => {
    const resolve = () => {
      throw new TypeError(ECID);
    };
    const site = await createSite({ identity: { resolve } });
    expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
    expect(jest.mocked(process.emitWarning).mock.calls).toEqual([
      ['options.identity.resolve threw: TypeError', { code: 'WRN_AAM_IDENTITY' }],
    ]);
  });
});

describe('the option identity.customerIds', () => {
  const login = (req: { headers: Record<string, unknown> }): CustomerId[] | undefined =>
    req.headers['x-user'] === undefined
      ? undefined
      : [{ dataSourceId: 77, id: String(req.headers['x-user']), authState: 'authenticated' }];

  it('takes the company’s ids along, and asks anew when the visitor logs in or out', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.visitor(ECID).in(GOLF);
    site.simulator.customer(77, 'ann').in(HIGH_VALUE);
    const anonymous = { Cookie: cookieOf(ECID) };
    const loggedIn = { ...anonymous, 'X-User': 'ann' };
    expect(await view(site, anonymous)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await view(site, loggedIn)).toMatchObject({ status: 'fresh', names: ['golfFans', 'highValue'] });
    expect(await view(site, loggedIn)).toMatchObject({ status: 'cached', names: ['golfFans', 'highValue'] });
    expect(await view(site, anonymous)).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(await view(site, { ...anonymous, 'X-User': 'bob' })).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(site.simulator.requests.map(({ customerIds }) => customerIds)).toEqual([
      [],
      [{ parameter: 'd_cid', source: '77', id: 'ann', authState: 1 }],
      [{ parameter: 'd_cid', source: '77', id: 'bob', authState: 1 }],
    ]);
    expect(site.aam.stats().visitors).toBe(1);
  });

  it('never has two calls at once for a visitor who logs in while one is on its way', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.fault({ kind: 'latency', latencyMs: 20 });
    const headers = [{}, { 'X-User': 'ann' }, { 'X-User': 'ann' }, { 'X-User': 'bob' }, {}];
    const views = await Promise.all(headers.map((more) => view(site, { Cookie: cookieOf(ECID), ...more })));
    expect(views.map(({ status }) => status)).toEqual(Array(5).fill('fresh'));
    expect(site.simulator.requests).toHaveLength(3);
    expect(site.simulator.overlaps).toEqual([]);
  });

  it('changes nothing for whom the DCS turns away, neither for what is known nor for what waits', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.visitor(ECID).in(GOLF);
    const anonymous = { Cookie: cookieOf(ECID) };
    expect(await view(site, anonymous)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    site.simulator.visitor(ECID).optOut();
    const views = [{ 'X-User': 'ann' }, { 'X-User': 'bob' }].map((more) => view(site, { ...anonymous, ...more }));
    const excluded = { status: 'excluded', reason: 'opted-out', names: [] };
    for (const each of [...(await Promise.all(views)), await view(site, anonymous)])
      expect(each).toMatchObject(excluded);
    expect(site.simulator.requests).toHaveLength(2);
  });

  it('is enough to know a visitor by', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.customer(77, 'ann').in(HIGH_VALUE);
    expect(await view(site, { 'X-User': 'ann' })).toMatchObject({ status: 'fresh', names: ['highValue'] });
    expect(await view(site, {})).toMatchObject({ status: 'anonymous', reason: 'no-id' });
    const customerIds = [{ dataSourceId: 77, id: 'ann', authState: 'authenticated' as const }];
    expect((await site.aam.lookup({ customerIds })).status).toBe('cached');
    site.aam.forget({ customerIds });
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('is forgotten when a visitor with that id refuses', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    await view(site, { 'X-User': 'ann' });
    await view(site, { 'X-User': 'ann', Cookie: cookieOf(ECID), 'Sec-GPC': '1' });
    expect(site.aam.stats()).toMatchObject({ visitors: 0, calls: 1 });
  });

  it('that throws leaves the visitor of the cookies', async () => {
    const customerIds = () => {
      throw new TypeError('x');
    };
    const site = await createSite({ identity: { customerIds } });
    expect(await site.view()).toMatchObject({ status: 'fresh' });
    expect(jest.mocked(process.emitWarning)).toHaveBeenCalledTimes(1);
  });

  it('sends as many as a call can carry, says so once, and names none', async () => {
    const many = Array.from({ length: 20 }, (_, n) => ({ dataSourceId: n % 3, id: `user-${n}` }));
    const site = await createSite({
      identity: { customerIds: () => many.map((id) => ({ ...id, dataSourceId: id.dataSourceId + 1 })) },
    });
    await site.view();
    await site.view();
    expect(site.simulator.requests[0]?.customerIds.map(({ id }) => id)).toEqual(many.slice(0, 9).map(({ id }) => id));
    const { calls } = jest.mocked(process.emitWarning).mock;
    expect(calls).toHaveLength(1);
    expect(String(calls)).toMatch(/more customer ids than a call can carry/);
    expect(String(calls)).not.toContain('user-');
  });
});

describe('customer ids', () => {
  const of = (dataSourceId: number, id: string) => ({ dataSourceId, id });

  it('are ten at most, the first ones', () => {
    const given = Array.from({ length: 12 }, (_, n) => of(n + 1, 'x'));
    expect(usableCustomerIds(given).ids).toEqual(given.slice(0, 10));
  });

  it('are three of one data source at most', () => {
    const given = [of(1, 'a'), of(1, 'b'), of(2, 'c'), of(1, 'd'), of(1, 'e'), of(2, 'f')];
    expect(usableCustomerIds(given).ids.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'f']);
  });

  it('fit into a request line together', () => {
    const given = Array.from({ length: 5 }, (_, n) => of(n + 1, '€'.repeat(100)));
    expect(usableCustomerIds(given).ids).toHaveLength(3);
  });

  it.each([
    [of(0, 'x')],
    [of(1.5, 'x')],
    [of(1, '')],
    [of(1, 'a\x01b')],
    [of(1, '\ud800')],
    [{ integrationCode: '', id: 'x' }],
    [{ integrationCode: 'crm', dataSourceId: 1, id: 'x' }],
    [{ id: 'x' }],
    [{ ...of(1, 'x'), authState: 1 }],
    [null],
    ['x'],
  ])('are not %j, and the others count all the same', (wrong) => {
    const { ids, problem } = usableCustomerIds([wrong, of(1, 'right')]);
    expect(ids).toEqual([of(1, 'right')]);
    expect(problem).toMatch(/must be/);
  });

  it('are refused for a lookup when they are wrong or too many', async () => {
    const { aam } = await createSite();
    for (const customerIds of [[], [{ id: 'x' }], 'x', Array.from({ length: 11 }, (_, n) => of(n + 1, 'x'))]) {
      const visitor = { customerIds } as unknown as VisitorId;
      await expect(aam.lookup(visitor)).rejects.toMatchObject({ code: 'ERR_AAM_INVALID_OPTION' });
    }
  });
});

describe('other ways to know a visitor', () => {
  it('is a link from another domain of the company, wherever the middleware is mounted', async () => {
    const site = await createSite({ identity: { adobeMc: true } });
    const ts = Math.floor(Date.now() / 1000);
    const mc = `MCMID=${OTHER_ECID}|MCORGID=${encodeURIComponent('1FD6776A524453CC0A490D44@AdobeOrg')}|TS=${ts}`;
    expect(await view(site, {}, `/?adobe_mc=${encodeURIComponent(mc)}`)).toMatchObject({ status: 'fresh' });
    expect(site.simulator.requests).toMatchObject([{ region: 'alias', params: { d_mid: OTHER_ECID } }]);
  });

  it('is a cookie with a UUID', async () => {
    const site = await createSite({ identity: { uuidCookie: 'aam_uuid' } });
    expect(await view(site, { Cookie: `aam_uuid=${OTHER_ECID}` })).toMatchObject({ status: 'fresh' });
    expect(site.simulator.requests).toMatchObject([{ params: { d_uuid: OTHER_ECID } }]);
  });
});

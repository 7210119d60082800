import type { CustomerId, VisitorId } from 'express-aam-segments';
import request from 'supertest';
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
  it('overrides the cookies by ECID or UUID, with a region', async () => {
    const visitors: VisitorId[] = [{ ecid: OTHER_ECID, region: 6 }, { uuid: OTHER_ECID }];
    const site = await createSite({ identity: { resolve: () => visitors.shift() } });
    await site.view();
    await site.view();
    expect(site.simulator.requests).toMatchObject([
      { region: 6, params: { d_mid: OTHER_ECID } },
      { region: 'alias', params: { d_uuid: OTHER_ECID } },
    ]);
  });

  it.each([undefined, null])('leaves the visitor to the cookies by returning %p', async (nothing) => {
    const site = await createSite({ identity: { resolve: () => nothing } });
    await site.view();
    expect(site.simulator.requests).toMatchObject([{ region: 9, params: { d_mid: ECID } }]);
  });

  it('does not override an opt-out in the cookies', async () => {
    const site = await createSite({ identity: { resolve: () => ({ ecid: OTHER_ECID }) } });
    expect(await site.view(cookieOf(ECID, 9, 'global'))).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });

  it.each([
    ['no visitor', () => ({ ecid: '123' })],
    ['two ids', () => ({ ecid: ECID, uuid: ECID })],
    ['nothing in it', () => ({})],
    ['text', () => ECID],
    ['an invalid region', () => ({ ecid: ECID, region: '9' })],
    ['invalid customer ids', () => ({ customerIds: [{ id: ECID }] })],
  ])('that returns %s makes the request anonymous, with one warning that has no id', async (_what, resolve) => {
    const site = await createSite({ identity: { resolve: resolve as never } });
    expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
    expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
    expect(site.simulator.requests).toHaveLength(0);
    const { calls } = jest.mocked(process.emitWarning).mock;
    expect(calls).toEqual([
      [
        expect.stringMatching(/^options\.identity\.resolve: a visitor/),
        expect.objectContaining({ code: 'WRN_AAM_IDENTITY' }),
      ],
    ]);
    expect(String(calls)).not.toMatch(/123|\d{38}/);
  });

  it('that throws makes the request anonymous', async () => {
    const resolve = () => {
      throw new TypeError(ECID);
    };
    const site = await createSite({ identity: { resolve } });
    expect(await site.view()).toMatchObject({ status: 'anonymous', reason: 'bad-id' });
    expect(jest.mocked(process.emitWarning).mock.calls).toEqual([
      ['options.identity.resolve threw: TypeError', expect.objectContaining({ code: 'WRN_AAM_IDENTITY' })],
    ]);
  });
});

describe('the option identity.customerIds', () => {
  const login = (req: { headers: Record<string, unknown> }): CustomerId[] | undefined =>
    req.headers['x-user'] === undefined
      ? undefined
      : [{ dataSourceId: 77, id: String(req.headers['x-user']), authState: 'authenticated' }];

  it('sends customer ids, and looks up again when the visitor logs in or out', async () => {
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

  it('never makes simultaneous calls for a visitor who logs in while one is in flight', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.fault({ kind: 'latency', latencyMs: 20 });
    const headers = [{}, { 'X-User': 'ann' }, { 'X-User': 'ann' }, { 'X-User': 'bob' }, {}];
    const views = await Promise.all(headers.map((more) => view(site, { Cookie: cookieOf(ECID), ...more })));
    expect(views.map(({ status }) => status)).toEqual(Array(5).fill('fresh'));
    expect(site.simulator.requests).toHaveLength(3);
    expect(site.simulator.overlaps).toEqual([]);
  });

  it('does not bring back a visitor who opted out, whether cached or queued', async () => {
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

  it('is enough to identify a visitor', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    site.simulator.customer(77, 'ann').in(HIGH_VALUE);
    expect(await view(site, { 'X-User': 'ann' })).toMatchObject({ status: 'fresh', names: ['highValue'] });
    expect(await view(site, {})).toMatchObject({ status: 'anonymous', reason: 'no-id' });
    const customerIds = [{ dataSourceId: 77, id: 'ann', authState: 'authenticated' as const }];
    expect((await site.aam.lookup({ customerIds })).status).toBe('cached');
    site.aam.forget({ customerIds });
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('forgets the customer id, too, when the visitor refuses', async () => {
    const site = await createSite({ identity: { customerIds: login } });
    await view(site, { 'X-User': 'ann' });
    await view(site, { 'X-User': 'ann', Cookie: cookieOf(ECID), 'Sec-GPC': '1' });
    expect(site.aam.stats()).toMatchObject({ visitors: 0, calls: 1 });
  });

  it('that throws leaves the visitor to the cookies', async () => {
    const customerIds = () => {
      throw new TypeError('x');
    };
    const site = await createSite({ identity: { customerIds } });
    expect(await site.view()).toMatchObject({ status: 'fresh' });
    expect(jest.mocked(process.emitWarning)).toHaveBeenCalledTimes(1);
  });

  it('sends as many ids as fit in a call, with one warning that has no id', async () => {
    const many = Array.from({ length: 20 }, (_, n) => ({ dataSourceId: n % 3, id: `user-${n}` }));
    const site = await createSite({
      identity: { customerIds: () => many.map((id) => ({ ...id, dataSourceId: id.dataSourceId + 1 })) },
    });
    await site.view();
    await site.view();
    expect(site.simulator.requests[0]?.customerIds.map(({ id }) => id)).toEqual(many.slice(0, 9).map(({ id }) => id));
    const { calls } = jest.mocked(process.emitWarning).mock;
    expect(calls).toHaveLength(1);
    expect(String(calls)).toMatch(/more customer ids than fit in a call/);
    expect(String(calls)).not.toContain('user-');
  });
});

import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { codesOf, ECID, event, OTHER_ECID, send } from './dcs-client';

describe('the request log', () => {
  let simulator: DcsSimulator;
  let origin: string;

  beforeEach(async () => {
    simulator = await createDcsSimulator();
    origin = simulator.dcs.origins[12] as string;
  });
  afterEach(() => simulator.close());

  it('holds a call as it was sent', async () => {
    const url = `/event?d_rtbd=json&d_mid=${ECID}&c_a=1&c_a=x%20y&c_a=z+%2B&&c_flag`;
    const before = performance.now();
    await send(origin + url, { host: 'ACME.demdex.net', headers: { 'User-Agent': 'shop' } });
    const { at, endedAt, ...rest } = simulator.requests[0] as DcsSimulator['requests'][number];
    expect(rest).toEqual({
      method: 'GET',
      path: '/event',
      url,
      host: 'ACME.demdex.net',
      region: 12,
      params: { d_rtbd: 'json', d_mid: ECID, c_a: ['1', 'x y', 'z +'], c_flag: '' },
      customerIds: [],
      headers: expect.objectContaining({ 'user-agent': 'shop' }),
      visitor: ECID,
      overlapped: false,
      answeredStatus: 200,
    });
    const inOrder = [before, at, endedAt as number, performance.now()];
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
  });

  it('holds the body of a POST and the parameters of both places', async () => {
    await send(`${simulator.dcs.defaultOrigin}/event?c_a=1`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'c_a=2&c_b=3',
    });
    expect(simulator.requests).toMatchObject([
      { method: 'POST', path: '/event', region: 'alias', body: 'c_a=2&c_b=3', params: { c_a: ['1', '2'], c_b: '3' } },
    ]);
  });

  it('holds customer ids byte for byte', async () => {
    const cids = 'd_cid=123%01987%2B%20%C3%A9%011&d_cid=456%0167312&d_cid_ic=crm%01a%252Fb%010';
    expect(codesOf(await event(origin, cids))).toEqual([]);
    expect(simulator.requests[0]?.params).toMatchObject({
      d_cid: ['123\x01987+ é\x011', '456\x0167312'],
      d_cid_ic: 'crm\x01a%2Fb\x010',
    });
    expect(simulator.requests[0]?.customerIds).toEqual([
      { parameter: 'd_cid', source: '123', id: '987+ é', authState: 1 },
      { parameter: 'd_cid', source: '456', id: '67312' },
      { parameter: 'd_cid_ic', source: 'crm', id: 'a%2Fb', authState: 0 },
    ]);
  });

  it.each(['d_cid=123', 'd_cid=crm%011', 'd_cid_ic=%011', 'd_cid=1%01+', 'd_cid=1%012%013', 'd_cid=1%012%011%013'])(
    'leaves out the malformed customer id %s, which the DCS warns about',
    async (cid) => {
      const answer = await event(origin, `d_mid=${ECID}&${cid}`);
      expect(answer.json).toMatchObject({ stuff: [], errors: [{ code: 300 }] });
      expect(simulator.requests[0]?.customerIds).toEqual([]);
    },
  );

  it('shows the calls of one visitor that overlapped', async () => {
    const held = simulator.fault({ kind: 'hang' }, { calls: 1 });
    const client = new AbortController();
    const first = event(origin, `d_mid=${ECID}`, { signal: client.signal });
    await simulator.received(1);
    await event(origin, `d_mid=${OTHER_ECID}`);
    await event(simulator.dcs.defaultOrigin, `d_mid=${ECID}`);

    expect(held.used).toBe(1);
    expect(simulator.requests.map(({ overlapped }) => overlapped)).toEqual([false, false, true]);
    expect(simulator.overlaps).toEqual([simulator.requests[2]]);
    expect(simulator.requests[0]).not.toHaveProperty('endedAt');
    client.abort();
    await expect(first).rejects.toThrow(/abort/);
  });

  it('shows no overlap between successive calls', async () => {
    for (let call = 0; call < 20; call += 1) await event(origin, `d_mid=${ECID}`);
    expect(simulator.overlaps).toEqual([]);
  });

  it('is emptied by clear(), while what was read from it stays', async () => {
    await event(origin, '');
    const earlier = simulator.requests;
    simulator.clear();
    expect([earlier.length, simulator.requests.length]).toEqual([1, 0]);
  });

  it('does not hold a request that did not arrive completely', async () => {
    const client = new AbortController();
    const head = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '100' };
    const { request } = await import('node:http');
    const upload = request(`${origin}/event`, { method: 'POST', headers: head, signal: client.signal });
    const gone = new Promise((resolve) => upload.once('error', resolve));
    await new Promise((resolve) => upload.write('d_mid=', resolve));
    client.abort();
    await gone;
    await event(origin, '');
    expect(simulator.requests).toMatchObject([{ method: 'GET' }]);
  });
});

describe('received()', () => {
  it('resolves when that many requests have arrived, answered or not', async () => {
    await using simulator = await createDcsSimulator();
    simulator.fault({ kind: 'hang' });
    const answers = [1, 2].map(() => event(simulator.dcs.defaultOrigin, '').catch(() => 'never answered'));
    await simulator.received(2);
    expect(simulator.requests).toHaveLength(2);
    await simulator.received(1);
    await simulator.close();
    expect(await Promise.all(answers)).toEqual(['never answered', 'never answered']);
  });

  it('rejects when they do not arrive in time', async () => {
    await using simulator = await createDcsSimulator();
    const late = simulator.received(2, { timeoutMs: 5 });
    await expect(late).rejects.toThrow('expected 2 requests within 5 ms, received 0');
  });

  it('rejects when the simulator is closed before', async () => {
    const simulator = await createDcsSimulator();
    const never = simulator.received(1);
    await simulator.close();
    await expect(never).rejects.toThrow('expected 1 requests before the simulator was closed, received 0');
  });

  it.each([
    [-1, {}],
    [1.5, {}],
    [1, { timeoutMs: '5' }],
    [1, { timeout: 5 }],
  ])('refuses %p, %p', async (count, options) => {
    await using simulator = await createDcsSimulator();
    await expect(simulator.received(count, options as never)).rejects.toThrow(TypeError);
  });
});

import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { codesOf, ECID, event, OTHER_ECID, send } from './dcs-client';

describe('a visitor', () => {
  let simulator: DcsSimulator;
  let origin: string;
  const answered = async (id = `d_mid=${ECID}`) => (await event(origin, `${id}&d_cts=2`)).json;

  beforeEach(async () => {
    simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: { calls: 3, withinMs: 60_000 } });
    origin = simulator.dcs.defaultOrigin;
  });
  afterEach(() => simulator.close());

  it('enters and leaves segments', async () => {
    const visitor = simulator.visitor(ECID).in(1, '2', 3).out('1');
    expect((await answered()).segments).toEqual([2, 3]);
    visitor.out();
    expect((await answered()).segments).toEqual([]);
  });

  it('is the same one each time', async () => {
    simulator.visitor(ECID).in(1);
    simulator.visitor(ECID).in(2);
    simulator.visitor(OTHER_ECID).in(3);
    expect((await answered()).segments).toEqual([1, 2]);
  });

  it('has cookie destinations, which are replaced and removed by name', async () => {
    const visitor = simulator
      .visitor(ECID)
      .destination('aam', 'seg=1')
      .destination('aam', 'seg=984263', { ttlDays: 7, domain: 'aam-api.com' })
      .destination('other', 'a b;c')
      .destination('gone', 'x')
      .destination('gone', undefined);
    expect((await answered()).stuff).toEqual([
      { cn: 'aam', cv: 'seg=984263', ttl: 7, dmn: 'aam-api.com' },
      { cn: 'other', cv: 'a b;c', ttl: 30, dmn: '' },
    ]);
    visitor.destination('aam', undefined).destination('other', undefined);
    expect((await answered()).stuff).toEqual([]);
  });

  it('is found by the uuid that was returned for its ECID', async () => {
    simulator.visitor(ECID).in(1);
    const { uuid } = await answered();
    expect(await answered(`d_uuid=${uuid}`)).toMatchObject({ segments: [1], uuid });
    expect(simulator.requestsOf(uuid)).toHaveLength(2);
  });

  it('is found by a uuid that the test has set', async () => {
    simulator.visitor(ECID).uuid(OTHER_ECID).in(1);
    expect((await answered()).uuid).toBe(OTHER_ECID);
    expect(await answered(`d_uuid=${OTHER_ECID}`)).toMatchObject({ segments: [1], uuid: OTHER_ECID });
  });

  it('keeps the uuid by which it is named', async () => {
    simulator.visitor(ECID).in(1);
    expect(await answered(`d_uuid=${ECID}`)).toMatchObject({ segments: [1], uuid: ECID });
  });

  it('opts out and in again', async () => {
    const visitor = simulator.visitor(ECID).in(1).optOut();
    expect((await event(origin, `d_mid=${ECID}`)).headers['x-error']).toBe('171');
    expect(Object.keys(await answered())).toEqual(['errors']);
    visitor.optIn();
    expect((await answered()).segments).toEqual([1]);
  });

  it('is denylisted on demand', async () => {
    simulator.visitor(ECID).in(1).denylist();
    expect(await answered()).toEqual({ errors: [{ code: 306, msg: `Blocked declared device id ${ECID}` }] });
  });

  it('is permanently denylisted when its id is sent too often', async () => {
    for (let call = 1; call <= 3; call += 1) expect((await answered()).segments).toEqual([]);
    expect(codesOf(await event(origin, `d_mid=${ECID}`))).toEqual([306]);
    simulator.clear();
    expect(codesOf(await event(origin, `d_mid=${ECID}`))).toEqual([306]);
    expect((await answered(`d_mid=${OTHER_ECID}`)).segments).toEqual([]);
  });

  it('is never denylisted with denylistAfter: false', async () => {
    await using tolerant = await createDcsSimulator({ denylistAfter: false });
    const calls = Array.from({ length: 101 }, () => event(tolerant.dcs.defaultOrigin, `d_mid=${ECID}`));
    expect((await Promise.all(calls)).map(({ headers }) => headers['x-error'])).toEqual(Array(101).fill(undefined));
  });

  it('is denylisted by default with the 101st call of ten seconds', async () => {
    await using strict = await createDcsSimulator();
    const calls = Array.from({ length: 101 }, () => event(strict.dcs.defaultOrigin, `d_mid=${ECID}`));
    const errors = (await Promise.all(calls)).map(({ headers }) => headers['x-error']);
    expect(errors.filter(Boolean)).toEqual(['306']);
  });

  it.each([0, 10, 171, 172, 199, 200, 205, 306, 307, 311, 315])('fails with code %i and no data', async (code) => {
    simulator.visitor(ECID).in(1).fails(code);
    const { headers, json } = await event(origin, `d_mid=${ECID}&d_cts=2`);
    expect(headers['x-error']).toBe(String(code));
    expect(json).toEqual({ errors: [{ code, msg: expect.stringMatching(/\w/) }] });
  });

  it.each([300, 302, 303, 304, 312, 313, 314, 399])('is warned about with code %i next to its data', async (code) => {
    simulator.visitor(ECID).in(1).fails(code);
    expect(await answered()).toMatchObject({ segments: [1], stuff: [], errors: [{ code }] });
  });

  it('stops failing with fails(undefined)', async () => {
    simulator.visitor(ECID).in(1).fails(200).fails(undefined);
    expect(await answered()).toMatchObject({ segments: [1] });
    expect(await answered()).not.toHaveProperty('errors');
  });

  it('gets all codes that apply, and no data if one of them excludes it', async () => {
    simulator.visitor(ECID).in(1).fails(300).optOut();
    const { headers, json } = await event(origin, `d_mid=${ECID}&d_cts=2`);
    expect(headers['x-error']).toBe('171,300');
    expect(Object.keys(json)).toEqual(['errors']);
  });

  it('fails on /id too', async () => {
    simulator.visitor(ECID).fails(198);
    const url = `${origin}/id?d_rtbd=json&d_orgid=1FD6776A524453CC0A490D44@AdobeOrg&d_mid=${ECID}`;
    expect((await send(url)).json.errors).toEqual([
      { code: 198, msg: 'Requests from this country are blocked by partner' },
    ]);
  });

  it('has its own part of the log', async () => {
    const visitor = simulator.visitor(ECID);
    await answered(`d_mid=${OTHER_ECID}`);
    expect(visitor.calls).toEqual([]);
    await answered();
    expect(visitor.calls).toEqual([simulator.requests[1]]);
  });
});

describe('a customer', () => {
  let simulator: DcsSimulator;
  const answered = async (parameters: string) =>
    (await event(simulator.dcs.defaultOrigin, `${parameters}&d_cts=2`)).json;

  beforeEach(async () => {
    simulator = await createDcsSimulator({ segmentIds: true });
    simulator.visitor(ECID).in(1);
    simulator.customer(77, 'a b').in(2).destination('aam', 'seg=2');
    simulator.customer('crm', '4711').in(3);
  });
  afterEach(() => simulator.close());

  it('brings their segments to the device on which they are logged in', async () => {
    const logged = await answered(`d_mid=${ECID}&d_cid=77%01a%20b%011&d_cid_ic=crm%014711`);
    expect(logged).toMatchObject({ segments: [1, 2, 3], stuff: [{ cn: 'aam', cv: 'seg=2' }] });
    expect((await answered(`d_mid=${ECID}&d_cid=77%01a%20b%012`)).segments).toEqual([1]);
    expect((await answered(`d_mid=${ECID}&d_cid=78%01a%20b`)).segments).toEqual([1]);
  });

  it('can be looked up without a device', async () => {
    expect((await answered('d_cid_ic=crm%014711')).segments).toEqual([3]);
    expect(simulator.customer('crm', '4711').calls).toHaveLength(1);
    expect(simulator.visitor(ECID).calls).toHaveLength(0);
  });

  it.each([
    [1.5, 'x'],
    ['', 'x'],
    [undefined, 'x'],
    [7, ''],
    [7, 7],
  ])('is refused by a wrong name: %p, %p', (dataSource, id) => {
    expect(() => simulator.customer(dataSource as never, id as never)).toThrow(TypeError);
  });
});

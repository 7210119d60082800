import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { codesOf, ECID, event, ORG, OTHER_ECID, send, sendRaw } from './dcs-client';

describe('an answer to /event', () => {
  let simulator: DcsSimulator;
  let origin: string;

  beforeEach(async () => {
    simulator = await createDcsSimulator({ segmentIds: true });
    origin = simulator.dcs.origins[9] as string;
  });
  afterEach(() => simulator.close());

  it('has no segments for an unknown visitor', async () => {
    const { status, headers, json } = await event(origin, `d_jsonv=1&d_mid=${ECID}`);

    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json;charset=utf-8');
    expect(headers['x-error']).toBeUndefined();
    expect(Object.keys(json)).toEqual(['stuff', 'uuid', 'dcs_region', 'tid']);
    expect(json).toMatchObject({ stuff: [], dcs_region: 9 });
    expect(json.uuid).toMatch(/^\d{38}$/);
    expect(json.uuid).not.toBe(ECID);
    expect(json.tid).toMatch(/^[A-Za-z0-9+/]{11}=$/);
  });

  it('has the same uuid for the same visitor and a new tid for every call', async () => {
    const [first, second] = [await event(origin, `d_mid=${ECID}`), await event(origin, `d_mid=${ECID}`)];
    expect(second.json.uuid).toBe(first.json.uuid);
    expect(second.json.tid).not.toBe(first.json.tid);
  });

  it('has a new uuid for a call without a device id', async () => {
    const [first, second] = [await event(origin, ''), await event(origin, '')];
    expect(first.json).toMatchObject({ stuff: [], uuid: expect.stringMatching(/^\d{38}$/) });
    expect(second.json.uuid).not.toBe(first.json.uuid);
  });

  it.each(['1', '2'])('lists segments and traits for d_cts=%s', async (cts) => {
    simulator.visitor(ECID).in(984263, '985264');
    const { json } = await event(origin, `d_mid=${ECID}&d_cts=${cts}`);
    expect(json).toMatchObject({ segments: [984263, 985264], traits: [984263, 985264] });
    expect((await event(origin, `d_mid=${OTHER_ECID}&d_cts=${cts}`)).json.segments).toEqual([]);
  });

  it('has neither segments nor traits for a call without d_cts', async () => {
    simulator.visitor(ECID).in(984263);
    const { json } = await event(origin, `d_mid=${ECID}&d_cts=0`);
    expect(json).not.toHaveProperty('segments');
    expect(json).not.toHaveProperty('traits');
  });

  it('has neither segments nor traits while they are not enabled for the account', async () => {
    await using plain = await createDcsSimulator();
    plain.visitor(ECID).in(984263);
    const { json } = await event(plain.dcs.defaultOrigin, `d_mid=${ECID}&d_cts=2`);
    expect(Object.keys(json)).toEqual(['stuff', 'uuid', 'dcs_region', 'tid']);
  });

  it('names the region of the origin that answered, and 7 at the alias', async () => {
    const origins = { ...simulator.dcs.origins, 0: simulator.dcs.defaultOrigin };
    const regions = Object.values(origins).map(async (url) => (await event(url, '')).json.dcs_region);
    expect(await Promise.all(regions)).toEqual([7, 3, 4, 6, 7, 8, 9, 11, 12]);
  });

  it('names the configured region of the alias', async () => {
    await using elsewhere = await createDcsSimulator({ aliasRegion: 11 });
    expect((await event(elsewhere.dcs.defaultOrigin, '')).json.dcs_region).toBe(11);
  });

  it('has URL destinations only for d_dst=1', async () => {
    expect((await event(origin, 'd_dst=1')).json.dests).toEqual([]);
    expect((await event(origin, 'd_dst=0')).json).not.toHaveProperty('dests');
  });

  it('is a pixel without d_rtbd=json', async () => {
    const { headers, text } = await send(`${origin}/event?d_mid=1`);
    expect(headers).toMatchObject({ 'content-type': 'image/gif', 'x-error': '101' });
    expect(text.slice(0, 6)).toBe('GIF89a');
  });

  it('is wrapped in the callback of d_cb', async () => {
    const { headers, text } = await event(origin, `d_mid=${ECID}&d_cb=acme_callback`);
    expect(headers['content-type']).toBe('application/javascript;charset=utf-8');
    expect(JSON.parse(text.replace(/^acme_callback\((.*)\)$/, '$1'))).toMatchObject({ stuff: [], dcs_region: 9 });
  });

  it('is the same by POST, with the parameters in a form', async () => {
    simulator.visitor(ECID).in(984263);
    const form = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' };
    const body = `d_rtbd=json&d_cts=2&d_mid=${ECID}`;
    const { json } = await send(`${origin}/event`, { method: 'POST', headers: form, body });
    expect(json.segments).toEqual([984263]);
  });

  it('does not read a POST body of another type', async () => {
    const { headers } = await send(`${origin}/event`, { method: 'POST', body: 'd_rtbd=json' });
    expect(headers['content-type']).toBe('image/gif');
  });

  it.each([
    ['acme.demdex.net', []],
    ['ACME.demdex.net:443', []],
    ['usw2.demdex.net', [1]],
  ])('for Host %s has the codes %j', async (host, codes) => {
    const answer = await event(origin, `d_mid=${ECID}`, { host });
    expect(codesOf(answer)).toEqual(codes);
  });

  it('names the unknown host in the body, and the code in X-Error', async () => {
    const { status, headers, json } = await event(origin, `d_mid=${ECID}`, { host: 'other.demdex.net' });
    expect(status).toBe(200);
    expect(headers['x-error']).toBe('1');
    expect(json).toEqual({ errors: [{ code: 1, msg: 'Could not find config for hostname: other.demdex.net' }] });
  });

  it.each(['1.0', '1.1'])('has code 100 for an HTTP/%s call without a Host', async (version) => {
    const request = `GET /event?d_rtbd=json HTTP/${version}\r\nConnection: close\r\n\r\n`;
    const text = await sendRaw(origin, request);
    expect(text).toContain('X-Error: 100\r\n');
    expect(text).toContain('"code":100,"msg":"Could not retrieve host name for the request"');
  });

  it.each([
    [`d_mid=${ECID}&d_orgid=${encodeURIComponent(ORG)}`, []],
    [`d_mid=${ECID}&d_orgid=1FD6776A524453CC0A490D44`, [2]],
    ['d_mid=123', [101]],
    ['d_mid=', [101]],
    ['d_mid=abc&d_uuid=def', [101, 102]],
    [`d_mid=${ECID}&d_mid=123`, []],
    [`d_uuid=${ECID}`, []],
    [`d_mid=${ECID}&c_name=100%25`, []],
    [`d_mid=${ECID}&c_name=100%`, [311]],
    [`d_mid=${ECID}&c_%zz=1`, [311]],
    [`d_mid=${ECID}&c_name=%ff`, [311]],
  ])('for %s has the codes %j', async (parameters, codes) => {
    const answer = await send(`${origin}/event?${parameters}&d_rtbd=json`);
    const seen = codes.includes(311) ? String(answer.headers['x-error']).split(',').map(Number) : codesOf(answer);
    expect(seen).toEqual(codes);
  });

  it('has no data next to an invalid id', async () => {
    expect(Object.keys((await event(origin, 'd_mid=123')).json)).toEqual(['errors']);
  });

  it('ignores the whole call for one malformed parameter', async () => {
    const { headers } = await event(origin, `d_mid=${ECID}&d_site=%esid!`);
    expect(headers['content-type']).toBe('image/gif');
    expect(simulator.requests).toMatchObject([{ params: {}, url: `/event?d_rtbd=json&d_mid=${ECID}&d_site=%esid!` }]);
    expect(simulator.requestsOf(ECID)).toEqual([]);
  });

  it('accepts the configured organisations only', async () => {
    await using strict = await createDcsSimulator({ orgIds: [ORG] });
    const other = ORG.replace('1', '2');
    expect(codesOf(await event(strict.dcs.defaultOrigin, `d_orgid=${ORG}`))).toEqual([]);
    expect((await event(strict.dcs.defaultOrigin, `d_orgid=${other}`)).json.errors).toEqual([
      { code: 2, msg: `Invalid d_orgid value (could not find a config for this org id): ${other}` },
    ]);
  });
});

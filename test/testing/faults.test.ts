import { createDcsSimulator, type DcsSimulator, type Fault } from 'express-aam-segments/testing';
import { ECID, event, OTHER_ECID, send, sendRaw } from './dcs-client';

describe('a fault', () => {
  let simulator: DcsSimulator;
  let origin: string;

  beforeEach(async () => {
    simulator = await createDcsSimulator();
    origin = simulator.dcs.origins[8] as string;
  });
  afterEach(() => simulator.close());

  it('of kind latency answers later, and latencies add up', async () => {
    simulator.fault({ kind: 'latency', latencyMs: 30 });
    simulator.fault({ kind: 'latency', latencyMs: 30 });
    const { json } = await event(origin, '');
    expect(json.dcs_region).toBe(8);
    const [{ at, endedAt, fault, answeredStatus }] = simulator.requests as [DcsSimulator['requests'][number]];
    expect((endedAt as number) - at).toBeGreaterThanOrEqual(58);
    expect([fault, answeredStatus]).toEqual(['latency', 200]);
  });

  it('of kind latency delays an answer that was decided on arrival', async () => {
    simulator.fault({ kind: 'latency', latencyMs: 20 });
    const visitor = simulator.visitor(ECID).destination('aam', 'seg=1');
    const late = event(origin, `d_mid=${ECID}`);
    await simulator.received(1);
    visitor.destination('aam', 'seg=2');
    expect((await late).json.stuff).toMatchObject([{ cv: 'seg=1' }]);
  });

  it('of kind latency is dropped with a client that goes away', async () => {
    simulator.fault({ kind: 'latency', latencyMs: 2_000_000_000 });
    const client = new AbortController();
    const late = event(origin, `d_mid=${ECID}`, { signal: client.signal });
    await simulator.received(1);
    client.abort();
    await expect(late).rejects.toThrow(/abort/);
    simulator.clear();
    await event(origin, '');
    expect(simulator.requests).toMatchObject([{ answeredStatus: 200 }]);
  });

  it('of kind hang never answers', async () => {
    simulator.fault({ kind: 'hang' }, { calls: 1 });
    const client = new AbortController();
    const hanging = event(origin, '', { signal: client.signal });
    await simulator.received(1);
    await event(origin, '');
    client.abort();
    await expect(hanging).rejects.toThrow(/abort/);
    expect(simulator.requests[0]).toMatchObject({ fault: 'hang' });
    expect(simulator.requests[0]).not.toHaveProperty('answeredStatus');
  });

  it('of kind reset resets the connection', async () => {
    simulator.fault({ kind: 'reset' });
    await expect(event(origin, '')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(simulator.requests).toMatchObject([{ fault: 'reset', endedAt: expect.any(Number) }]);
  });

  it('of kind status answers with it', async () => {
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    expect(await event(origin, '')).toMatchObject({ status: 503, text: '' });
    simulator.fault({ kind: 'status', status: 302, headers: { location: '/id' }, body: 'moved' }, { calls: 1 });
    expect(await event(origin, '')).toMatchObject({ status: 302, headers: { location: '/id' }, text: 'moved' });
    expect(simulator.requests.map(({ answeredStatus }) => answeredStatus)).toEqual([503, 302]);
  });

  it.each(['', `d_mid=${ECID}`])('of kind truncate ends before the announced length (%p)', async (parameters) => {
    simulator.fault({ kind: 'truncate' });
    const request = `GET /event?d_rtbd=json&${parameters} HTTP/1.1\r\nHost: acme.demdex.net\r\n\r\n`;
    const [head, body] = (await sendRaw(origin, request)).split('\r\n\r\n') as [string, string];
    expect(body).toMatch(/^\{"stuff":\[\],"uuid":"/);
    expect(Number(/content-length: (\d+)/i.exec(head)?.[1])).toBeGreaterThan(body.length);
    expect(() => JSON.parse(body)).toThrow(SyntaxError);
    await expect(event(origin, parameters)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  });

  it('of kind truncate cuts an answer without a body too', async () => {
    simulator.fault({ kind: 'truncate' });
    await expect(send(`${origin}/nowhere`)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
    expect(simulator.requests).toMatchObject([{ answeredStatus: 404 }]);
  });

  it.each([64, 65_600, 1_000_003])('of kind huge answers %i bytes of JSON', async (bytes) => {
    simulator.fault({ kind: 'huge', bytes });
    const { headers, text, json } = await event(origin, '');
    expect(text).toHaveLength(bytes);
    expect(json.stuff).toEqual([]);
    expect(headers['content-length']).toBeUndefined();
  });

  it('of kind huge stops when the client disconnects', async () => {
    simulator.fault({ kind: 'huge', bytes: Number.MAX_SAFE_INTEGER }, { calls: 1 });
    const { request } = await import('undici');
    const { body } = await request(`${origin}/event`, { headers: { host: 'acme.demdex.net' } });
    for await (const chunk of body) {
      expect(String(chunk)).toMatch(/^\{"stuff"/);
      break;
    }
    await event(origin, '');
    expect(simulator.requests).toMatchObject([{ fault: 'huge' }, { answeredStatus: 200 }]);
  });

  it('of kind malformed answers complete HTTP with broken JSON', async () => {
    simulator.fault({ kind: 'malformed' });
    await expect(event(origin, '')).rejects.toThrow(SyntaxError);
  });

  it('of kind body answers anything', async () => {
    simulator.fault({ kind: 'body', body: '{"stuff":null}' }, { calls: 1 });
    expect((await event(origin, '')).json).toEqual({ stuff: null });
    const headers = { 'content-type': 'text/html', 'x-error': '101,102' };
    simulator.fault({ kind: 'body', body: Buffer.from('<html>'), headers }, { calls: 1 });
    expect(await event(origin, '')).toMatchObject({ status: 200, text: '<html>', headers });
  });

  it('of kind drip sends the answer byte by byte', async () => {
    simulator.fault({ kind: 'drip', intervalMs: 1 });
    const { json, text } = await event(origin, `d_mid=${ECID}`);
    expect(json.stuff).toEqual([]);
    const { at, endedAt } = simulator.requests[0] as { at: number; endedAt: number };
    expect(endedAt - at).toBeGreaterThan(text.length / 2);
  });

  it('applies to one region, one visitor and a number of calls', async () => {
    const scope = { region: 8, visitor: ECID, calls: 2 };
    const fault = simulator.fault({ kind: 'status', status: 500 }, scope);
    const statuses: number[] = [];
    for (const [url, id] of [
      [origin, OTHER_ECID],
      [simulator.dcs.defaultOrigin, ECID],
      [origin, ECID],
      [origin, ECID],
      [origin, ECID],
    ]) {
      statuses.push((await event(url as string, `d_mid=${id}`)).status);
    }
    expect(statuses).toEqual([200, 200, 500, 500, 200]);
    expect(fault.used).toBe(2);
  });

  it('applies to the alias', async () => {
    simulator.fault({ kind: 'status', status: 500 }, { region: 'alias' });
    const urls = [origin, simulator.dcs.defaultOrigin];
    const statuses = urls.map(async (url) => (await event(url, '')).status);
    expect(await Promise.all(statuses)).toEqual([200, 500]);
  });

  it('applies to a visitor by any of their ids', async () => {
    simulator.visitor(ECID).uuid(OTHER_ECID);
    simulator.fault({ kind: 'status', status: 500 }, { visitor: OTHER_ECID });
    expect((await event(origin, `d_mid=${ECID}`)).status).toBe(500);
  });

  it('wins over an older one, which is not used meanwhile', async () => {
    const older = simulator.fault({ kind: 'status', status: 500 });
    const newer = simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    simulator.fault({ kind: 'latency', latencyMs: 1 });
    expect([(await event(origin, '')).status, older.used, newer.used]).toEqual([503, 0, 1]);
    expect([(await event(origin, '')).status, older.used, newer.used]).toEqual([500, 1, 1]);
    expect(simulator.requests.map(({ fault }) => fault)).toEqual(['status', 'status']);
  });

  it('ends when it is cleared, alone or with all', async () => {
    const fault = simulator.fault({ kind: 'status', status: 500 });
    expect((await event(origin, '')).status).toBe(500);
    fault.clear();
    expect((await event(origin, '')).status).toBe(200);
    simulator.fault({ kind: 'hang' });
    simulator.clear();
    expect((await event(origin, '')).status).toBe(200);
  });

  it('hides the answer of a call that took effect', async () => {
    simulator.fault({ kind: 'status', status: 500 }, { calls: 1 });
    await send(`${origin}/demoptout?d_uuid=${ECID}`);
    expect((await event(origin, `d_uuid=${ECID}`)).headers['x-error']).toBe('171');
  });

  it.each<[unknown, unknown, string]>([
    [undefined, {}, 'fault must be an object, got undefined (undefined)'],
    [{ kind: 'slow' }, {}, "fault.kind must be one of latency, hang, reset, .*, got 'slow'"],
    [{ kind: 'hang', ms: 3 }, {}, "every key of fault must be one of kind, got 'ms'"],
    [{ kind: 'latency', latencyMs: 1.5 }, {}, 'fault.latencyMs must be an integer between 0 and 2147483647, got 1.5'],
    [{ kind: 'drip', intervalMs: 0 }, {}, 'fault.intervalMs must be an integer between 1'],
    [{ kind: 'huge', bytes: 63 }, {}, 'fault.bytes must be an integer between 64'],
    [{ kind: 'status', status: 100 }, {}, 'fault.status must be an integer between 200 and 599'],
    [{ kind: 'status', status: 500, body: 5 }, {}, 'fault.body must be a string or a Buffer, got 5'],
    [{ kind: 'body' }, {}, 'fault.body must be a string or a Buffer, got undefined'],
    [{ kind: 'body', body: '', headers: null }, {}, 'fault.headers must be an object, got null'],
    [{ kind: 'body', body: '', headers: { 'a b': '1' } }, {}, 'Header name must be a valid HTTP token'],
    [{ kind: 'hang' }, { region: 5 }, "where.region must be 'alias' or one of 3, 4, 6, 7, 8, 9, 11, 12, got 5"],
    [{ kind: 'hang' }, { calls: 0 }, 'where.calls must be an integer between 1'],
    [{ kind: 'hang' }, { visitor: 'x' }, "where.visitor must be a string of 38 digits, got 'x'"],
    [{ kind: 'hang' }, { times: 1 }, "every key of where must be one of region, calls, visitor, got 'times'"],
  ])('is refused: %j for %j', (fault, where, message) => {
    const pattern = new RegExp(message.replace(/[()]/g, '\\$&'));
    expect(() => simulator.fault(fault as Fault, where as object)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
    expect(() => simulator.fault(fault as Fault, where as object)).toThrow(pattern);
  });
});

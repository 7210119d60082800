import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { codesOf, ECID, event, ORG, send } from './dcs-client';

describe('the DCS beside /event', () => {
  let simulator: DcsSimulator;
  let origin: string;

  beforeEach(async () => {
    simulator = await createDcsSimulator();
    origin = simulator.dcs.origins[6] as string;
  });
  afterEach(() => simulator.close());

  it('answers /id with the id it was sent', async () => {
    const { json } = await send(`${origin}/id?d_rtbd=json&d_orgid=${ORG}&d_mid=${ECID}`);
    expect(json).toEqual({
      d_mid: ECID,
      id_sync_ttl: 604800,
      d_blob: expect.stringMatching(/^[\w-]{43}$/),
      dcs_region: 6,
      d_ottl: 7200,
      ibs: [],
      subdomain: 'acme',
      tid: expect.stringMatching(/^.{12}$/),
    });
  });

  it('creates an id on /id for a caller without one, and the same id for the same uuid', async () => {
    const id = async (parameters: string) =>
      (await send(`${origin}/id?d_rtbd=json&d_orgid=${ORG}&${parameters}`)).json.d_mid;
    const minted = [await id(''), await id('')];
    expect(minted).toEqual([expect.stringMatching(/^\d{38}$/), expect.stringMatching(/^\d{38}$/)]);
    expect(minted[0]).not.toBe(minted[1]);
    expect(await id(`d_uuid=${ECID}`)).toBe(await id(`d_uuid=${ECID}`));
  });

  it.each(['evil.example', 'acme.demdex.net.evil.example', '127.0.0.1.evil.example', '192.168.0.1'])(
    'does not answer to the name of another site: %s',
    async (host) => {
      expect(await send(`${origin}/id?d_orgid=${ORG}`, { host })).toMatchObject({ status: 421, json: undefined });
      expect(simulator.requests).toEqual([]);
    },
  );

  it.each(['localhost:4700', '127.0.0.1:4700', '[::1]:4700', 'other.demdex.net'])('answers to %s', async (host) => {
    expect(codesOf(await send(`${origin}/event?d_rtbd=json`, { host }))).toEqual([1]);
  });

  it('keeps no more of a call than a DCS takes', async () => {
    const body = `d_mid=${ECID}&c_x=${'x'.repeat(300_000)}`;
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const { status } = await send(`${origin}/event`, { method: 'POST', headers, body });
    expect(status).toBe(413);
    expect(simulator.requests[0]).toMatchObject({ params: {}, method: 'POST' });
    expect(simulator.requests[0]?.body).toBeUndefined();
  });

  it('requires an organisation on /id', async () => {
    expect(codesOf(await send(`${origin}/id?d_rtbd=json`))).toEqual([2]);
  });

  it.each([
    ['/demoptout', `d_mid=${ECID}&d_orgid=${ORG}`],
    ['/demoptout.jpg', `d_mid=${ECID}&d_orgid=${ORG}`],
    ['/demoptout.jpg', `d_uuid=${ECID}`],
  ])('opts the visitor out on %s?%s', async (path, parameters) => {
    const { status, headers } = await send(`${origin}${path}?${parameters}`);
    expect([status, headers['content-type'], headers['x-error']]).toEqual([200, 'image/gif', undefined]);
    expect((await event(origin, `d_mid=${ECID}`)).json).toEqual({
      errors: [{ code: 171, msg: `Encountered opt out tag for id ${ECID}` }],
    });
  });

  it('accepts a repeated opt-out', async () => {
    simulator.visitor(ECID).optOut();
    const { headers } = await send(`${origin}/demoptout?d_uuid=${ECID}`);
    expect(headers['x-error']).toBeUndefined();
  });

  it('does not opt out an ECID without its organisation, nor a caller without an id', async () => {
    const { headers } = await send(`${origin}/demoptout?d_mid=${ECID}`);
    expect(headers['x-error']).toBe('2');
    await send(`${origin}/demoptout`);
    expect(codesOf(await event(origin, `d_mid=${ECID}`))).toEqual([]);
  });

  it('is HTTP 404 on another path and 405 for another method', async () => {
    expect((await send(`${origin}/events?d_rtbd=json`)).status).toBe(404);
    const put = await send(`${origin}/event?d_rtbd=json`, { method: 'PUT' });
    expect([put.status, put.headers.allow, put.text]).toEqual([405, 'GET, POST', '']);
  });

  it('is HTTP 414 for a GET of more than 8 K, head and all', async () => {
    const fill = (bytes: number) => `c_fill=${'x'.repeat(bytes)}`;
    await event(origin, fill(8_000));
    const headOfTheRest = 8_000 + roomLeft();
    expect((await event(origin, fill(headOfTheRest))).status).toBe(200);
    expect((await event(origin, fill(headOfTheRest + 1))).status).toBe(414);

    function roomLeft(): number {
      const { url, headers } = simulator.requests[0] as { url: string; headers: Record<string, string> };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      return 8 * 1024 - `GET ${url} HTTP/1.1\r\n${lines.join('')}\r\n`.length;
    }
  });

  it('is HTTP 413 for a POST of more than 32 K, and accepts one of more than 8 K', async () => {
    const post = (bytes: number) =>
      send(`${origin}/event`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `d_rtbd=json&c_fill=${'x'.repeat(bytes)}`,
      });
    expect((await post(31_000)).json.stuff).toEqual([]);
    expect((await post(33_000)).status).toBe(413);
  });

  it('is HTTP 429 beyond the rate limit of an origin, until the window has passed', async () => {
    const rateLimit = { calls: 2, withinMs: 60_000, retryAfterSeconds: 3 };
    await using limited = await createDcsSimulator({ rateLimit });
    const [first, second] = [limited.dcs.origins[3], limited.dcs.origins[4]] as [string, string];
    expect((await event(first, '')).status).toBe(200);
    expect((await event(first, '')).status).toBe(200);
    const refused = await event(first, '');
    expect([refused.status, refused.headers['retry-after'], refused.text]).toEqual([429, '3', '']);
    expect((await event(second, '')).status).toBe(200);
  });

  it('sends no Retry-After by default, and accepts calls again after the window', async () => {
    await using limited = await createDcsSimulator({ rateLimit: { calls: 1, withinMs: 300 } });
    const call = () => event(limited.dcs.defaultOrigin, '');
    const answers = await Promise.all([call(), call()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 429]);
    for (const { headers } of answers) expect(headers['retry-after']).toBeUndefined();
    while ((await call()).status === 429);
    expect(limited.requests.at(-1)?.answeredStatus).toBe(200);
  });
});

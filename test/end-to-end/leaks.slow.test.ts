/** The package emits no identifiers, whatever goes wrong. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { format, inspect, promisify } from 'node:util';
import type { CustomerId } from 'express-aam-segments';
import type { Fault } from 'express-aam-segments/testing';
import request from 'supertest';
import { tcStringOf } from '../consent/tc-strings';
import { closeSites, cookieOf, createSite, ECID, GOLF, type Site } from '../helpers/site';

const UUID = '07955261652886032950143702505894272138';
const OTHER_ECID = '91563127448770346027793623225009407783';
const TC_STRING = tcStringOf();
const CUSTOMER = 'ann@customer.example';
/** All identifiers of the visitors. */
const IDENTIFIERS = [ECID, UUID, OTHER_ECID, TC_STRING, CUSTOMER, encodeURIComponent(CUSTOMER), cookieOf(ECID)];

let emitted: string[];
beforeEach(() => {
  emitted = [];
  const note = (...args: unknown[]) => void emitted.push(format(...args.map((arg) => everythingOf(arg))));
  jest.spyOn(process, 'emitWarning').mockImplementation(note);
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
    jest.spyOn(console, method).mockImplementation(note);
  }
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation((chunk) => {
      note(String(chunk));
      return true;
    });
  }
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

/** Every way to print a value. */
function everythingOf(value: unknown): string {
  const { stack, message, cause } = (value ?? {}) as { stack?: unknown; message?: unknown; cause?: unknown };
  const printed = [inspect(value, { depth: 20, showHidden: true }), inspect(value), String(stack), String(message)];
  return [...printed, inspect(cause, { depth: 20 }), JSON.stringify(value) ?? ''].join('\n');
}

/** A site that records all output of its views and lookups. */
async function watchedSite(identity: { uuid?: boolean } = {}): Promise<Site> {
  const site = await createSite({
    maxWaitMs: 1_000,
    dcs: { timeoutMs: 200, breaker: { minCalls: 5 } },
    destinations: { aam: { keys: ['seg'] } },
    identity: {
      adobeMc: true,
      uuidCookie: 'aam_uuid',
      customerIds: (req): CustomerId[] =>
        req.headers['x-user'] ? [{ dataSourceId: 7, id: String(req.headers['x-user']) }] : [],
      ...(identity.uuid && { resolve: () => ({ uuid: UUID }) }),
    },
  });
  site.app.get('/shown', (req, res) => {
    emitted.push(everythingOf(req.aamSegments), everythingOf(res.locals), `${req.aamSegments.reason}`);
    res.end();
  });
  return site;
}

async function useAll(site: Site): Promise<void> {
  const adobeMc = `MCMID=${OTHER_ECID}|MCORGID=1FD6776A524453CC0A490D44%40AdobeOrg|TS=${Math.floor(Date.now() / 1000)}`;
  const views: [Record<string, string>, string?][] = [
    [{ Cookie: cookieOf(ECID) }],
    [{ Cookie: cookieOf(ECID) }],
    [{ Cookie: `${cookieOf(ECID)}; euconsent-v2=${TC_STRING}` }],
    [{ Cookie: cookieOf(OTHER_ECID), 'X-User': CUSTOMER }],
    [{ 'X-User': CUSTOMER }],
    [{ Cookie: `aam_uuid=${UUID}` }],
    [{ Cookie: cookieOf(`${ECID}x`) }],
    [{ Cookie: cookieOf(ECID, 9, 'global') }],
    [{}, `/shown?adobe_mc=${encodeURIComponent(adobeMc)}`],
  ];
  for (const [headers, path = '/shown'] of views) await request(site.app).get(path).set(headers);
  const visitors = [{ ecid: ECID }, { uuid: UUID }, { customerIds: [{ dataSourceId: 7, id: CUSTOMER }] }];
  for (const visitor of visitors) {
    const outcome = await site.aam.lookup(visitor).catch((error: unknown) => error);
    emitted.push(everythingOf(outcome), everythingOf(site.aam.stats()), everythingOf(site.aam));
    site.aam.forget(visitor);
  }
}

function expectNoIdentifier(): void {
  expect(emitted.length).toBeGreaterThan(10);
  const text = emitted.join('\n');
  for (const identifier of IDENTIFIERS) expect(text.includes(identifier)).toBe(false);
}

describe('no identifier is emitted', () => {
  const FAULTS: Fault[] = [
    { kind: 'hang' },
    { kind: 'reset' },
    { kind: 'status', status: 500, body: `{"error":"${ECID}"}` },
    { kind: 'status', status: 429, headers: { 'Retry-After': '1', 'X-Error': ECID } },
    { kind: 'status', status: 302, headers: { Location: `http://example.com/${ECID}` } },
    { kind: 'truncate' },
    { kind: 'huge', bytes: 300_000 },
    { kind: 'malformed' },
    { kind: 'body', body: `not JSON ${ECID}` },
    { kind: 'body', body: `{"uuid":"${UUID}","errors":[{"code":311,"msg":"${ECID}"},{"code":1,"msg":"${ECID}"}]}` },
    {
      kind: 'body',
      body: `{"uuid":"${UUID}","tid":"${ECID}","stuff":[{"cn":"${ECID}","cv":"${UUID}"}],"segments":[]}`,
    },
    { kind: 'body', body: ECID, headers: { 'Content-Encoding': ECID } },
    { kind: 'body', body: ECID, headers: { 'X-Error': ECID } },
    { kind: 'latency', latencyMs: 1 },
  ];

  it.each(FAULTS)('under the fault %j', async (fault) => {
    const site = await watchedSite();
    site.simulator.fault(fault);
    await useAll(site);
    expectNoIdentifier();
  });

  it.each([0, 1, 2, 100, 101, 102, 109, 111, 171, 172, 198, 199, 200, 300, 301, 306, 309, 311, 315])(
    'under the code %d, with whatever message',
    async (code) => {
      const site = await watchedSite();
      for (const id of [ECID, UUID, OTHER_ECID]) site.simulator.visitor(id).fails(code);
      await useAll(site);
      expectNoIdentifier();
    },
  );

  it('without a fault, nor by printing segments', async () => {
    const site = await watchedSite({ uuid: true });
    site.simulator.visitor(UUID).in(GOLF).uuid(UUID);
    await useAll(site);
    expect(emitted.join('\n')).toContain(String(GOLF));
    expectNoIdentifier();
  });

  it('when an answer is not HTTP', async () => {
    const site = await watchedSite();
    const broken = { kind: 'status', status: 200, headers: { 'Content-Length': '2' }, body: `{}${ECID}` } as const;
    site.simulator.fault(broken);
    await useAll(site);
    expectNoIdentifier();
  });
});

describe('memory', () => {
  const held = async (...args: string[]): Promise<Record<string, boolean>> => {
    const script = join(__dirname, 'held-ids.ts');
    const flags = ['--expose-gc', '--import', 'tsx', script, ...args];
    const { stdout } = await promisify(execFile)(process.execPath, flags, { maxBuffer: 1e6 });
    return JSON.parse(stdout);
  };

  it('holds no id with cache.keySecret, though the visitors are cached', async () => {
    expect(await held('with-secret')).toEqual({ remembered: true, ecid: false, uuid: false, customerId: false });
  }, 60_000);

  it('holds ids without it, so that the test above can fail', async () => {
    expect(await held()).toEqual({ remembered: true, ecid: true, uuid: true, customerId: true });
  }, 60_000);
});

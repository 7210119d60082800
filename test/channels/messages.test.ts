import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { inspect } from 'node:util';
import { type DcsCallMessage, type RequestMessage, requireSegment, routeBySegment } from 'express-aam-segments';
import request from 'supertest';
import { VisitorSegments } from '../../src/segments/visitor-segments';
import { closeClients, createClient } from '../helpers/client';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';
import { CHANNELS, dcsCalls, expectEqualCounts, on, published, stopWatching, watch } from './watch';

afterEach(async () => {
  stopWatching();
  jest.restoreAllMocks();
  await closeSites();
  await closeClients();
});

const OTHER = ECID.replace(/^2/, '3');

describe('the request message', () => {
  it('tells what was served and why, once per request', async () => {
    const watched = watch();
    const { aam, app, view } = await createSite();
    app.get('/twice', aam, (_req, res) => res.end());
    await view();
    await request(app).get('/twice').set('Cookie', cookieOf(ECID));
    await view('theme=dark');
    await view(cookieOf(OTHER, 9, 'global'));
    const common = { instance: aam, waitMs: expect.any(Number), reason: undefined, consentSignal: undefined };
    const pseudonym = expect.stringMatching(/^[\w-]{12}$/);
    const found = { ...common, region: 9, idSource: 'amcv', pseudonym };
    const none = { ...common, ageMs: undefined, region: undefined, servedFrom: undefined };
    expect(watched.requests).toEqual([
      { ...found, status: 'fresh', ageMs: 0, servedFrom: 'dcs' },
      { ...found, status: 'cached', ageMs: expect.any(Number), servedFrom: 'memory' },
      { ...none, status: 'anonymous', reason: 'no-id', idSource: undefined, pseudonym: undefined },
      { ...none, status: 'excluded', reason: 'opted-out', idSource: 'amcv', consentSignal: 'amcv-optout', pseudonym },
    ]);
    const [first, second, , other] = watched.requests.map((message) => message.pseudonym);
    expect([first === second, first === other]).toEqual([true, false]);
  });

  it.each([
    ['web-sdk', `kndctr_1FD6776A524453CC0A490D44_AdobeOrg_identity=${identityOf(ECID)}`, {}, '/'],
    ['s_ecid', `s_ecid=MCMID%7C${ECID}`, {}, '/'],
    ['uuid-cookie', `aam_uuid=${ECID}`, { uuidCookie: 'aam_uuid' }, '/'],
    ['site', cookieOf(OTHER), { resolve: () => ({ ecid: ECID }) }, '/'],
    ['amcv', cookieOf(ECID), { customerIds: () => [{ dataSourceId: 1, id: 'a' }] }, '/'],
    ['customer-ids', 'theme=dark', { customerIds: () => [{ dataSourceId: 1, id: 'a' }] }, '/'],
    [
      'adobe_mc',
      'theme=dark',
      { adobeMc: true },
      `/?adobe_mc=${encodeURIComponent(`MCMID=${ECID}|MCORGID=1FD6776A524453CC0A490D44@AdobeOrg|TS=${Math.floor(Date.now() / 1000)}`)}`,
    ],
  ] as const)('names the source of the id: %s', async (idSource, cookie, identity, path) => {
    const watched = watch();
    const { view } = await createSite({ identity });
    expect(await view(cookie, path)).toMatchObject({ status: 'fresh' });
    expect(watched.requests).toMatchObject([{ idSource, pseudonym: expect.any(String) }]);
  });

  it.each([
    ['gpc', { 'sec-gpc': '1' }, '', {}],
    ['web-sdk', {}, '; kndctr_1FD6776A524453CC0A490D44_AdobeOrg_consent=general=out', {}],
    ['web-sdk', {}, '; kndctr_1FD6776A524453CC0A490D44_AdobeOrg_consent=general=in', {}],
    ['opt-in', {}, '; adobeujs-optin=%7B%22aam%22%3Afalse%7D', {}],
    ['opt-in', {}, '; adobeujs-optin=%7B%22aam%22%3Atrue%7D', {}],
    ['tcf', {}, '; euconsent-v2=unreadable', {}],
    ['site', {}, '', { given: (): boolean => true }],
    ['site', {}, '', { given: async (): Promise<boolean> => false }],
    ['required', {}, '', { required: true }],
    [undefined, {}, '', {}],
  ] as const)('names what decided about consent: %s', async (consentSignal, headers, cookies, consent) => {
    const watched = watch();
    const { app } = await createSite({ consent });
    await request(app)
      .get('/')
      .set({ ...headers, Cookie: cookieOf(ECID) + cookies });
    expect(watched.requests).toMatchObject([{ consentSignal }]);
  });

  it('names the site’s function that did not answer in time, and a refusal that came meanwhile', async () => {
    const watched = watch();
    const late = await createSite({ maxWaitMs: 1, consent: { given: () => new Promise(() => {}) } });
    await late.view();
    const asked = new EventEmitter();
    const given = () => new Promise<boolean>((agree) => asked.emit('asked', agree));
    const { view } = await createSite({ consent: { given } });
    const question = once(asked, 'asked');
    const held = view();
    const [agree] = await question;
    await view(cookieOf(ECID, 9, 'global'));
    agree(true);
    await held;
    expect(watched.requests.map(({ consentSignal }) => consentSignal)).toEqual(['site', 'amcv-optout', 'withdrawn']);
  });

  it('and the decision are published in the async context of the request, the calls outside of it', async () => {
    const contexts = new AsyncLocalStorage<string>();
    const { aam, app, simulator } = await createSite();
    const seen: unknown[] = [];
    on(CHANNELS.requests, () => seen.push(['request', contexts.getStore()]));
    on(CHANNELS.decisions, () => seen.push(['decision', contexts.getStore()]));
    for (const phase of ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const) {
      on(dcsCalls[phase], () => seen.push([phase, contexts.getStore()]));
    }
    simulator.visitor(ECID).in(GOLF);
    app.get('/golf', (req, res, next) => {
      contexts.run('of the route', () => aam(req, res, () => aam.requireSegment('golfFans')(req, res, next)));
    });
    const site = await createSite();
    const inContext = (req: never, res: never, next: () => void) =>
      contexts.run('of the request', () => site.aam(req, res, () => site.aam.requireSegment(1)(req, res, next)));
    await new Promise<void>((resolve) => {
      const res = { once() {}, removeListener() {} };
      inContext({ headers: { cookie: cookieOf(ECID) } } as never, res as never, () => resolve());
    });
    const [start, end, ...rest] = seen;
    expect([start, end]).toEqual([
      ['start', undefined],
      ['end', undefined],
    ]);
    expect(rest).toEqual(
      expect.arrayContaining([
        ['asyncEnd', undefined],
        ['request', 'of the request'],
        ['decision', 'of the request'],
      ]),
    );
    expect(rest).toHaveLength(4);
  });
});

describe('the decision message', () => {
  it('tells what guards and routers decided, about the instance that served the request', async () => {
    const watched = watch();
    const { aam, app, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const page = (_req: unknown, res: { end(): void }) => res.end();
    app.get('/guarded', requireSegment(['golfFans', 7]), page as never);
    app.get('/refused', aam.requireSegment('highValue', { otherwise: 404 }), page as never);
    app.get('/chosen', routeBySegment({ highValue: page as never, golfFans: page as never }));
    app.get('/default', aam.routeBySegment({ highValue: page as never, default: page as never }));
    app.get('/none', aam.routeBySegment([[{ value: 'fan' }, page as never]]));
    for (const path of ['/guarded', '/refused', '/chosen', '/default', '/none']) {
      await request(app).get(path).set('Cookie', cookieOf(ECID));
    }
    expect(watched.decisions).toEqual([
      { instance: aam, kind: 'guard', refs: ['golfFans', '7'], outcome: 'passed' },
      { instance: aam, kind: 'guard', refs: ['highValue'], outcome: 'refused' },
      { instance: aam, kind: 'router', refs: ['highValue', 'golfFans'], outcome: 'golfFans' },
      { instance: aam, kind: 'router', refs: ['highValue'], outcome: 'default' },
      { instance: aam, kind: 'router', refs: ['fan'], outcome: 'none' },
    ]);
  });
});

describe('the messages about a call', () => {
  it('come in the order of tracePromise(), with one object', async () => {
    const model = tracingChannel<unknown, object>('test');
    const phases: [string, unknown][] = [];
    const subscribers = Object.fromEntries(
      ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((phase) => [
        phase,
        (message: unknown) => void phases.push([phase, message]),
      ]),
    ) as never;
    model.subscribe(subscribers);
    await model.tracePromise(async () => {}, {});
    await model.tracePromise(() => Promise.reject(new Error()), {}).catch(() => {});
    const watched = watch();
    const { client, simulator } = await createClient({ dcs: { failureCooldownMs: 0 } });
    await client.lookup({ ecid: ECID, region: 9 });
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    const error = await client.lookup({ ecid: OTHER, region: 77 }).catch((reason: unknown) => reason);
    await published();
    expect(watched.calls.map(([phase]) => phase)).toEqual(phases.map(([phase]) => phase));
    const [first, second] = [...new Set(watched.calls.map(([, message]) => message))] as [
      DcsCallMessage,
      DcsCallMessage,
    ];
    expect(new Set(watched.calls.map(([, message]) => message)).size).toBe(2);
    const common = { instance: client, kind: 'lookup', attempts: 1, durationMs: expect.any(Number) };
    const origin = simulator.dcs.origins[9] as string;
    expect(first).toEqual({ ...common, region: 9, origin, outcome: 'success' });
    const failed = { outcome: 'failure', reason: 'http-status', origin: simulator.dcs.defaultOrigin };
    // A region that is not configured is no region.
    expect(second).toMatchObject({ ...common, ...failed, region: undefined });
    expect(second.error).toEqual(error);
  });

  it('have a store of their start applied while the call is sent', async () => {
    const store = new AsyncLocalStorage<string>();
    dcsCalls.start.bindStore(store as never, ({ kind }) => kind as never);
    const seen: unknown[] = [];
    on(channel('undici:request:create'), () => seen.push(store.getStore()));
    const { client } = await createClient();
    await client.lookup({ ecid: ECID });
    dcsCalls.start.unbindStore(store as never);
    expect(seen).toEqual(['lookup']);
  });

  it('are about whole calls only: not those sent before the subscription', async () => {
    const { client, simulator } = await createClient();
    const hanging = simulator.fault({ kind: 'latency', latencyMs: 5 });
    const early = client.lookup({ ecid: ECID });
    const watched = watch();
    await early;
    hanging.clear();
    const late = client.lookup({ ecid: OTHER });
    watched.stop();
    await late;
    await published();
    expect(watched.calls.map(([phase]) => phase)).toEqual(['start', 'end']);
  });

  it('tell the end of an aborted call', async () => {
    const watched = watch();
    const { aam, view, simulator } = await createSite();
    simulator.fault({ kind: 'hang' });
    const held = view();
    await simulator.received(1);
    await view(cookieOf(ECID, 9, 'global'));
    await held;
    while (aam.stats().inFlight > 0) await published();
    await published();
    const [, message] = watched.calls.at(-1) as [string, DcsCallMessage];
    expect(message).toMatchObject({ outcome: 'neutral', reason: 'opted-out', error: undefined });
    expect(watched.calls.map(([phase]) => phase)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  });
});

describe('messages', () => {
  it('contain no identifier', async () => {
    const watched = watch();
    const customer = 'crm"><script>|%00;__proto__';
    const signal = 'signal-of-the-visitor';
    const identity = { customerIds: () => [{ dataSourceId: 77, id: customer }] };
    const { aam, app, view, simulator } = await createSite({ identity, dcs: { failureCooldownMs: 0 } });
    app.post('/tell', (req, res) => {
      aam.sendEvent(req, { c_secret: signal }).catch(() => {});
      res.end();
    });
    app.get('/members', aam.requireSegment('golfFans'));
    await view(cookieOf(ECID), `/?id=${ECID}`);
    await request(app).post('/tell').set('Cookie', cookieOf(ECID));
    await request(app).get('/members').set('Cookie', cookieOf(ECID));
    for (const body of [`{"uuid":"${ECID}"`, `{"errors":[{"code":171,"msg":"${ECID} ${customer}"}]}`]) {
      simulator.fault({ kind: 'body', body }, { calls: 1 });
      aam.forget({ ecid: OTHER });
      await view(cookieOf(OTHER));
    }
    await aam.close();
    await published();
    const secrets = [ECID, OTHER, customer, 'script>', signal, 'AMCV', '/event', 'd_mid'];
    const all = [
      watched.requests,
      watched.decisions,
      watched.events,
      watched.calls.map(([, message]) => message),
    ].flat();
    expect(all.length).toBeGreaterThan(10);
    for (const { instance, ...rest } of all) {
      const { error } = rest as { error?: Error };
      const shown = [inspect(rest, { depth: Infinity }), JSON.stringify(rest), inspect(instance), error?.stack].join();
      expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    }
  });

  it('are not built where nobody has subscribed, and a request served from memory asks once', async () => {
    const proto = Object.getPrototypeOf(channel('nobody has subscribed to this'));
    const { aam, view } = await createSite();
    await view();
    const hmac = jest.spyOn(require('node:crypto'), 'createHmac');
    const asked = jest.spyOn(proto, 'hasSubscribers', 'get');
    const publish = jest.spyOn(proto, 'publish');
    const next = jest.fn();
    aam({ headers: { cookie: cookieOf(ECID) } } as never, {} as never, next);
    const ours = asked.mock.contexts.map((each) => String(each.name)).filter((name) => name.startsWith('express-aam'));
    expect([next.mock.calls.length, ours]).toEqual([1, ['express-aam-segments:request']]);
    const found = jest.spyOn(VisitorSegments, 'middlewareOf');
    aam.requireSegment('golfFans', { otherwise: () => {} })(
      { headers: {}, aamSegments: await aam.lookup({ ecid: ECID }) } as never,
      {} as never,
      next,
    );
    expect([hmac.mock.calls.length, publish.mock.calls.length, found.mock.calls.length]).toEqual([0, 0, 0]);
    on(CHANNELS.requests, (_: RequestMessage) => {});
    aam({ headers: { cookie: cookieOf(ECID) } } as never, {} as never, next);
    expect(hmac).toHaveBeenCalledTimes(1);
  });

  it.each(['lookup', 'sendEvent', 'forget', 'close'] as const)('let subscribers call %s()', async (method) => {
    const watched = watch();
    const { aam, app, view, simulator } = await createSite({
      maxWaitMs: 60_000,
      dcs: { failureCooldownMs: 0, breaker: { minCalls: 1, probeAfterMs: 0 } },
    });
    app.post('/tell', (req, res) => {
      aam.sendEvent(req, { c_n: 1 }).catch(() => {});
      res.end();
    });
    const reqs: unknown[] = [];
    app.get('/again', (req, res) => {
      reqs.push(req);
      res.end();
    });
    await request(app).get('/again').set('Cookie', cookieOf(OTHER));
    const unsettled: Promise<unknown>[] = [];
    const callBack = () => {
      if (unsettled.length >= 12) return;
      const calls = {
        lookup: () => Promise.all([ECID, OTHER, '4'.repeat(38)].map((ecid) => aam.lookup({ ecid, region: 9 }))),
        sendEvent: () => aam.sendEvent(reqs[0] as never, { c_n: 2 }),
        forget: async () => aam.forget({ ecid: ECID }),
        close: () => aam.close(),
      };
      unsettled.push(calls[method]().catch(() => {}));
    };
    for (const each of [...Object.values(CHANNELS), dcsCalls.start, dcsCalls.end, dcsCalls.asyncEnd])
      on(each, callBack);
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    const pages = [view(), view(), request(app).post('/tell').set('Cookie', cookieOf(ECID)), view(cookieOf(OTHER))];
    await Promise.all(pages);
    await view();
    await aam.close();
    await Promise.all(unsettled);
    while (aam.stats().inFlight > 0) await published();
    await published();
    expectEqualCounts(watched, aam);
    expect(unsettled.length).toBeGreaterThan(3);
    expect(simulator.overlaps).toEqual([]);
    simulator.clear();
  });
});

/** The identity cookie of the Web SDK: a protobuf with the ECID as its tenth field. */
function identityOf(ecid: string): string {
  return Buffer.from([0x0a, 0x26, ...Buffer.from(ecid)]).toString('base64url');
}

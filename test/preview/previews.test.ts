import { channel } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import connect from 'connect';
import cookieParser from 'cookie-parser';
import express from 'express';
import { type ActivePreview, aamSegments, type PreviewLinkOptions } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { cookieSetBy, ORIGIN, previewSite, SECRET, tokenIn } from './preview-site';

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const HOUR_MS = 3_600_000;
/** Sets the clock forward. */
function later(ms: number): void {
  const now = Date.now() + ms;
  jest.spyOn(Date, 'now').mockImplementation(() => now);
}

/** Sends bytes, since clients do not send all that arrives. */
async function raw(app: Parameters<typeof createServer>[1], head: string): Promise<string> {
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const socket = connectSocket((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`${head}\r\nConnection: close\r\n\r\n`);
  const answer = await text(socket);
  server.close();
  return answer;
}

describe('a link', () => {
  it('is exchanged for a cookie, and leads to the same URL without its token', async () => {
    const { aam, open } = await previewSite();
    const link = aam.previewUrl(`${ORIGIN}/?utm=1&x=a%20b#top`, { segments: ['golfFans'] });
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1\/\?utm=1&x=a%20b&aam_preview=1\.[\w-]+\.[\w-]{43}#top$/);
    const { status, headers, text: body } = await open(link);
    expect([status, headers.location, body]).toEqual([303, '/?utm=1&x=a%20b', '']);
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(/^aam_preview=1\.[\w-]+\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
    expect(headers['set-cookie']?.[0]).not.toContain(tokenIn(link));
  });

  it('of HTTPS sets a cookie that only HTTPS carries, and that no neighbour can set', async () => {
    const { aam, open, app } = await previewSite();
    const response = await open(aam.previewUrl('https://127.0.0.1/', { segments: ['golfFans'] }));
    expect(response.headers['set-cookie']).toEqual([
      expect.stringMatching(/^__Host-aam_preview=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Secure$/),
    ]);
    const cookie = cookieSetBy(response);
    const statusWith = async (header: string) => (await request(app).get('/').set('Cookie', header)).body.status;
    expect(await statusWith(cookie)).toBe('preview');
    // Under the name without the prefix a neighbour can set it.
    expect(await statusWith(cookie.replace('__Host-', ''))).toBe('anonymous');
    expect(await statusWith(`__Host-aam_preview=forged; ${cookie}`)).toBe('preview');
  });

  it('begins a preview with HEAD, and with no other method', async () => {
    const { aam, app } = await previewSite();
    const { pathname, search } = new URL(aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'] }));
    const head = await request(app).head(pathname + search);
    expect([head.status, head.headers['set-cookie']]).toEqual([303, [expect.stringContaining('aam_preview=1.')]]);
    for (const method of ['post', 'put', 'delete', 'options'] as const) {
      const { status, headers } = await request(app)[method](pathname + search);
      expect([method, status === 303, headers['set-cookie']]).toEqual([method, false, undefined]);
    }
  });

  it.each([
    ['/page?aam_preview=TOKEN', '/page'],
    ['//evil.example/?aam_preview=TOKEN', '/evil.example/'],
    ['/\\evil.example?aam_preview=TOKEN', '/%5Cevil.example'],
    ['/%2f%2fevil.example/?aam_preview=TOKEN', '/%2f%2fevil.example/'],
    ['http://evil.example/page?aam_preview=TOKEN&x=1', '/page?x=1'],
    ['/shop/page?a&aam_preview=TOKEN', '/shop/page?a'],
  ])('on %s leads to %s of the same site', async (target, location) => {
    const { aam } = await previewSite();
    const app = express();
    // Mounted apps change `url`.
    app.use('/shop', aam);
    app.use(aam);
    const token = tokenIn(aam.previewUrl('http://shop.example/', { segments: ['golfFans'] }));
    const answer = await raw(app, `GET ${target.replace('TOKEN', token)} HTTP/1.1\r\nHost: shop.example`);
    expect(answer).toMatch(/^HTTP\/1\.1 303 /);
    expect(/\r\nLocation: (.*)\r\n/.exec(answer)?.[1]).toBe(location);
  });

  it('is for its host only, which a trusted proxy may name, and warns once in development', async () => {
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'development' });
    const { aam } = await previewSite();
    const app = express();
    app.use(aam);
    app.get('/', (req, res) => void res.json(req.aamSegments));
    const link = aam.previewUrl('https://Shop.Example:8443/', { segments: ['golfFans'] });
    const statusAt = async (headers: Record<string, string>) =>
      (
        await request(app)
          .get(`/?aam_preview=${tokenIn(link)}`)
          .set(headers)
      ).status;
    expect(await statusAt({ Host: 'shop.example' })).toBe(303);
    expect(await statusAt({ Host: 'SHOP.example:8443' })).toBe(303);
    expect(warned.mock.calls).toEqual([]);
    expect(await statusAt({ Host: 'evil.example' })).toBe(200);
    expect(await statusAt({ Host: 'shop.example.evil.example' })).toBe(200);
    expect(await statusAt({ Host: 'evil.example', 'X-Forwarded-Host': 'shop.example' })).toBe(200);
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(/host "shop\.example" was opened at "evil\.example"/),
        expect.objectContaining({ code: 'WRN_AAM_PREVIEW' }),
      ],
    ]);
    expect(JSON.stringify(warned.mock.calls)).not.toContain(tokenIn(link).slice(3, 20));
    app.set('trust proxy', true);
    expect(await statusAt({ Host: 'evil.example', 'X-Forwarded-Host': 'shop.example' })).toBe(303);
    expect(await statusAt({ Host: 'shop.example', 'X-Forwarded-Host': 'evil.example' })).toBe(200);
  });

  it('for another host warns of nothing in production', async () => {
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    const { app, aam } = await previewSite();
    const link = aam.previewUrl('http://shop.example/', { segments: ['golfFans'] });
    expect((await request(app).get(`/?aam_preview=${tokenIn(link)}`)).status).toBe(200);
    expect(warned.mock.calls).toEqual([]);
  });

  it('and its cookie are for one host: neither is valid at another', async () => {
    const { begin, app } = await previewSite();
    const cookie = await begin();
    const statusAt = async (host: string) =>
      (await request(app).get('/').set({ Host: host, Cookie: cookie })).body.status;
    expect(await statusAt('127.0.0.1')).toBe('preview');
    expect(await statusAt('other.example')).toBe('anonymous');
  });

  it('works in Connect, and by the cookies that a parser has left', async () => {
    const { aam, begin } = await previewSite();
    const connected = connect();
    connected.use(aam);
    connected.use((req, res) => void res.end((req as express.Request).aamSegments.status));
    const link = new URL(aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'] }));
    const response = await request(connected).get(link.pathname + link.search);
    expect(response.status).toBe(303);
    expect((await request(connected).get('/').set('Cookie', cookieSetBy(response))).text).toBe('preview');

    const parsed = express();
    parsed.use(cookieParser(), (req, _res, next) => {
      delete req.headers.cookie;
      next();
    });
    parsed.use(aam);
    parsed.get('/', (req, res) => void res.send(req.aamSegments.status));
    const cookie = await begin();
    expect((await request(parsed).get('/').set('Cookie', cookie)).text).toBe('preview');
    expect((await request(parsed).get('/?aam_preview=off').set('Cookie', cookie)).headers['set-cookie']).toHaveLength(
      1,
    );
  });

  it('is found among others, but not among many', async () => {
    const { aam, app } = await previewSite();
    const token = tokenIn(aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'] }));
    const statusWith = async (forged: number) => {
      const others = 'aam_preview=1.a.b&'.repeat(forged);
      return (await request(app).get(`/?${others}aam_preview=${token}`)).status;
    };
    expect([await statusWith(3), await statusWith(4)]).toEqual([303, 200]);
  });

  it('does nothing where an answer has begun, or where a request cannot be looked at', async () => {
    const { aam } = await previewSite();
    const { search } = new URL(aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'] }));
    const app = express();
    app.use('/begun', (_req, res, next) => {
      res.write('-');
      next();
    });
    app.use('/hostile', (req, _res, next) => {
      Object.defineProperty(req, 'hostname', {
        get() {
          throw new Error('bang');
        },
      });
      next();
    });
    app.use(aam);
    app.use((req, res) => void res.end(req.aamSegments.status));
    expect((await request(app).get(`/begun${search}`)).text).toBe('-anonymous');
    expect((await request(app).get(`/hostile${search}`)).text).toBe('anonymous');
  });

  it('loses no cookie that somebody else sets', async () => {
    const { aam } = await previewSite();
    const app = express();
    app.use((_req, res, next) => {
      res.cookie('theme', 'dark');
      next();
    });
    app.use(aam);
    const { search } = new URL(aam.previewUrl(`${ORIGIN}/`, {}));
    const { headers } = await request(app).get(`/${search}`);
    expect(headers['set-cookie']).toEqual(['theme=dark; Path=/', expect.stringMatching(/^aam_preview=1/)]);
  });
});

describe('a preview', () => {
  const PAGE = { status: 'preview', reason: undefined, names: ['golfFans'], ids: [String(GOLF)], ageMs: undefined };

  it('shows the segments of its link, by name, id and value, whoever the visitor is', async () => {
    const options = {
      segments: { golfFans: GOLF, highValue: { value: 'vip' }, numbered: { value: '44' } } as never,
      destinations: { aam: { keys: ['seg'] } },
    };
    const seen: unknown[] = [];
    const { app, begin, simulator } = await previewSite(options, (each) =>
      each.get('/has', (req, res) => {
        const { aamSegments: segments } = req;
        seen.push([
          segments.has('golfFans'),
          segments.has('highValue'),
          segments.has(42),
          segments.has(43),
          segments.has(44),
        ]);
        seen.push([segments.isKnown, segments.visitor, segments.size, JSON.parse(JSON.stringify(segments)).status]);
        res.end();
      }),
    );
    simulator.visitor(ECID).in(43);
    const cookie = await begin({ segments: ['highValue', 42, { value: '44' }] });
    await request(app)
      .get('/has')
      .set('Cookie', `${cookie}; ${cookieOf(ECID)}`);
    expect(seen).toEqual([
      [false, true, true, false, true],
      [true, {}, 2, 'preview'],
    ]);
  });

  it('holds for all pages, also of robots and of who has refused, until it is ended', async () => {
    const { app, begin } = await previewSite();
    const cookie = await begin();
    for (const headers of [
      {},
      { 'User-Agent': 'Googlebot/2.1' },
      { 'Sec-GPC': '1' },
      { Cookie: `${cookie}; ${cookieOf(ECID, 9, 'global')}` },
    ]) {
      const { body } = await request(app)
        .get('/')
        .set({ Cookie: cookie, ...headers });
      expect([headers, body]).toEqual([headers, PAGE_JSON]);
    }
    const ended = await request(app).get('/?a=1&aam_preview=off').set('Cookie', cookie);
    expect([ended.status, ended.headers.location]).toEqual([303, '/?a=1']);
    expect(ended.headers['set-cookie']).toEqual(['aam_preview=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax']);
    expect(ended.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
  });
  const PAGE_JSON = { status: PAGE.status, names: PAGE.names, ids: PAGE.ids, destinations: {} };

  it('of HTTPS is ended by deleting its cookie, and no other', async () => {
    const { app } = await previewSite();
    const { headers } = await request(app).get('/?aam_preview=off').set('Cookie', '__Host-aam_preview=1.a.b');
    expect(headers['set-cookie']).toEqual(['__Host-aam_preview=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure']);
    expect((await request(app).get('/?aam_preview=off')).headers['set-cookie']).toBeUndefined();
  });

  it('goes on without a segment whose name has been taken out of the options, and shows a value as it is', async () => {
    const cookie = await (await previewSite()).begin({ segments: ['golfFans', 'highValue', { value: 'vip' }] });
    const locals: unknown[] = [];
    const { app } = await previewSite({ segments: { highValue: HIGH_VALUE } as never }, (each) =>
      each.use('/shop', (_req, res, next) => {
        const { segments, endUrl } = res.locals.aamPreview as ActivePreview;
        locals.push(segments, endUrl);
        next();
      }),
    );
    const { body } = await request(app).get('/').set('Cookie', cookie);
    expect([body.status, body.names]).toEqual(['preview', ['highValue']]);
    await request(app).get('/shop/page').set('Cookie', cookie);
    expect(locals).toEqual([['golfFans', 'highValue', 'vip'], '/shop/page?aam_preview=off']);
  });

  it('is left for another one by another link', async () => {
    const { aam, begin, open, app } = await previewSite();
    const first = await begin();
    const second = cookieSetBy(await open(aam.previewUrl(`${ORIGIN}/`, { segments: ['highValue'] }), first));
    const { body } = await request(app).get('/').set('Cookie', second);
    expect(body.names).toEqual(['highValue']);
  });

  it('ends when its link does, and no later', async () => {
    const { aam, begin, open, app } = await previewSite();
    const link = aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'], expiresInMs: HOUR_MS });
    const cookie = await begin({ segments: ['golfFans'], expiresInMs: HOUR_MS });
    const statusOf = async () => (await request(app).get('/').set('Cookie', cookie)).body.status;
    later(HOUR_MS - 10_000);
    expect([await statusOf(), (await open(link)).status]).toEqual(['preview', 303]);
    // The cookie that is set now ends with the link as well.
    const last = cookieSetBy(await open(link));
    later(10_000);
    expect([await statusOf(), (await open(link)).status]).toEqual(['anonymous', 200]);
    expect((await request(app).get('/').set('Cookie', last)).body.status).toBe('anonymous');
  });

  it('ends when its secret is taken away, not when another one is put before it', async () => {
    const { begin } = await previewSite();
    const cookie = await begin();
    const statusWith = async (secret: string | string[]) =>
      (
        await request((await previewSite({ preview: { secret } })).app)
          .get('/')
          .set('Cookie', cookie)
      ).body.status;
    const next = `a newer ${SECRET}`;
    expect(await statusWith([next, SECRET])).toBe('preview');
    expect(await statusWith(next)).toBe('anonymous');
  });

  it('leaves requests alone that skip() does', async () => {
    const { app, begin } = await previewSite({ skip: (req) => req.path === '/api' }, (each) =>
      each.get('/api', (req, res) => void res.json(req.aamSegments)),
    );
    const cookie = await begin();
    expect((await request(app).get('/api').set('Cookie', cookie)).body.status).toBe('excluded');
    expect((await request(app).get('/').set('Cookie', cookie)).body.status).toBe('preview');
  });

  it('has what a badge needs in the locals', async () => {
    let shown: ActivePreview | undefined;
    const { app, begin, aam } = await previewSite({}, (each) =>
      each.use((_req, res, next) => {
        shown = res.locals.aamPreview;
        next();
      }),
    );
    aam.experiment({ name: 'autumn-hero', variants: { control: 1, links: 1 } });
    await request(app).get('/');
    expect(shown).toBeUndefined();
    const options = {
      segments: ['golfFans', 42],
      variants: { 'autumn-hero': 'links' },
      expiresInMs: HOUR_MS,
    } satisfies PreviewLinkOptions<'golfFans'>;
    const cookie = await begin(options);
    await request(app).get('/?page=2').set('Cookie', cookie);
    expect(shown).toEqual({
      segments: ['golfFans', '42'],
      variants: { 'autumn-hero': 'links' },
      expiresAtMs: expect.any(Number),
      remainingMs: expect.any(Number),
      endUrl: '/?page=2&aam_preview=off',
    });
    const { remainingMs, expiresAtMs } = shown as unknown as ActivePreview;
    expect(remainingMs).toBeGreaterThan(HOUR_MS - 60_000);
    expect(remainingMs).toBeLessThanOrEqual(HOUR_MS);
    expect(expiresAtMs - remainingMs).toBeLessThanOrEqual(Date.now());
  });

  it('is the same where the middleware is met again, with another response, too', async () => {
    const { aam, begin } = await previewSite();
    const app = express();
    app.use(aam);
    app.use((req, res, next) => {
      const other = Object.assign(Object.create(res), { req, locals: {} });
      aam(req, other, (error) => {
        res.locals.seen = [req.aamSegments.status, other.locals.aamPreview?.segments];
        next(error);
      });
    });
    app.get('/', (_req, res) => void res.json(res.locals.seen));
    const { body, headers } = await request(app)
      .get('/')
      .set('Cookie', await begin());
    expect([body, headers['cache-control']]).toEqual([['preview', ['golfFans']], 'no-store']);
  });

  it('of one organisation is none of another', async () => {
    const { begin } = await previewSite();
    const other = await previewSite({ orgId: 'OTHER6776A524453CC0A490D44@AdobeOrg' });
    expect(
      (
        await request(other.app)
          .get('/')
          .set('Cookie', await begin())
      ).body.status,
    ).toBe('anonymous');
  });
});

describe('during a preview', () => {
  it('nothing is asked, told or exposed, and nobody is counted', async () => {
    const exposures: unknown[] = [];
    const messages: unknown[] = [];
    const site = await previewSite(
      {
        experiments: { onExposure: (exposure) => exposures.push(exposure), stickyCookie: { secret: SECRET } },
        signals: () => ({ c_page: 1 }),
        identity: { customerIds: () => [{ dataSourceId: 1, id: 'crm', authState: 'authenticated' }] },
        consent: { given: () => exposures.push('given') > 0 },
      },
      (app, { aam }) => {
        const everybody = aam.experiment({ name: 'everybody', variants: { control: 1, links: 1 } });
        const golfers = aam.experiment({ name: 'golfers', variants: { control: 1, links: 1 }, audience: 'golfFans' });
        app.get('/use', async (req, res) => {
          const sent = await aam.sendEvent(req, { c_seen: 1 });
          const found = await aam.lookup({ ecid: ECID }, { req });
          const assigned = [everybody.assignmentOf(req), golfers.assignmentOf(req)];
          const variants = [everybody.variantOf(req), golfers.variantOf(req)];
          res.json({ sent: sent.status, found: found.names, assigned, variants });
        });
      },
    );
    const { aam, app, simulator, begin } = site;
    const listen = (message: unknown) => void messages.push(message);
    const channels = ['request', 'exposure', 'event'].map((name) => channel(`express-aam-segments:${name}`));
    for (const each of channels) each.subscribe(listen);
    const cookie = await begin({ segments: ['golfFans'], variants: { everybody: 'links' } });
    const { body, headers } = await request(app)
      .get('/use')
      .set('Cookie', `${cookie}; ${cookieOf(ECID)}`);
    for (const each of channels) each.unsubscribe(listen);
    expect(body).toEqual({
      sent: 'preview',
      found: ['golfFans'],
      assigned: [
        { variant: 'links', reason: 'preview', isExposed: false },
        { variant: 'control', reason: 'preview', isExposed: false },
      ],
      variants: ['links', 'control'],
    });
    expect([exposures, simulator.requests, headers['set-cookie']]).toEqual([[], [], undefined]);
    const { requests, visitors, calls, events } = aam.stats();
    expect([requests.preview, visitors, calls, events.queued, events.sent]).toEqual([1, 0, 0, 0, 0]);
    expect(messages).toEqual([
      expect.objectContaining({
        status: 'preview',
        pseudonym: undefined,
        idSource: undefined,
        servedFrom: undefined,
        consentSignal: undefined,
        region: undefined,
      }),
    ]);
    expect(JSON.stringify([messages.map((each) => ({ ...(each as object), instance: 0 })), aam.stats()])).not.toContain(
      cookie.slice(20, 40),
    );
  });

  it('a refusal still withdraws', async () => {
    const { app, aam, simulator, begin, view } = await previewSite();
    simulator.visitor(ECID).in(GOLF);
    expect((await view()).status).toBe('fresh');
    const cookie = await begin();
    expect(aam.stats().visitors).toBe(1);
    const { body } = await request(app)
      .get('/')
      .set({ Cookie: `${cookie}; ${cookieOf(ECID)}`, 'Sec-GPC': '1' });
    expect([body.status, aam.stats().visitors]).toEqual(['preview', 0]);
  });

  it('no guard opens, unless it says so', async () => {
    const { app, begin } = await previewSite({}, (each, { aam }) => {
      each.get('/any', aam.requireSegment('golfFans'), (_req, res) => void res.send('in'));
      each.get('/all', aam.requireSegment(['golfFans', 'highValue'], { match: 'all', otherwise: 404 }), (_req, res) => {
        res.send('in');
      });
      each.get('/shown', aam.requireSegment('golfFans', { preview: true }), (_req, res) => void res.send('in'));
      each.get('/vip', aam.requireSegment('highValue', { preview: true, otherwise: 404 }), (_req, res) => {
        res.send('in');
      });
      each.get(
        '/routed',
        aam.routeBySegment({
          golfFans: (_q, res) => void res.send('golf'),
          default: (_q, res) => void res.send('plain'),
        }),
      );
      each.use(((error, _req, res, _next) => {
        const { code, segmentsStatus } = error;
        res.status(error.status).json({ code, segmentsStatus });
      }) as express.ErrorRequestHandler);
    });
    const cookie = await begin();
    const get = (path: string) => request(app).get(path).set('Cookie', cookie);
    const any = await get('/any');
    expect([any.status, any.body]).toEqual([403, { code: 'ERR_AAM_SEGMENT_REQUIRED', segmentsStatus: 'preview' }]);
    expect(
      (
        await request(app)
          .get('/all')
          .set('Cookie', await begin({ segments: ['golfFans', 'highValue'] }))
      ).status,
    ).toBe(404);
    expect([(await get('/shown')).text, (await get('/vip')).status]).toEqual(['in', 404]);
    expect((await get('/routed')).text).toBe('golf');
  });
});

it('neither the token nor the cookie of a preview is in any message', async () => {
  jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'development' });
  const seen: unknown[] = [];
  const note = (...given: unknown[]) => void seen.push(...given);
  const levels = ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const;
  for (const level of levels) jest.spyOn(console, level).mockImplementation(note);
  const { aam, app, begin, open } = await previewSite({}, (each, site) => {
    each.get('/guarded', site.aam.requireSegment('golfFans'));
    each.get('/seen', (req, res) => {
      note(req.aamSegments, JSON.stringify(req.aamSegments), res.locals, site.aam.consent.explain(req));
      res.end();
    });
    each.use(((error, _req, res, _next) => {
      note(error);
      res.end();
    }) as express.ErrorRequestHandler);
  });
  const names = [
    'request',
    'request:decision',
    'exposure',
    'event',
    'breaker',
    'tracing:express-aam-segments:dcs-call:start',
  ];
  const channels = names.map((name) => channel(name.includes('tracing') ? name : `express-aam-segments:${name}`));
  for (const each of channels) each.subscribe(note);
  const link = aam.previewUrl(`${ORIGIN}/`, { segments: ['golfFans'], expiresInMs: HOUR_MS });
  const cookie = await begin({ segments: ['golfFans'], expiresInMs: HOUR_MS });
  await open(link);
  for (const path of ['/', '/guarded', '/seen', '/?aam_preview=off', `/seen?aam_preview=${tokenIn(link)}x`]) {
    await request(app).get(path).set('Cookie', cookie);
    await request(app).get(path).set({ Cookie: cookie, Host: 'elsewhere.example' });
  }
  await request(app)
    .get(`/?aam_preview=${tokenIn(link)}`)
    .set('Host', 'elsewhere.example');
  try {
    aam.previewUrl(`${link}${'&x'.repeat(2_000)}`);
  } catch (error) {
    note(error);
  }
  later(HOUR_MS + 1);
  await open(link, cookie);
  for (const each of channels) each.unsubscribe(note);
  note(aam.stats(), ...warned.mock.calls);
  const messages = seen.map((each) => inspect(each, { depth: 9, showHidden: true })).join('\n');
  expect(messages).toMatch(/status: 'preview'/);
  expect(messages).toMatch(/ERR_AAM_SEGMENT_REQUIRED/);
  expect(messages).toMatch(/WRN_AAM_PREVIEW/);
  expect(messages).toMatch(/3072 are allowed/);
  const parts = [tokenIn(link), cookie].flatMap((signed) => signed.split(/[.=]/)).filter(({ length }) => length > 30);
  expect(parts).toHaveLength(4);
  expect(parts.filter((part) => messages.includes(part.slice(5, 25)))).toEqual([]);
});

describe('previewUrl() refuses', () => {
  const create = (options: object = {}) =>
    aamSegments({
      orgId: ORG,
      partner: 'acme',
      segments: { golfFans: GOLF, highValue: HIGH_VALUE },
      preview: { secret: SECRET },
      ...options,
    });
  let aam = create();
  beforeEach(() => {
    aam = create();
    aam.experiment({ name: 'autumn-hero', variants: { control: 1, links: 1 } });
  });
  afterEach(() => aam.close());

  it.each<[string, unknown]>([
    ['a path', '/landing'],
    ['another scheme', 'ftp://shop.example/'],
    ['a script', 'javascript:alert(1)'],
    ['nothing', undefined],
    ['a user and a password', 'https://user:hunter2hunter2@shop.example/'],
    ['a user', 'https://hunter2@shop.example/'],
    ['a password', 'https://:hunter2@shop.example/'],
  ])('%s as a URL, without repeating it', (_what, url) => {
    expect(() => aam.previewUrl(url as string)).toThrow(
      expect.objectContaining({
        code: 'ERR_AAM_INVALID_OPTION',
        message: expect.stringMatching(/^The first argument of previewUrl\(\) must be an absolute URL(?!.*hunter2)/),
      }),
    );
  });

  it.each<[string, object, string, RegExp]>([
    ['a segment that is not configured', { segments: ['golffans'] }, 'ERR_AAM_UNKNOWN_SEGMENT', /"golffans"/],
    ['what is no segment', { segments: [{}] }, 'ERR_AAM_UNKNOWN_SEGMENT', /object/],
    ['no list', { segments: 'golfFans' }, 'ERR_AAM_INVALID_OPTION', /preview\.segments must be an array/],
    ['an unknown experiment', { variants: { hero: 'links' } }, 'ERR_AAM_INVALID_OPTION', /have been defined.*"hero"/],
    ['a name of the prototype', { variants: { constructor: 'x' } }, 'ERR_AAM_INVALID_OPTION', /"constructor"/],
    ['an unknown variant', { variants: { 'autumn-hero': 'link' } }, 'ERR_AAM_INVALID_OPTION', /one of control, links/],
    ['a list of variants', { variants: [] }, 'ERR_AAM_INVALID_OPTION', /preview\.variants must be an object/],
    ['too short a time', { expiresInMs: 999 }, 'ERR_AAM_INVALID_OPTION', /1000 to 2592000000/],
    ['too long a time', { expiresInMs: 2_592_000_001 }, 'ERR_AAM_INVALID_OPTION', /1000 to 2592000000/],
    ['an unknown option', { segment: [] }, 'ERR_AAM_UNKNOWN_OPTION', /did you mean 'segments'/],
  ])('%s', (_what, options, code, message) => {
    // In production, too.
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    expect(() => aam.previewUrl('https://shop.example/', options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('a link over 3 KB, and takes one below', () => {
    const links = Array.from({ length: 60 }, (_, n) => 1e10 + n);
    expect(aam.previewUrl('https://shop.example/', { segments: links }).length).toBeLessThan(3_072);
    const more = Array.from({ length: 200 }, (_, n) => 1e10 + n);
    const refused = () => aam.previewUrl('https://shop.example/', { segments: more });
    expect(refused).toThrow(/would have \d{4} characters, and 3072 are allowed/);
    expect(refused).toThrow(expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION' }));
  });

  it('to make any without a secret', async () => {
    const without = create({ preview: undefined });
    expect(() => without.previewUrl('https://shop.example/')).toThrow(/options\.preview must be given/);
    await without.close();
  });

  it.each<[string, unknown, RegExp]>([
    ['too short a secret', 'short and real', /options\.preview\.secret must be .*got 14 characters$/],
    ['one that is too short among others', [SECRET, 'short'], /got 5 characters$/],
    ['none', [], /at least one secret/],
    ['no secret', undefined, /got undefined$/],
  ])('to exist with %s', (_what, secret, message) => {
    expect(() => create({ preview: { secret } })).toThrow(
      expect.objectContaining({ code: 'ERR_AAM_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  it('to sign anything but what the preview is', () => {
    const segments = ['golfFans', 42, '0043', { value: 'vip', note: 'private' }] as never;
    const link = aam.previewUrl('https://shop.example:8443/page', { segments, variants: { 'autumn-hero': 'links' } });
    const [, content = ''] = tokenIn(link).split('.');
    expect(JSON.parse(Buffer.from(content, 'base64url').toString())).toEqual({
      host: 'shop.example',
      isSecure: true,
      expiresAtMs: expect.any(Number),
      segments: ['golfFans', '42', '43', { value: 'vip' }],
      variants: [['autumn-hero', 'links']],
    });
  });

  it('takes the place of an older token in the URL', () => {
    const again = aam.previewUrl(aam.previewUrl('https://shop.example/?a=1'), {});
    expect(again.match(/aam_preview/g)).toHaveLength(1);
    expect(again).toMatch(/\?a=1&aam_preview=/);
  });
});

it('without a secret nothing of this exists', async () => {
  const { begin, aam: other } = await previewSite();
  const cookie = await begin();
  const { app } = await createSite();
  const link = new URL(other.previewUrl(`${ORIGIN}/`, {}));
  const page = await request(app)
    .get(link.pathname + link.search)
    .set('Cookie', cookie);
  expect([page.status, page.body.status]).toEqual([200, 'anonymous']);
  expect((await request(app).get('/?aam_preview=off').set('Cookie', cookie)).status).toBe(200);
});

import { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import apicache from 'apicache';
import express, { type Express, type RequestHandler, type Response } from 'express';
import { requireSegment, routeBySegment, type VisitorSegments } from 'express-aam-segments';
import request from 'supertest';
import { privateForm } from '../../src/request/private-headers';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

/** The responses of /page to a golf fan and to a visitor without cookies. */
async function responses(mount: (app: Express) => void, options: Parameters<typeof createSite>[0] = {}) {
  const { aam, simulator } = await createSite(options);
  simulator.visitor(ECID).in(GOLF);
  const app = express();
  app.use(aam);
  mount(app);
  const known = await request(app).get('/page').set('Cookie', cookieOf(ECID));
  const anonymous = await request(app).get('/page');
  return { known, anonymous };
}

const onPage =
  (handler: RequestHandler) =>
  (app: Express): void => {
    app.get('/page', handler);
  };
const read = (segments: VisitorSegments) => segments.has(GOLF);
const set = (res: Response, value: string | string[] | undefined) => {
  if (value !== undefined) res.setHeader('Cache-Control', value);
};

describe('a response for which segments were read', () => {
  const READS: [string, (segments: VisitorSegments) => unknown][] = [
    ['has()', (segments) => segments.has(GOLF)],
    ['hasAny()', (segments) => segments.hasAny(1, 2)],
    ['hasAll()', (segments) => segments.hasAll(GOLF)],
    ['iteration', (segments) => [...segments]],
    ['size', (segments) => segments.size],
    ['ids', (segments) => segments.ids],
    ['names', (segments) => segments.names],
    ['destinations', (segments) => segments.destinations],
    ['visitor', (segments) => segments.visitor],
    ['region', (segments) => segments.region],
    ['transactionId', (segments) => segments.transactionId],
    ['JSON', (segments) => JSON.stringify({ segments })],
  ];

  it.each(READS)('by %s leaves as private, for unknown visitors too', async (_how, readBy) => {
    const { known, anonymous } = await responses(
      onPage((req, res) => {
        readBy(req.aamSegments);
        res.send('page');
      }),
    );
    expect([known, anonymous].map(({ headers }) => headers['cache-control'])).toEqual(['private', 'private']);
  });

  it('in a view leaves as private', async () => {
    const { known } = await responses((app) => {
      // Any existing file will do as a view: the engine prints its locals.
      app.set('views', __dirname).engine('ts', (_path, locals, done) => {
        done(null, String((locals as { aamSegments: VisitorSegments }).aamSegments.size));
      });
      app.get('/page', (_req, res) => res.render('response-privacy.test.ts'));
    });
    expect([known.text, known.headers['cache-control']]).toEqual(['1', 'private']);
  });

  it.each([
    ['status', (segments: VisitorSegments) => segments.status],
    ['reason', (segments: VisitorSegments) => segments.reason],
    ['ageMs', (segments: VisitorSegments) => segments.ageMs],
    ['inspection', (segments: VisitorSegments) => inspect({ segments }, { depth: 5 })],
  ])('stays as it is when only %s was looked at', async (_what, look) => {
    const { known } = await responses(
      onPage((req, res) => {
        look(req.aamSegments);
        set(res, 'public, max-age=600');
        res.send('page');
      }),
    );
    expect(known.headers['cache-control']).toBe('public, max-age=600');
    expect(warned).not.toHaveBeenCalled();
  });

  it.each([
    [undefined, 'private'],
    ['max-age=600', 'private, max-age=600'],
    ['no-cache', 'private, no-cache'],
    ['private', 'private'],
    ['Private, max-age=60', 'Private, max-age=60'],
    ['no-store', 'no-store'],
    [['no-cache', 'must-revalidate'], 'private, no-cache, must-revalidate'],
  ])('with %j leaves with %j', async (before, after) => {
    const { known } = await responses(
      onPage((req, res) => {
        read(req.aamSegments);
        set(res, before);
        res.send('page');
      }),
    );
    expect(known.headers['cache-control']).toBe(after);
    expect(warned).not.toHaveBeenCalled();
  });

  it('warns once per route when it would have been public', async () => {
    const handler: RequestHandler = (req, res) => {
      set(res, 'public, s-maxage=60, max-age=0');
      read(req.aamSegments);
      res.send('page');
    };
    const { known, anonymous } = await responses((app) => {
      app.get('/page', handler);
    });
    expect([known, anonymous].map(({ headers }) => headers['cache-control'])).toEqual([
      'private, max-age=0',
      'private, max-age=0',
    ]);
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(/^GET \/page: .*'public', 's-maxage' was taken out of Cache-Control/),
        expect.objectContaining({ code: 'WRN_AAM_SHARED_CACHE' }),
      ],
    ]);
  });

  it('sent by sendFile() is not public', async () => {
    const { known } = await responses(
      onPage((req, res) => {
        read(req.aamSegments);
        res.sendFile('index.ts', { root: `${__dirname}/../../src` });
      }),
    );
    expect(known.headers['cache-control']).toBe('private, max-age=0');
    expect(known.status).toBe(200);
    expect(warned).toHaveBeenCalledTimes(1);
  });

  it('sent by writeHead() with its own headers is not public', async () => {
    const { known } = await responses(
      onPage((req, res) => {
        read(req.aamSegments);
        res.writeHead(200, { 'Cache-Control': 's-maxage=60' }).end('page');
      }),
    );
    expect(known.headers['cache-control']).toBe('private');
  });

  it.each([
    'CDN-Cache-Control',
    'Surrogate-Control',
    'Cloudflare-CDN-Cache-Control',
    'Akamai-Cache-Control',
    'Edge-Control',
    'X-LiteSpeed-Cache-Control',
  ])('loses %s with a warning, unless that header is private too', async (name) => {
    const withValue = (value: string) =>
      responses(
        onPage((req, res) => {
          read(req.aamSegments);
          res.set(name, value).send('page');
        }),
      );
    const { known } = await withValue('max-age=60');
    expect(known.headers['cache-control']).toBe('private');
    expect(known.headers).not.toHaveProperty(name.toLowerCase());
    expect(warned.mock.calls).toEqual([[expect.stringContaining(name.toLowerCase()), expect.anything()]]);
    const harmless = await withValue('no-store');
    expect(harmless.known.headers[name.toLowerCase()]).toBe('no-store');
    expect(warned).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['X-Accel-Expires', '60', false],
    ['X-Accel-Expires', '0', true],
    ['Expires', 'Thu, 01 Jan 2099 00:00:00 GMT', false],
    ['Expires', 'Thu, 01 Jan 1970 00:00:00 GMT', true],
    ['Expires', '-1', true],
  ])('with %s: %s keeps it: %j', async (name, value, isKept) => {
    const { known } = await responses(
      onPage((req, res) => {
        read(req.aamSegments);
        res.set(name, value).send('page');
      }),
    );
    expect(known.headers[name.toLowerCase()]).toBe(isKept ? value : undefined);
  });

  it('by lookup() leaves as private with { req }, and as it is without', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use(aam);
    app.get('/page', async (req, res) => {
      const segments = await aam.lookup({ ecid: ECID }, req.query.given === 'req' ? { req } : {});
      const isRead = req.query.read !== 'no' && segments.has(GOLF);
      res.set('Cache-Control', 'max-age=600').send(String(isRead));
    });
    const page = async (query: string) => {
      const { text, headers } = await request(app).get(`/page?${query}`);
      return [text, headers['cache-control']];
    };
    expect(await page('given=req')).toEqual(['true', 'private, max-age=600']);
    expect(await page('given=req&read=no')).toEqual(['false', 'max-age=600']);
    expect(await page('')).toEqual(['true', 'max-age=600']);
    const elsewhere = aam.lookup({ ecid: ECID }, { req: {} as never });
    await expect(elsewhere).rejects.toMatchObject({ code: 'ERR_AAM_MIDDLEWARE_MISSING' });
  });

  it('leaves as private where the middleware was given an object made of it, with a request of its own', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.get('/page', (req, res) => {
      aam(req, Object.assign(Object.create(res), { req }), () => {
        read(req.aamSegments);
        res.send('page');
      });
    });
    const { headers } = await request(app).get('/page').set('Cookie', cookieOf(ECID));
    expect(headers['cache-control']).toBe('private');
  });

  it('is not stored by apicache for the next visitor, and causes a warning', async () => {
    const store = apicache.newInstance({});
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const app = express();
    app.use(store.middleware('1 minute') as never, aam);
    app.get('/page', (req, res) => {
      res.send(read(req.aamSegments) ? 'the club' : 'the shop');
    });
    const club = await request(app).get('/page').set('Cookie', cookieOf(ECID));
    const shop = await request(app).get('/page');
    store.clear([]);
    expect([club.text, shop.text]).toEqual(['the club', 'the shop']);
    expect(warned.mock.calls).toEqual([
      [expect.stringMatching(/^GET \/page: .*apicache was kept from/), expect.anything()],
    ]);
  });

  it('causes warnings that are cut, without the values of headers', async () => {
    const { known } = await responses((app) => {
      app.get(['/page', `/${'x'.repeat(500)}`], (req, res) => {
        read(req.aamSegments);
        res.set({ 'Cache-Control': `public, token=${ECID}`, 'Surrogate-Control': `max-age=1, ${ECID}` }).send('page');
      });
    });
    expect(known.headers).not.toHaveProperty('surrogate-control');
    const texts = warned.mock.calls.map(([text]) => String(text));
    expect(texts).toHaveLength(2);
    for (const text of texts) {
      expect(text).not.toContain(ECID);
      expect(text.length).toBeLessThan(400);
    }
  });

  it('causes a warning if it cannot be marked', async () => {
    const { known } = await responses(
      onPage((req, res) => {
        Object.defineProperty(res, 'statusMessage', { value: 'OK', writable: true, configurable: false });
        read(req.aamSegments);
        res.send('page');
      }),
    );
    expect(known.text).toBe('page');
    expect(warned.mock.calls).toEqual([[expect.stringContaining('could not be marked'), expect.anything()]]);
  });

  it('is marked again where the request is served with another response', async () => {
    const { aam } = await createSite();
    const [first, second] = [new ServerResponse({} as never), new ServerResponse({} as never)];
    const req = { headers: { cookie: cookieOf(ECID) }, url: '/' } as never;
    const serve = (res: ServerResponse) => new Promise((resolve) => aam(req, res, resolve));
    await serve(first);
    read((req as { aamSegments: VisitorSegments }).aamSegments);
    await serve(second);
    for (const res of [first, second]) {
      res.writeHead(200);
      expect(res.getHeader('Cache-Control')).toBe('private');
    }
  });

  it.each<[string, (res: Response) => void]>([
    ['write()', (res) => res.write('first')],
    ['flushHeaders()', (res) => res.flushHeaders()],
  ])('causes a warning when they are read too late, after %s', async (_how, begin) => {
    const { known } = await responses(
      onPage((req, res) => {
        begin(res);
        res.end(String(read(req.aamSegments)));
      }),
    );
    expect(known.text).toMatch(/true$/);
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(/^GET \/page: .*after the headers had been sent/),
        expect.objectContaining({ code: 'WRN_AAM_SHARED_CACHE' }),
      ],
    ]);
  });

  it('stays as it is when they are read after its end, as by an access log', async () => {
    let finished!: () => void;
    const isFinished = new Promise<void>((resolve) => (finished = resolve));
    const { known } = await responses((app) => {
      app.get('/page', (req, res) => {
        res.on('finish', () => {
          read(req.aamSegments);
          finished();
        });
        res.send('page');
      });
    });
    await isFinished;
    expect(known.headers).not.toHaveProperty('cache-control');
    expect(warned).not.toHaveBeenCalled();
  });

  it('varies by cookie with privacy.varyCookie', async () => {
    const page = onPage((req, res) => {
      read(req.aamSegments);
      res.vary('Accept').send('page');
    });
    expect((await responses(page)).known.headers.vary).toBe('Accept');
    expect((await responses(page, { privacy: { varyCookie: true } })).known.headers.vary).toBe('Accept, Cookie');
  });

  it('is sent even if other middleware has replaced parts of it', async () => {
    const { known } = await responses(
      onPage((req, res) => {
        read(req.aamSegments);
        const { getHeaderNames } = res;
        res.getHeaderNames = () => {
          res.getHeaderNames = getHeaderNames;
          throw new Error('a broken response');
        };
        res.send('page');
      }),
    );
    expect([known.status, known.text]).toEqual([200, 'page']);
  });

  it('leaves as private when an error handler sends it', async () => {
    const { known } = await responses((app) => {
      app.get('/page', (req) => {
        read(req.aamSegments);
        throw Object.assign(new Error('gone'), { status: 410 });
      });
    });
    expect([known.status, known.headers['cache-control']]).toEqual([410, 'private']);
  });
});

describe('a guard', () => {
  const answers = (app: Express) => {
    app.get('/page', (_req, res) => {
      res.set('Cache-Control', 'max-age=5').send('open to all');
    });
  };

  it.each<[string, (app: Express) => void]>([
    ['requireSegment that lets in', (app) => app.use(requireSegment(GOLF, { otherwise: 403 }))],
    ['requireSegment that refuses', (app) => app.use(requireSegment(1, { otherwise: '/join' }))],
    [
      'requireSegment that leaves it to the next route',
      (app) => app.get('/page', requireSegment(1), (_req, res) => res.end()),
    ],
    ['routeBySegment', (app) => app.get('/page', routeBySegment([[1, (_req, res) => res.end()]]))],
  ])('%s makes the response private for every visitor', async (_name, mount) => {
    const { known, anonymous } = await responses((app) => {
      mount(app);
      answers(app);
    });
    for (const { headers } of [known, anonymous]) expect(headers['cache-control']).toMatch(/^private/);
  });

  it('of another route changes nothing', async () => {
    const { known } = await responses((app) => {
      app.use('/members', requireSegment(GOLF, { otherwise: 403 }));
      answers(app);
    });
    expect(known.headers['cache-control']).toBe('max-age=5');
  });
});

describe('Cache-Control', () => {
  it.each([
    ['', 'private', []],
    ['public', 'private', ['public']],
    ['PUBLIC, Max-Age=1', 'private, Max-Age=1', ['public']],
    ['private, public', 'private', ['public']],
    ['no-store, s-maxage=5', 'private, no-store', ['s-maxage']],
    ['private="set-cookie", max-age=1', 'private, max-age=1', []],
    ['no-cache="a, public", max-age=1', 'private, no-cache="a, public", max-age=1', []],
    [' , ,max-age=1', 'private, max-age=1', []],
    ['extension="unclosed, public', 'private, extension="unclosed, public', []],
    ['must-understand, no-store', 'no-store', []],
    ['private, must-understand, no-store', 'private, must-understand, no-store', []],
    ['must-understand, no-store, public', 'private, must-understand, no-store', ['public']],
  ])('%j becomes %j', (before, value, taken) => {
    expect(privateForm(before)).toMatchObject({ value, taken });
  });
});

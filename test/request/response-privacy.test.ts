import { inspect } from 'node:util';
import express, { type Express, type RequestHandler, type Response } from 'express';
import { requireSegment, routeBySegment, type VisitorSegments } from 'express-aam-segments';
import request from 'supertest';
import { privateForm } from '../../src/request/response-privacy';
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
    ['region', (segments: VisitorSegments) => segments.region],
    ['transactionId', (segments: VisitorSegments) => segments.transactionId],
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
        expect.stringMatching(
          /^GET \/page: .*'Cache-Control: public, s-maxage=60, max-age=0' was replaced with 'private,/,
        ),
        { code: 'WRN_AAM_SHARED_CACHE' },
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

  it.each(['CDN-Cache-Control', 'Surrogate-Control', 'Cloudflare-CDN-Cache-Control'])(
    'causes a warning for %s, unless that header is private too',
    async (name) => {
      const { known } = await responses((app) => {
        app.get('/page', (req, res) => {
          read(req.aamSegments);
          res.set(name, 'max-age=60').send('page');
        });
      });
      expect(known.headers['cache-control']).toBe('private');
      expect(warned.mock.calls).toEqual([[expect.stringContaining(name.toLowerCase()), expect.anything()]]);
      await responses(
        onPage((req, res) => {
          read(req.aamSegments);
          res.set(name, 'no-store').send('page');
        }),
      );
      expect(warned).toHaveBeenCalledTimes(1);
    },
  );

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
      [expect.stringMatching(/^GET \/page: .*after the headers had been sent/), { code: 'WRN_AAM_SHARED_CACHE' }],
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
    ['', 'private', false],
    ['public', 'private', true],
    ['PUBLIC, Max-Age=1', 'private, Max-Age=1', true],
    ['private, public', 'private', true],
    ['no-store, s-maxage=5', 'private, no-store', true],
    ['private="set-cookie", max-age=1', 'private, max-age=1', false],
    ['no-cache="a, public", max-age=1', 'private, no-cache="a, public", max-age=1', false],
    [' , ,max-age=1', 'private, max-age=1', false],
    ['extension="unclosed, public', 'private, extension="unclosed, public', false],
  ])('%j becomes %j', (before, value, isReplaced) => {
    expect(privateForm(before)).toEqual({ value, isReplaced });
  });
});

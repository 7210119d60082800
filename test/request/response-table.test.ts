/**
 * A page that reads segments leaves as private, whoever sets headers before or after, and with all other headers as without
 * reading: ways to answer x interference, compared byte for byte on the wire.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import apicache from 'apicache';
import compression from 'compression';
import connect from 'connect';
import express from 'express';
import type { AamSegments, VisitorSegments } from 'express-aam-segments';
import cacheControl from 'express-cache-controller';
import session from 'express-session';
import helmet from 'helmet';
import onHeaders from 'on-headers';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

type Res = ServerResponse & { send(body: string): void; sendFile(path: string, options: object): void } & {
  json(body: object): void;
  redirect(url: string): void;
  status(code: number): Res;
};
type Next = (error?: unknown) => void;
type Handler = (req: IncomingMessage, res: Res, next: Next) => void;
/** A method of a response, to be wrapped. */
// biome-ignore lint/suspicious/noExplicitAny: any method
type Method = (...args: any[]) => any;

const COOKIES = ['a=1', 'b=2'];
const PUBLIC = 'public, s-maxage=600';

/** Those of plain Node, which HTTP/2 has too. */
const PLAIN: Record<string, Handler> = {
  end: (_req, res) => void res.end('page'),
  write: (_req, res) => {
    res.write('pa');
    res.end('ge');
  },
  'flushHeaders()': (_req, res) => {
    res.flushHeaders();
    res.end('page');
  },
  'writeHead(status)': (_req, res) => void res.writeHead(201).end('page'),
  'writeHead(status, object)': (_req, res) =>
    void res.writeHead(302, { Location: '/x', 'Set-Cookie': COOKIES, 'Cache-Control': PUBLIC }).end(),
  'writeHead(status, undefined, object)': (_req, res) =>
    void res.writeHead(302, undefined, { Location: '/x', 'Set-Cookie': COOKIES, 'Cache-Control': 'no-store' }).end(),
  'writeHead(status, flat array)': (_req, res) =>
    void res
      .writeHead(200, ['Set-Cookie', 'a=1', 'X-Page', 'x', 'Set-Cookie', 'b=2', 'cache-control', PUBLIC])
      .end('page'),
  'writeHead(status, nested array)': (_req, res) =>
    void res
      .writeHead(200, [
        ['Set-Cookie', 'a=1'],
        ['X-Page', 'x'],
        ['Set-Cookie', 'b=2'],
        ['Expires', FAR],
      ] as never)
      .end('page'),
  'setHeader and writeHead(status, object)': (_req, res) => {
    res.setHeader('X-Page', 'x');
    res.setHeader('Cache-Control', PUBLIC);
    res.writeHead(203, { 'x-page': 'y', 'CDN-Cache-Control': 'max-age=60' }).end('page');
  },
  appendHeader: (_req, res) => {
    res.appendHeader('Cache-Control', 'public');
    res.appendHeader('Cache-Control', 'max-age=5');
    res.appendHeader('X-Page', 'x');
    res.end('page');
  },
  304: (_req, res) => {
    res.statusCode = 304;
    res.setHeader('Cache-Control', PUBLIC);
    res.end();
  },
  'a header of a CDN': (_req, res) => {
    for (const name of OVERRULING) res.setHeader(name, 'max-age=60');
    res.setHeader('X-Accel-Expires', '60');
    res.setHeader('Expires', FAR);
    res.end('page');
  },
};

const HTTP1: Record<string, Handler> = {
  ...PLAIN,
  'writeHead(status, message, object)': (_req, res) =>
    void res.writeHead(200, 'Fine', { 'X-Page': 'x', 'Cache-Control': PUBLIC }).end('page'),
  'setHeaders(Map)': (_req, res) => {
    res.setHeaders(new Map([['cache-control', PUBLIC]]));
    res.end('page');
  },
};

const EXPRESS: Record<string, Handler> = {
  ...HTTP1,
  send: (_req, res) => res.send('page'),
  json: (_req, res) => res.json({ page: 1 }),
  redirect: (_req, res) => res.redirect('/x'),
  sendFile: (_req, res) => res.sendFile('index.ts', { root: `${__dirname}/../../src` }),
  'an error page': (_req, _res, next) => next(Object.assign(new Error('gone'), { status: 410 })),
};

const FAR = 'Thu, 01 Jan 2099 00:00:00 GMT';
const OVERRULING = [
  'Surrogate-Control',
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'Akamai-Cache-Control',
  'Edge-Control',
  'X-LiteSpeed-Cache-Control',
];

const none: Handler = (_req, _res, next) => next();
const wrapsWriteHead: Handler = (_req, res, next) => {
  const writeHead = res.writeHead as Method;
  res.writeHead = function (this: Res, ...args: unknown[]) {
    if (!this.hasHeader('X-Wrapped')) this.setHeader('X-Wrapped', '1');
    this.setHeader('Cache-Control', PUBLIC);
    return writeHead.apply(this, args);
  } as never;
  next();
};
const passesThrough: Handler = (_req, res, next) => {
  const writeHead = res.writeHead as Method;
  res.writeHead = function (this: Res, ...args: unknown[]) {
    return writeHead.apply(this, args);
  } as never;
  next();
};
const wrapsEnd: Handler = (_req, res, next) => {
  const end = res.end as Method;
  res.end = function (this: Res, ...args: unknown[]) {
    if (!this.headersSent) this.setHeader('Cache-Control', PUBLIC);
    return end.apply(this, args);
  } as never;
  next();
};
const wrapsSetHeader: Handler = (_req, res, next) => {
  const setHeader = res.setHeader as Method;
  res.setHeader = function (this: Res, name: string, value: never) {
    return setHeader.call(this, name, name.toLowerCase() === 'cache-control' ? PUBLIC : value);
  } as never;
  next();
};
const listensByOnHeaders: Handler = (_req, res, next) => {
  onHeaders(res, () => res.setHeader('Cache-Control', PUBLIC));
  next();
};
/** Goes past all that was put on the response in between. */
const callsNodesOwn: Handler = (_req, res, next) => {
  const end = res.end as Method;
  const writeHead = ServerResponse.prototype.writeHead as Method;
  res.end = function (this: Res, ...args: unknown[]) {
    if (!this.headersSent) writeHead.call(this, this.statusCode, { 'Cache-Control': PUBLIC });
    return end.apply(this, args);
  } as never;
  next();
};

const INTERFERENCE: Record<string, Handler> = {
  none,
  'a wrapper of writeHead': wrapsWriteHead,
  'one that passes its arguments through': passesThrough,
  'a wrapper of end': wrapsEnd,
  'a wrapper of setHeader': wrapsSetHeader,
  'on-headers': listensByOnHeaders,
  "a call of Node's own writeHead": callsNodesOwn,
};
const cacheController = cacheControl({ public: true, sMaxAge: 600 } as never) as Handler;
const inProcess = apicache.middleware('1 minute') as Handler;
const MIDDLEWARES: Record<string, Handler> = {
  'express-cache-controller': cacheController,
  apicache: (req, res, next) => {
    // The page with reading is not to come from the cache.
    apicache.clear();
    inProcess(req, res, next);
  },
  compression: compression({ threshold: 0 }) as never,
  helmet: helmet() as never,
  'express-session': session({ secret: 'x', resave: false, saveUninitialized: true, genid: () => 'one' }) as never,
};

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(() => {
  jest.restoreAllMocks();
});
let aam: AamSegments;
beforeAll(async () => {
  ({ aam } = await createSite());
});
afterAll(async () => {
  apicache.clear();
  await closeSites();
});

const read: Handler = (req, _res, next) => {
  (req as IncomingMessage & { aamSegments: VisitorSegments }).aamSegments.has(GOLF);
  next();
};

/** The head of the answer, without the date. */
async function headOf(listener: RequestListener): Promise<string[]> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${cookieOf(ECID)}\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) text += chunk;
  server.close();
  await once(server, 'close');
  return (text.split('\r\n\r\n')[0] as string).split('\r\n').filter((line) => !/^date:/i.test(line));
}

/** Lines that are about caches are compared by what they allow; all others as they are. */
const ABOUT_CACHES = new RegExp(`^(?:cache-control|expires|x-accel-expires|${OVERRULING.join('|')}):`, 'i');
const others = (lines: string[]) => lines.filter((line) => !ABOUT_CACHES.test(line));
const aboutCaches = (lines: string[]) => lines.filter((line) => ABOUT_CACHES.test(line));

function expectPrivate(lines: string[]): void {
  expect(aboutCaches(lines)).toEqual([
    expect.stringMatching(/^cache-control: (?:private(?:, max-age=\d+)?|no-store)$/i),
  ]);
}

const inOrder = (where: 'earlier' | 'later', interference: Handler, reading: Handler): Handler[] =>
  where === 'earlier' ? [interference, reading] : [reading, interference];
const cases = (ways: Record<string, Handler>, interference: Record<string, Handler>) =>
  (['earlier', 'later'] as const).flatMap((where) =>
    Object.keys(interference).flatMap((by) => Object.keys(ways).map((way) => [way, where, by] as const)),
  );

describe('over HTTP/1, through Express', () => {
  it.each(cases(EXPRESS, { ...INTERFERENCE, ...MIDDLEWARES }))('%s, with, %s, %s', async (way, where, by) => {
    const head = (reading: Handler) => {
      const app = express().set('env', 'production');
      app.use(aam as never);
      for (const each of inOrder(where, { ...INTERFERENCE, ...MIDDLEWARES }[by] as Handler, reading))
        app.use(each as never);
      app.use(EXPRESS[way] as never);
      return headOf(app);
    };
    const silent = jest.spyOn(console, 'error').mockImplementation(() => {});
    const [without, withReading] = [await head(none), await head(read)];
    silent.mockRestore();
    expect(others(withReading)).toEqual(others(without));
    if (!/ 500 /.test(without[0] as string)) expectPrivate(withReading);
    expect(warned.mock.calls.every(([text]) => String(text).length < 400)).toBe(true);
  });
});

describe('over HTTP/1, through Connect', () => {
  it.each(cases(HTTP1, INTERFERENCE))('%s, with, %s, %s', async (way, where, by) => {
    const head = (reading: Handler) => {
      const app = connect().use(aam);
      for (const each of inOrder(where, INTERFERENCE[by] as Handler, reading)) app.use(each as never);
      return headOf(app.use(HTTP1[way] as never) as never);
    };
    const silent = jest.spyOn(console, 'error').mockImplementation(() => {});
    const [without, withReading] = [await head(none), await head(read)];
    silent.mockRestore();
    // With the first header set, Node 20 drops repeated names and refuses nested arrays; behind wrappers, we keep and take them.
    if (where === 'earlier' && /array/.test(way) && /^a wrapper of writeHead|^on-headers/.test(by))
      expect(withReading[0]).toMatch(/ 200 OK$/);
    // The error page shows a stack, which is another one.
    else if (/ 500 /.test(without[0] as string)) expect(withReading[0]).toBe(without[0]);
    else expect(others(withReading).sort()).toEqual(others(without).sort());
    if (!/ 500 /.test(without[0] as string)) expectPrivate(withReading);
  });
});

describe('over HTTP/2, through Connect', () => {
  const EVERY = { ...INTERFERENCE };
  delete EVERY["a call of Node's own writeHead"];

  async function headers(listener: unknown): Promise<IncomingHttpHeaders> {
    const server = createHttp2Server(listener as never).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = client.request({ ':path': '/page', cookie: cookieOf(ECID) });
    const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    stream.resume();
    await once(stream, 'close');
    client.close();
    server.close();
    await once(server, 'close');
    const { date, ...rest } = received;
    return rest;
  }

  it.each(cases(PLAIN, EVERY))('%s, with, %s, %s', async (way, where, by) => {
    const sent = async (reading: Handler) => {
      const app = connect().use(aam);
      for (const each of inOrder(where, EVERY[by] as Handler, reading)) app.use(each as never);
      const received = await headers(app.use(PLAIN[way] as never));
      return Object.entries(received).map(([name, value]) => `${name}: ${value}`);
    };
    const silent = jest.spyOn(console, 'error').mockImplementation(() => {});
    const [without, withReading] = [await sent(none), await sent(read)];
    silent.mockRestore();
    expect(others(withReading)).toEqual(others(without));
    if (!without.includes(':status: 500')) expectPrivate(withReading);
  });
});

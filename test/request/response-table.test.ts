import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import apicache from 'apicache';
import compression from 'compression';
import connect from 'connect';
import express from 'express';
import type { VisitorSegments } from 'express-aam-segments';
import cacheController from 'express-cache-controller';
import session from 'express-session';
import helmet from 'helmet';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';
import { INTERFERENCES, type Interference, WAYS, type Way } from './response-table';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const close of closing.splice(0)) await close();
  await closeSites();
});

type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/** Those of packages that many sites mount. */
const PACKAGES: readonly Interference[] = [
  { name: 'express-cache-controller', before: cacheController({ public: true, maxAge: 600, sMaxAge: 600 }) as Handler },
  { name: 'compression', before: compression({ threshold: 0 }) as unknown as Handler },
  { name: 'helmet', before: helmet() as Handler },
  {
    name: 'express-session',
    before: session({ secret: 'x', resave: true, saveUninitialized: true, genid: () => 'same' }) as unknown as Handler,
  },
  { name: 'apicache', before: apicache.newInstance({}).middleware('1 minute') as unknown as Handler },
];

/** What was sent: lines of HTTP/1 as they are, headers of HTTP/2 as such lines. */
interface Sent {
  readonly head: readonly string[];
  readonly body: string;
}

/** A site, and how to get a page of it. */
interface Served {
  get(path: string, way: Way): Promise<Sent>;
}

const WITH_EXPRESS = 'Express';
const BARE_EXPRESS = 'Express without X-Powered-By';
const HTTP1 = 'Connect';
const HTTP2 = 'Connect with HTTP/2';

const isApplicable = (server: string, way: Way): boolean => {
  if (way.needsExpress) return server === WITH_EXPRESS || server === BARE_EXPRESS;
  return server !== HTTP2 || way.isHttp1 !== true;
};

/** Each way at a path of its own, where segments are read if the query says so. */
function mount(use: (handler: Handler) => void, aam: Handler, { before, after }: Interference): void {
  if (before !== undefined) use(before);
  use(aam);
  if (after !== undefined) use(after);
  use((req, res, next) => {
    const [, n, isRead] = /^\/(\d+)\?read=(\w+)/.exec(req.url as string) ?? [];
    const way = WAYS[Number(n)] as Way;
    if (isRead === 'true') (req as { aamSegments?: VisitorSegments }).aamSegments?.has(GOLF);
    try {
      way.answer(req, res, next);
    } catch (error) {
      // What Node refuses is a page, too.
      if (res.headersSent) throw error;
      res.statusCode = 500;
      res.end(String((error as { code?: string }).code));
    }
  });
}

async function serve(server: string, interference: Interference): Promise<Served> {
  const { aam, simulator } = await createSite();
  simulator.visitor(ECID).in(GOLF);
  const app = server === HTTP1 || server === HTTP2 ? connect() : express();
  if (server === BARE_EXPRESS) (app as express.Express).disable('x-powered-by');
  mount((handler) => (app as express.Express).use(handler as express.RequestHandler), aam as Handler, interference);
  (app as express.Express).use(((_error: unknown, _req: unknown, res: ServerResponse, _next: unknown) => {
    res.statusCode = 500;
    res.end('an error page');
  }) as express.ErrorRequestHandler);
  if (server === HTTP2) return serveHttp2(app as unknown as RequestListener);
  const listener = createServer(app as unknown as RequestListener);
  const port = await listening(listener);
  closing.push(() => new Promise((resolve) => listener.close(() => resolve())));
  return { get: (path, way) => getRaw(port, path, way) };
}

async function serveHttp2(app: RequestListener): Promise<Served> {
  const listener = createHttp2Server(app as never);
  const client = connectHttp2(`http://127.0.0.1:${await listening(listener)}`);
  closing.push(async () => {
    client.close();
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  });
  return {
    async get(path, { method = 'GET', headers }) {
      const stream = client.request({ ':path': path, ':method': method, cookie: cookieOf(ECID), ...headers });
      const head = new Promise<readonly string[]>((resolve) => {
        stream.on('response', (all) => {
          const lines = Object.entries(all).flatMap(([name, value]) => {
            return [value].flat().map((each) => `${name}: ${each}`);
          });
          resolve(lines);
        });
      });
      stream.end();
      return { head: await head, body: await text(stream) };
    },
  };
}

async function listening(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
}) {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Over a socket, since clients lose the order and the case of headers. */
async function getRaw(port: number, path: string, { method = 'GET', headers = {} }: Way): Promise<Sent> {
  const socket = connectSocket(port, '127.0.0.1');
  const all = { Host: 'x', Cookie: cookieOf(ECID), Connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const answer = await text(socket);
  const end = answer.indexOf('\r\n\r\n');
  return { head: answer.slice(0, end).split('\r\n'), body: answer.slice(end + 4) };
}

/** Those by which caches decide, and those that change by themselves. */
const OURS =
  /^(?:cache-control|expires|surrogate-control|[\w-]*cdn-cache-control|edge-control|x-accel-expires|x-litespeed-cache-control):/i;
const BY_CHANCE = /^(?:date|age|apicache-\w+):/i;

const others = ({ head }: Sent) => head.filter((line) => !OURS.test(line) && !BY_CHANCE.test(line));
const ours = ({ head }: Sent) => head.filter((line) => OURS.test(line)).map((line) => line.toLowerCase());

/** What shared caches make of it. */
function isPrivate(sent: Sent): boolean {
  const policy = ours(sent).join('\n');
  const lets =
    /public|s-maxage|surrogate-control|cdn-cache-control|edge-control|x-accel|litespeed|expires: fri, 01 jan 2100/;
  return /^cache-control: .*(?:private|no-store)/m.test(policy) && !lets.test(policy);
}

/**
 * Where no header was set, and a wrapper that was there before hands on the arguments, repeated names come together in one place
 * and one spelling: it cannot be known what the wrapper will make of them.
 */
const gathered = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())).sort();

describe.each([WITH_EXPRESS, BARE_EXPRESS, HTTP1, HTTP2])(
  '%s: a response leaves as private where segments are read, and all else as it would have',
  (server) => {
    const interferences = server === WITH_EXPRESS ? [...INTERFERENCES, ...PACKAGES] : INTERFERENCES;

    it.each(interferences)('with $name', async (interference) => {
      const site = await serve(server, interference);
      const wrong: unknown[] = [];
      let cells = 0;
      for (const [n, way] of WAYS.entries()) {
        if (!isApplicable(server, way)) continue;
        cells++;
        const unread = await site.get(`/${n}?read=false&${server}`.replaceAll(' ', ''), way);
        const read = await site.get(`/${n}?read=true&${server}`.replaceAll(' ', ''), way);
        const isGathered =
          /changes the arguments|hands on|Node itself/.test(interference.name) &&
          (server === BARE_EXPRESS || server === HTTP1);
        const same = isGathered ? gathered : (lines: readonly string[]) => [...lines];
        const isSame = JSON.stringify(same(others(read))) === JSON.stringify(same(others(unread)));
        if (!isSame || !isPrivate(read) || read.body !== unread.body) {
          wrong.push({ way: way.name, unread: unread.head, read: read.head, isBodySame: read.body === unread.body });
        }
      }
      expect(wrong).toEqual([]);
      expect(cells).toBeGreaterThan(15);
    });
  },
);

it('leaves everything as it is where nobody reads', async () => {
  const site = await serve(WITH_EXPRESS, { name: 'nothing else' });
  const sent = await site.get(
    `/${WAYS.findIndex(({ name }) => name === 'headers of CDNs')}?read=false`,
    WAYS[0] as Way,
  );
  expect(ours(sent)).toEqual([
    'surrogate-control: max-age=600',
    'cdn-cache-control: max-age=600',
    'cloudflare-cdn-cache-control: max-age=600',
    'edge-control: max-age=600',
    'x-accel-expires: 600',
    'x-litespeed-cache-control: public,max-age=600',
    'expires: fri, 01 jan 2100 00:00:00 gmt',
  ]);
});

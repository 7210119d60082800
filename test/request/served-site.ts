/** Sites on real sockets whose pages are the ways to answer of the response table, on Express and Connect, over HTTP/1 and HTTP/2. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import connect from 'connect';
import express from 'express';
import { type Interference, WAYS, type Way } from './response-table';

export type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

const closing: (() => Promise<void>)[] = [];

/** Closes all sites of a test. */
export async function closeServed(): Promise<void> {
  for (const close of closing.splice(0)) await close();
}

/** What was sent: lines of HTTP/1 as they are, headers of HTTP/2 as such lines. */
export interface Sent {
  readonly head: readonly string[];
  readonly body: string;
}

/** A site, and how to get a page of it. */
export interface Served {
  /** @param cookie none by default */
  get(path: string, way: Way, cookie?: string): Promise<Sent>;
}

export const WITH_EXPRESS = 'Express';
export const BARE_EXPRESS = 'Express without X-Powered-By';
export const HTTP1 = 'Connect';
export const HTTP2 = 'Connect with HTTP/2';

export const isApplicable = (server: string, way: Way): boolean => {
  if (way.needsExpress) return server === WITH_EXPRESS || server === BARE_EXPRESS;
  return server !== HTTP2 || way.isHttp1 !== true;
};

/** Each way at a path of its own. */
function mount(
  use: (handler: Handler) => void,
  aam: Handler,
  { before, after }: Interference,
  look: (req: IncomingMessage) => void,
): void {
  if (before !== undefined) use(before);
  use(aam);
  if (after !== undefined) use(after);
  use((req, res, next) => {
    const [, n] = /^\/(\d+)\b/.exec(req.url as string) ?? [];
    const way = WAYS[Number(n)] as Way;
    look(req);
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

/** @param look at the request, before the page is sent */
export async function serve(
  server: string,
  interference: Interference,
  aam: Handler,
  look: (req: IncomingMessage) => void,
): Promise<Served> {
  const app = server === HTTP1 || server === HTTP2 ? connect() : express();
  if (server === BARE_EXPRESS) (app as express.Express).disable('x-powered-by');
  const use = (handler: Handler) => (app as express.Express).use(handler as express.RequestHandler);
  mount(use, aam, interference, look);
  (app as express.Express).use(((_error: unknown, _req: unknown, res: ServerResponse, _next: unknown) => {
    res.statusCode = 500;
    res.end('an error page');
  }) as express.ErrorRequestHandler);
  if (server === HTTP2) return serveHttp2(app as unknown as RequestListener);
  const listener = createServer(app as unknown as RequestListener);
  const port = await listening(listener);
  closing.push(() => new Promise((resolve) => listener.close(() => resolve())));
  return { get: (path, way, cookie) => getRaw(port, path, way, cookie) };
}

async function serveHttp2(app: RequestListener): Promise<Served> {
  const listener = createHttp2Server(app as never);
  const client = connectHttp2(`http://127.0.0.1:${await listening(listener)}`);
  closing.push(async () => {
    client.close();
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  });
  return {
    async get(path, { method = 'GET', headers }, cookie) {
      const stream = client.request({ ':path': path, ':method': method, ...(cookie && { cookie }), ...headers });
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
async function getRaw(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: Way,
  cookie?: string,
): Promise<Sent> {
  const socket = connectSocket(port, '127.0.0.1');
  const all = { Host: 'x', ...(cookie && { Cookie: cookie }), Connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const answer = await text(socket);
  const end = answer.indexOf('\r\n\r\n');
  return { head: answer.slice(0, end).split('\r\n'), body: answer.slice(end + 4) };
}

/** Ways to answer, and what else sets headers on the same response: the table of `response-table.test.ts`. */
import { readFileSync } from 'node:fs';
import { type IncomingMessage, ServerResponse as NodeResponse, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import onHeaders from 'on-headers';

type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/** Cookies that must not be lost, and a policy that must. */
const COOKIES = ['a=1; Path=/', 'b=2; Path=/'];
const PUBLIC = 'public, s-maxage=600, max-age=60';
const FLAT = ['Set-Cookie', 'a=1', 'Content-Type', 'text/html', 'set-cookie', 'b=2', 'Cache-Control', PUBLIC];
const NESTED = [
  ['Set-Cookie', 'a=1'],
  ['Cache-Control', PUBLIC],
  ['Set-Cookie', 'b=2'],
];

export interface Way {
  readonly name: string;
  readonly answer: Handler;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Needs what Express adds to a response. */
  readonly needsExpress?: boolean;
  /** Not with HTTP/2, whose compatibility API does not take it. */
  readonly isHttp1?: boolean;
}

/** What Express adds to a response. */
interface Express {
  send(body: unknown): void;
  json(body: unknown): void;
  redirect(url: string): void;
  sendFile(path: string): void;
  status(code: number): Express;
}
const express = (res: ServerResponse) => res as unknown as Express;
const end = (res: ServerResponse): void => void res.end('page');
// Forms that Node takes and its types do not.
const writeHead = (res: ServerResponse, ...args: unknown[]) =>
  (res.writeHead as (...all: unknown[]) => ServerResponse)(...args);

export const WAYS: readonly Way[] = [
  { name: 'res.send()', needsExpress: true, answer: (_req, res) => express(res).send('page') },
  { name: 'res.json()', needsExpress: true, answer: (_req, res) => express(res).status(201).json({ page: 1 }) },
  { name: 'res.redirect()', needsExpress: true, answer: (_req, res) => express(res).redirect('/elsewhere') },
  { name: 'res.sendFile()', needsExpress: true, answer: (_req, res) => express(res).sendFile(__filename) },
  {
    name: '206 of res.sendFile()',
    needsExpress: true,
    headers: { Range: 'bytes=0-9' },
    answer: (_req, res) => express(res).sendFile(__filename),
  },
  {
    name: '304 of res.sendFile()',
    needsExpress: true,
    headers: { 'If-Modified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT' },
    answer: (_req, res) => express(res).sendFile(__filename),
  },
  {
    name: '304 of res.send()',
    needsExpress: true,
    headers: { 'If-None-Match': '*' },
    answer: (_req, res) => express(res).send('page'),
  },
  { name: 'an error page', needsExpress: true, answer: (_req, _res, next) => next(new Error('broken')) },
  { name: 'res.end()', answer: (_req, res) => end(res) },
  { name: 'HEAD', method: 'HEAD', answer: (_req, res) => end(res) },
  {
    name: 'res.write()',
    answer: (_req, res) => {
      res.write('pa');
      res.end('ge');
    },
  },
  {
    name: 'res.flushHeaders()',
    answer: (_req, res) => {
      res.flushHeaders();
      end(res);
    },
  },
  { name: 'a stream', answer: (_req, res) => void Readable.from([readFileSync(__filename)]).pipe(res) },
  {
    name: 'res.setHeader()',
    answer: (_req, res) => {
      res.setHeader('Cache-Control', PUBLIC).setHeader('Set-Cookie', COOKIES);
      end(res);
    },
  },
  {
    name: 'res.setHeader() with lists',
    answer: (_req, res) => {
      res.setHeader('Cache-Control', ['no-cache', 'public']).setHeader('Set-Cookie', COOKIES);
      end(res);
    },
  },
  {
    name: 'res.appendHeader()',
    answer: (_req, res) => {
      for (const cookie of COOKIES) res.appendHeader('Set-Cookie', cookie);
      res.appendHeader('Cache-Control', 'max-age=60').appendHeader('Cache-Control', 's-maxage=600');
      end(res);
    },
  },
  {
    name: 'res.setHeaders()',
    answer: (_req, res) => {
      const headers = new Headers({ 'Cache-Control': PUBLIC, 'X-Page': '1' });
      for (const cookie of COOKIES) headers.append('Set-Cookie', cookie);
      (res as unknown as { setHeaders(headers: Headers): void }).setHeaders(headers);
      end(res);
    },
  },
  { name: 'writeHead(status)', answer: (_req, res) => end(res.writeHead(201)) },
  { name: 'writeHead(status, message)', answer: (_req, res) => end(res.writeHead(201, 'Made')) },
  {
    name: 'writeHead(status, headers)',
    answer: (_req, res) => end(res.writeHead(200, { 'Set-Cookie': COOKIES, 'cache-control': PUBLIC })),
  },
  {
    name: 'writeHead(status, message, headers)',
    answer: (_req, res) => end(res.writeHead(200, 'Fine', { 'Set-Cookie': COOKIES, 'Cache-Control': PUBLIC })),
  },
  {
    name: 'writeHead(status, undefined, headers)',
    answer: (_req, res) =>
      end(writeHead(res, 302, undefined, { Location: '/', 'Set-Cookie': COOKIES, 'Cache-Control': 'no-store' })),
  },
  {
    name: 'writeHead(status, null, headers)',
    answer: (_req, res) => end(writeHead(res, 200, null, { 'X-Page': 1, 'Cache-Control': PUBLIC })),
    isHttp1: true,
  },
  { name: 'writeHead(status, flat list)', answer: (_req, res) => end(writeHead(res, 200, FLAT)), isHttp1: true },
  {
    name: 'writeHead(status, message, flat list)',
    answer: (_req, res) => end(writeHead(res, 200, 'Fine', FLAT)),
    isHttp1: true,
  },
  { name: 'writeHead(status, list of pairs)', answer: (_req, res) => end(writeHead(res, 200, NESTED)), isHttp1: true },
  {
    name: 'writeHead(status, even list of pairs)',
    answer: (_req, res) => end(writeHead(res, 200, [...NESTED, ['X-Page', '1']])),
    isHttp1: true,
  },
  {
    name: 'writeHead() with a name in two spellings',
    answer: (_req, res) => end(writeHead(res, 200, { 'set-cookie': 'a=1', 'Set-Cookie': 'b=2', 'X-Page': '1' })),
    isHttp1: true,
  },
  {
    name: 'writeHead() after res.setHeader()',
    answer: (_req, res) => {
      res.setHeader('X-Before', '1').setHeader('Set-Cookie', 'before=1');
      end(res.writeHead(200, { 'X-After': '2', 'Cache-Control': PUBLIC }));
    },
  },
  {
    name: 'a status message of its own',
    answer: (_req, res) => {
      res.statusCode = 202;
      res.statusMessage = 'Taken';
      end(res);
    },
  },
  {
    name: 'headers of CDNs',
    answer: (_req, res) => {
      const names = ['Surrogate-Control', 'CDN-Cache-Control', 'Cloudflare-CDN-Cache-Control', 'Edge-Control'];
      for (const name of names) res.setHeader(name, 'max-age=600');
      res.setHeader('X-Accel-Expires', '600').setHeader('X-LiteSpeed-Cache-Control', 'public,max-age=600');
      res.setHeader('Expires', 'Fri, 01 Jan 2100 00:00:00 GMT');
      end(res);
    },
  },
];

/** What else is about on the same response. Mounted before the middleware, or after it. */
export interface Interference {
  readonly name: string;
  readonly before?: Handler;
  readonly after?: Handler;
}

const wrapped =
  (wrap: (res: ServerResponse) => void): Handler =>
  (_req, res, next) => {
    wrap(res);
    next();
  };

/** A header policy that acts when the response is sent. */
const policyInWriteHead = wrapped((res) => {
  const { writeHead: inner } = res as unknown as { writeHead: (...args: unknown[]) => ServerResponse };
  (res as { writeHead: unknown }).writeHead = function (this: ServerResponse, ...args: unknown[]) {
    this.setHeader('Cache-Control', PUBLIC);
    this.setHeader('Surrogate-Control', 'max-age=600');
    return inner.apply(this, args);
  };
});
const handsOn = wrapped((res) => {
  const { writeHead: inner } = res as unknown as { writeHead: (...args: unknown[]) => ServerResponse };
  (res as { writeHead: unknown }).writeHead = function (this: ServerResponse, ...args: unknown[]) {
    return inner.apply(this, args);
  };
});
/** Goes past all wrappers that were there before. */
const callsNode = wrapped((res) => {
  (res as { writeHead: unknown }).writeHead = function (this: ServerResponse, ...args: unknown[]) {
    const inner =
      this instanceof NodeResponse ? NodeResponse.prototype.writeHead : Object.getPrototypeOf(this).writeHead;
    return (inner as (...all: unknown[]) => ServerResponse).apply(this, args);
  };
});
const policyInArguments = wrapped((res) => {
  const { writeHead: inner } = res as unknown as { writeHead: (...args: unknown[]) => ServerResponse };
  (res as { writeHead: unknown }).writeHead = function (this: ServerResponse, status: number, ...args: unknown[]) {
    const given = args.find((each) => typeof each === 'object' && each !== null && !Array.isArray(each));
    // Lists are left to others.
    if (args.some(Array.isArray)) return inner.call(this, status, ...args);
    return inner.call(this, status, { ...(given as object | undefined), 'Cache-Control': PUBLIC });
  };
});
const policyInEnd = wrapped((res) => {
  const { end: inner } = res as { end: (...args: unknown[]) => ServerResponse };
  (res as { end: unknown }).end = function (this: ServerResponse, ...args: unknown[]) {
    if (!this.headersSent) this.setHeader('Cache-Control', PUBLIC);
    return inner.apply(this, args);
  };
});
const policyInSetHeader = wrapped((res) => {
  const inner = res.setHeader.bind(res) as (name: string, value: unknown) => ServerResponse;
  (res as { setHeader: unknown }).setHeader = (name: string, value: unknown) =>
    inner(name, /^cache-control$/i.test(name) ? PUBLIC : value);
});
const policyInOnHeaders = wrapped((res) =>
  onHeaders(res, function (this: ServerResponse) {
    this.setHeader('Cache-Control', PUBLIC);
    this.setHeader('CDN-Cache-Control', 'max-age=600');
  }),
);

export const INTERFERENCES: readonly Interference[] = [
  { name: 'nothing else' },
  { name: 'an earlier wrapper of writeHead()', before: policyInWriteHead },
  { name: 'a later wrapper of writeHead()', after: policyInWriteHead },
  { name: 'an earlier wrapper that hands on all', before: handsOn },
  { name: 'a later wrapper that hands on all', after: handsOn },
  { name: 'an earlier call of writeHead() of Node itself', before: callsNode },
  { name: 'a later call of writeHead() of Node itself', after: callsNode },
  { name: 'an earlier wrapper that changes the arguments', before: policyInArguments },
  { name: 'a later wrapper that changes the arguments', after: policyInArguments },
  { name: 'an earlier wrapper of end()', before: policyInEnd },
  { name: 'a later wrapper of end()', after: policyInEnd },
  { name: 'an earlier wrapper of setHeader()', before: policyInSetHeader },
  { name: 'an earlier on-headers', before: policyInOnHeaders },
  { name: 'a later on-headers', after: policyInOnHeaders },
];

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type express from 'express';
import { type AamSegments, type AamSegmentsOptions, aamSegments, createDcsClient, requireSegment } from '../../src';
import { createDcsSimulator } from '../../src/testing/public';

/** A mistake in the configuration, made on purpose. */
export interface Misconfiguration {
  readonly made: string;
  readonly code: string;
  /** In what the developer sees. */
  readonly says: readonly RegExp[];
  /** @throws what the site gets thrown, or its error handler gets */
  make(newApp: typeof express): Promise<unknown> | unknown;
}

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const OTHER_ORG = 'A0B1C2D3E4F5A0B1C2D3E4F5@AdobeOrg';
const ECID = '20265673158980419722735089753036633573';
const SITE = { orgId: ORG, partner: 'acme' } as const;
const cookieOf = (orgId: string) => `AMCV_${encodeURIComponent(orgId)}=MCMID|${ECID}|MCAAMLH-1796038911|9`;
const PAGE_BY_LINK = { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin' };

export const MISCONFIGURATIONS: readonly Misconfiguration[] = [
  {
    made: 'segment ids are asked for, and Adobe has not enabled them: the first answer',
    code: 'WRN_AAM_NO_SEGMENT_IDS',
    says: [/has no list of segment ids/, /enable d_cts/],
    make: (newApp) =>
      onSimulator(async (options) => {
        await visiting(newApp, [aamSegments(options)], [{ cookie: cookieOf(ORG) }]);
      }),
  },
  {
    made: 'segments: { sporty: { value } }, without destinations',
    code: 'ERR_AAM_INVALID_OPTION',
    says: [/"sporty"/, /needs the option 'destinations'/],
    make: () => aamSegments({ ...SITE, segments: { sporty: { value: 'sports-fan' } } }),
  },
  {
    made: 'dcs.segmentIds: false, without destinations',
    code: 'WRN_AAM_NO_SEGMENT_SOURCE',
    says: [/no visitor is in any segment/, /Configure 'destinations'/],
    make: () => aamSegments({ ...SITE, dcs: { segmentIds: false } }).close(),
  },
  {
    made: "a page asks for has({ value: 'sports-fan' }), without destinations",
    code: 'WRN_AAM_NO_SEGMENT_SOURCE',
    says: [/asked for as \{ value \}/, /Configure the cookie destination/],
    make: (newApp) => {
      const page: express.RequestHandler = (req, res) => void res.json(req.aamSegments.has({ value: 'sports-fan' }));
      return visiting(newApp, [aamSegments(SITE), page], [{}, {}]);
    },
  },
  {
    made: "a request with another organisation's AMCV_ cookie, and none of ours",
    code: 'WRN_AAM_OTHER_ORGANISATION',
    says: [new RegExp(ORG), new RegExp(OTHER_ORG)],
    make: (newApp) => visiting(newApp, [aamSegments(SITE)], [{ cookie: cookieOf(OTHER_ORG) }]),
  },
  {
    made: 'dcs.defaultOrigin, without dcs.origins',
    code: 'ERR_AAM_INVALID_OPTION',
    says: [/^options\.dcs\.origins must be given together/, /Adobe's own servers/],
    make: () => aamSegments({ ...SITE, dcs: { defaultOrigin: 'http://127.0.0.1:4700' } }),
  },
  {
    made: 'aamSegments() is called in each request',
    code: 'WRN_AAM_CREATED_PER_REQUEST',
    says: [/called while a request was served/, /once, at startup/],
    make: async (newApp) => {
      const created: AamSegments[] = [];
      const perRequest: express.RequestHandler = (req, res, next) => {
        const aam = aamSegments({ ...SITE, partner: 'per-request' });
        created.push(aam as AamSegments);
        aam(req, res, next);
      };
      await visiting(newApp, [perRequest], [{}, {}]);
      for (const aam of created) await aam.close();
    },
  },
  {
    made: 'createDcsClient() is called in each request, and none is closed',
    code: 'WRN_AAM_CREATED_PER_REQUEST',
    says: [/10 instances of createDcsClient\(\)/, /close\(\)/],
    make: async () => {
      const clients = Array.from({ length: 10 }, () => createDcsClient({ ...SITE, partner: 'per-request' }));
      for (const client of clients) await client.close();
    },
  },
  {
    made: 'the middleware is mounted behind the route that uses it',
    code: 'ERR_AAM_MIDDLEWARE_MISSING',
    says: [/runs for other requests, and has not run for this one/, /move app\.use\(aam\) in front/],
    make: (newApp) =>
      onSimulator(async (options) => {
        const aam = aamSegments(options);
        const early = newApp.Router();
        early.get('/early', aam.requireSegment(7));
        await visiting(newApp, [early, aam], [{}, { path: '/early' }]);
      }),
  },
  {
    made: 'requireSegment(), the function, in front of the middleware',
    code: 'ERR_AAM_MIDDLEWARE_MISSING',
    says: [/runs for other requests, and has not run for this one/],
    make: async (newApp) => {
      const aam = aamSegments(SITE);
      const early = newApp.Router();
      early.get('/early', requireSegment(7));
      await visiting(newApp, [early, aam], [{}, { path: '/early' }]);
    },
  },
  {
    made: 'the middleware is not mounted',
    code: 'ERR_AAM_MIDDLEWARE_MISSING',
    says: [/has not run for any request so far/, /Mount it with app\.use\(aam\)/],
    make: async (newApp) => {
      const aam = aamSegments(SITE);
      await aam.close();
      await visiting(newApp, [aam.requireSegment(7)], [{}]);
    },
  },
  {
    made: "another instance's guard",
    code: 'ERR_AAM_MIDDLEWARE_MISSING',
    says: [/another instance of the middleware has run/],
    make: async (newApp) => {
      const [mounted, other] = [aamSegments(SITE), aamSegments(SITE)];
      await other.close();
      await visiting(newApp, [mounted, other.requireSegment(7)], [{}]);
    },
  },
  {
    made: 'something else sets req.aamSegments',
    code: 'ERR_AAM_MIDDLEWARE_MISSING',
    says: [/set by something else/],
    make: (newApp) => {
      const setting: express.RequestHandler = (req, _res, next) =>
        next(Object.assign(req, { aamSegments: [7] }) && undefined);
      return visiting(newApp, [setting, requireSegment(7)], [{}]);
    },
  },
  {
    made: 'a proxy removes cookies: 100 page views by links within the site',
    code: 'WRN_AAM_NO_COOKIES',
    says: [/no request has had one\. Does a proxy or CDN .* remove it\?/],
    make: (newApp) => visiting(newApp, [aamSegments(SITE)], Array(100).fill(PAGE_BY_LINK)),
  },
  {
    made: 'cache.ttlMs: 1000, with 20 calls a minute',
    code: 'WRN_AAM_SHORT_TTL',
    says: [/needs more calls than dcs\.maxCallsPerMinute/, /at least 3000/],
    make: () => aamSegments({ ...SITE, cache: { ttlMs: 1_000 } }).close(),
  },
  {
    made: 'timeoutMs outside of its group',
    code: 'ERR_AAM_UNKNOWN_OPTION',
    says: [/did you mean 'dcs\.timeoutMs'\?/],
    make: () => aamSegments({ ...SITE, timeoutMs: 500 } as never),
  },
  {
    made: 'maxWaitMs in the options of createDcsClient()',
    code: 'ERR_AAM_UNKNOWN_OPTION',
    says: [/did you mean 'maxWaitMs' of lookup\(\)/],
    make: () => createDcsClient({ ...SITE, maxWaitMs: 500 } as never),
  },
];

/** A simulator that is like an account for which Adobe has not enabled segment ids. */
async function onSimulator(use: (options: AamSegmentsOptions<never>) => Promise<void>): Promise<void> {
  await using simulator = await createDcsSimulator();
  await use({ orgId: ORG, maxWaitMs: 5_000, ...simulator.options });
}

/**
 * Makes requests to an app with these handlers, one after the other, and closes what is to be closed.
 * @throws what reaches the app's error handler
 */
async function visiting(
  newApp: typeof express,
  handlers: readonly (express.RequestHandler | AamSegments<never>)[],
  requests: readonly (Readonly<Record<string, string>> & { readonly path?: string })[],
): Promise<void> {
  const app = newApp();
  let failure: unknown;
  for (const handler of handlers) app.use(handler as express.RequestHandler);
  app.use((_req, res) => void res.end());
  app.use(((error, _req, res, _next) => {
    failure ??= error;
    res.end();
  }) as express.ErrorRequestHandler);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    for (const { path = '/', ...headers } of requests) {
      // The User-Agent of fetch() counts as a robot's, and it may not set Sec-Fetch headers.
      await get(port, path, { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', ...headers });
    }
  } finally {
    server.close();
    for (const handler of handlers) if ('close' in handler) await handler.close();
  }
  if (failure !== undefined) throw failure;
}

async function get(port: number, path: string, headers: Record<string, string>): Promise<void> {
  const { request } = await import('undici');
  const { body } = await request(`http://127.0.0.1:${port}${path}`, { headers });
  await body.dump();
}

export interface Seen {
  readonly code: string;
  /** As Node prints it. */
  readonly text: string;
  readonly help: string;
}

/** Makes the mistake, and returns what the developer sees: warnings and errors. */
export async function seenOf({ make }: Misconfiguration, newApp: typeof express): Promise<Seen[]> {
  const seen: Seen[] = [];
  const { emitWarning } = process;
  process.emitWarning = ((text: string, { code, detail }: { code: string; detail: string }) => {
    seen.push({ code, text, help: detail.replace(/^See /, '') });
  }) as typeof process.emitWarning;
  try {
    await make(newApp);
  } catch (error) {
    const { code, message, help } = error as { code: string; message: string; help: string };
    seen.push({ code, text: message, help });
  } finally {
    process.emitWarning = emitWarning;
  }
  return seen;
}

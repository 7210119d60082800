import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { type AamSegments, type AamSegmentsOptions, aamSegments } from 'express-aam-segments';
import { cookieOf, ECID, GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { ask, type Method } from './in-memory';

/** What the DCS answers: segment ids, any other JSON, an HTTP status, or nothing at all. */
export type DcsAnswer = readonly number[] | { readonly errors: object[] } | number | 'hangs';

export type Options = Partial<AamSegmentsOptions<'golfFans' | 'highValue'>>;

export interface GuardedSite {
  readonly app: Express;
  readonly aam: AamSegments<'golfFans' | 'highValue'>;
  /** The page that only visitors in `highValue` may reach; it answers 'members'. */
  readonly members: jest.Mock<void, Parameters<RequestHandler>>;
  /** Requests a page, by default as the visitor whom the DCS knows. Resolves to its text, or to the code of an error. */
  visit(path: string, method?: Method, cookie?: string): Promise<string>;
  /** Sets the answer of the DCS. */
  dcsAnswers(answer: DcsAnswer): void;
}

export type Mount = (site: Pick<GuardedSite, 'app' | 'aam' | 'members'>) => unknown;

const open: (() => void)[] = [];

/** A site on a minimal DCS, with the handlers that `mount` adds; behind them all visitors get 'public'. */
export async function createGuardedSite(mount: Mount, { dcs, cache, ...options }: Options = {}): Promise<GuardedSite> {
  let answer: DcsAnswer = [];
  const server = createServer((_req, res) => {
    if (answer === 'hangs') return;
    if (typeof answer === 'number') res.statusCode = answer;
    const reply = Array.isArray(answer) ? { segments: answer, stuff: [], uuid: '1', dcs_region: 9 } : answer;
    res.end(JSON.stringify(reply));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const defaultOrigin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const aam = aamSegments({
    orgId: ORG,
    partner: 'acme',
    segments: { golfFans: GOLF, highValue: HIGH_VALUE },
    maxWaitMs: 5_000,
    cache: { maxVisitors: 9, ...cache },
    dcs: { defaultOrigin, origins: { 9: defaultOrigin }, timeoutMs: 5_000, ...dcs },
    ...options,
  });
  open.push(() => {
    void aam.close();
    server.close().closeAllConnections();
  });

  const app = express();
  const members = membersPage();
  app.use(aam);
  mount({ app, aam, members });
  addPublicPages(app);
  return {
    app,
    aam,
    members,
    visit: async (path, method, cookie = cookieOf(ECID)) => (await ask(app, path, method, cookie)).text,
    dcsAnswers(next) {
      answer = next;
    },
  };
}

/** A page that only members may see. */
export function membersPage(): GuardedSite['members'] {
  return jest.fn<void, Parameters<RequestHandler>>((_req, res) => void res.send('members'));
}

/** The last handlers: a public page, and the error handler. */
export function addPublicPages(app: Express): void {
  app.use((_req, res) => void res.send('public'));
  app.use(((error, _req, res, _next) => {
    res.status(error.status ?? 500).send(error.code ?? error.message);
  }) as ErrorRequestHandler);
}

/** Call after each test. */
export function closeGuardedSites(): void {
  for (const close of open.splice(0)) close();
}

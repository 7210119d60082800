import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { type AamSegments, type AamSegmentsOptions, aamSegments } from 'express-aam-segments';
import request from 'supertest';
import { cookieOf, ECID, GOLF, HIGH_VALUE, ORG } from '../helpers/site';

/** What the DCS answers: segment ids, any other JSON, an HTTP status, or nothing at all. */
export type DcsAnswer = readonly number[] | { readonly errors: object[] } | number | 'hangs';

export interface GuardedSite {
  readonly app: Express;
  readonly aam: AamSegments<'golfFans' | 'highValue'>;
  /** What only visitors in `highValue` may reach: answers 'members'. */
  readonly members: jest.Mock;
  /** Asks for a page, by default as the visitor of whom the DCS knows; gives its text, of an error the code. */
  visit(path: string, method?: 'get' | 'post' | 'head' | 'options', cookie?: string): Promise<string>;
  /** From now on the DCS answers so. */
  dcsAnswers(answer: DcsAnswer): void;
}

export type Mount = (site: Pick<GuardedSite, 'app' | 'aam' | 'members'>) => void;

const open: (() => void)[] = [];

/** A site on a DCS of a few lines, with what `mount` adds; behind that everybody gets 'public'. */
export async function createGuardedSite(
  mount: Mount,
  { dcs, cache, ...options }: Partial<AamSegmentsOptions<'golfFans' | 'highValue'>> = {},
): Promise<GuardedSite> {
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
  const members = jest.fn<void, Parameters<RequestHandler>>((_req, res) => void res.send('members'));
  app.use(aam);
  mount({ app, aam, members });
  app.use((_req, res) => void res.send('public'));
  app.use(((error, _req, res, _next) => void res.status(500).send(error.code ?? error.message)) as ErrorRequestHandler);
  return {
    app,
    aam,
    members,
    async visit(path, method = 'get', cookie = cookieOf(ECID)) {
      const { text, status } = await request(app)[method](path).set('Cookie', cookie);
      return text ?? String(status);
    },
    dcsAnswers(next) {
      answer = next;
    },
  };
}

/** To be called after each test. */
export function closeGuardedSites(): void {
  for (const close of open.splice(0)) close();
}

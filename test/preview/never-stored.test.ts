/** No response of a preview is stored, in whatever way it is made. */
import type { IncomingMessage } from 'node:http';
import apicache from 'apicache';
import express from 'express';
import request from 'supertest';
import { closeSites, cookieOf, ECID } from '../helpers/site';
import { INTERFERENCES, WAYS } from '../request/response-table';
import {
  BARE_EXPRESS,
  closeServed,
  type Handler,
  HTTP1,
  HTTP2,
  isApplicable,
  type Sent,
  serve,
  WITH_EXPRESS,
} from '../request/served-site';
import { cookieSetBy, previewSite } from './preview-site';

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServed();
});

/** What caches go by. */
const POLICY =
  /^(?:cache-control|expires|surrogate-control|[\w-]*cdn-cache-control|edge-control|x-accel-expires|x-litespeed-cache-control):/i;
const policyOf = ({ head }: Sent) => head.filter((line) => POLICY.test(line)).map((line) => line.toLowerCase());

describe('a response of a preview is no-store, and nothing else', () => {
  let aam: Awaited<ReturnType<typeof previewSite>>['aam'];
  let cookies: string;

  beforeAll(async () => {
    const site = await previewSite();
    aam = site.aam;
    const begun = await Promise.all(['http://x/', 'http://127.0.0.1/'].map((url) => beginAt(site, url)));
    cookies = [...begun, cookieOf(ECID)].join('; ');
  });
  afterAll(closeSites);

  describe.each([WITH_EXPRESS, BARE_EXPRESS, HTTP1, HTTP2])('%s', (server) => {
    it.each(INTERFERENCES)('with $name', async (interference) => {
      let isRead = false;
      const site = await serve(server, interference, aam as Handler, (req) => {
        const { aamSegments: segments } = req as IncomingMessage & Pick<express.Request, 'aamSegments'>;
        expect(segments.status).toBe('preview');
        if (isRead) segments.has('golfFans');
      });
      const wrong: unknown[] = [];
      let cells = 0;
      for (const [n, way] of WAYS.entries()) {
        if (!isApplicable(server, way)) continue;
        // Whether segments are read makes no difference.
        isRead = (n + INTERFERENCES.indexOf(interference)) % 2 === 0;
        cells++;
        const sent = await site.get(`/${n}`, way, cookies);
        if (policyOf(sent).join() !== 'cache-control: no-store') wrong.push({ way: way.name, isRead, head: sent.head });
      }
      expect(wrong).toEqual([]);
      expect(cells).toBeGreaterThan(15);
      expect(warned.mock.calls).toEqual([]);
    });
  });
});

/** The cookie of a preview at a host. */
async function beginAt({ aam, app }: Awaited<ReturnType<typeof previewSite>>, url: string): Promise<string> {
  const link = new URL(aam.previewUrl(url, { segments: ['golfFans'] }));
  return cookieSetBy(
    await request(app)
      .get(link.pathname + link.search)
      .set('Host', link.host),
  );
}

it.each([WITH_EXPRESS, HTTP1, HTTP2])('%s: the answer that begins a preview is not stored either', async (server) => {
  const { aam } = await previewSite();
  const site = await serve(server, { name: 'nothing else' }, aam as Handler, () => {});
  const url = server === HTTP2 ? 'http://127.0.0.1/7?a=1' : 'http://x/7?a=1';
  const link = new URL(aam.previewUrl(url, { segments: ['golfFans'] }));
  const sent = await site.get(link.pathname + link.search, WAYS[0] as (typeof WAYS)[number]);
  expect([policyOf(sent), sent.body]).toEqual([['cache-control: no-store'], '']);
  expect(sent.head[0]).toMatch(/303/);
  const lines = sent.head.map((line) => line.toLowerCase());
  expect(lines).toEqual(expect.arrayContaining(['location: /7?a=1', 'referrer-policy: no-referrer']));
  expect(lines.filter((line) => line.startsWith('set-cookie: aam_preview=1.'))).toHaveLength(1);
  await closeSites();
});

describe('beside previews', () => {
  afterEach(closeSites);

  it('a page without a preview may be stored as before, by the same instance', async () => {
    const { app, begin } = await previewSite({}, (each) =>
      each.get('/static', (_req, res) => void res.set('Cache-Control', 'public, max-age=60').send('page')),
    );
    const cookie = await begin();
    const policies = [cookie, '', cookie].map(async (header) => {
      return (await request(app).get('/static').set('Cookie', header)).headers['cache-control'];
    });
    expect(await Promise.all(policies)).toEqual(['no-store', 'public, max-age=60', 'no-store']);
  });

  it('a cache within the process does not keep the page of a preview for others', async () => {
    const { aam, begin } = await previewSite();
    const app = express();
    app.use(apicache.newInstance({}).middleware('1 second') as express.RequestHandler, aam);
    app.get('/', (req, res) => void res.send(req.aamSegments.status));
    expect(
      (
        await request(app)
          .get('/')
          .set('Cookie', await begin())
      ).text,
    ).toBe('preview');
    expect((await request(app).get('/')).text).toBe('anonymous');
  });
});

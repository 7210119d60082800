/** The code of docs/experiments.md that sends exposures to others. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import express from 'express';
import { type AamSegmentsOptions, aamBootstrap, aamSegments } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID } from '../helpers/site';

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'experiments.md'), 'utf8');

/** The block of code below a heading. */
const blockBelow = (heading: string) =>
  (/^```(?:ts|js)\n(.*?)^```$/ms.exec(docs.slice(docs.indexOf(`### ${heading}`))) as RegExpExecArray)[1] as string;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const close of open.splice(0)) await close();
  await closeSites();
});

/** A site whose middleware is the constant of this name in the code. */
async function siteOf(code: string, name: string, globals: Record<string, unknown> = {}) {
  const { simulator } = await createSite();
  const create = (options: AamSegmentsOptions) => {
    const aam = aamSegments({ ...options, maxWaitMs: 5_000, dcs: { ...simulator.dcs, timeoutMs: 5_000 } });
    open.push(() => aam.close());
    return aam;
  };
  const { code: js } = transformSync(code, { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } });
  const program = new Function('aamSegments', ...Object.keys(globals), `${js}\nreturn ${name};`);
  const aam: ReturnType<typeof aamSegments> = program(create, ...Object.values(globals));
  const hero = aam.experiment({ name: 'hero', variants: { control: 0, links: 1 } });
  const later = aam.experiment({
    name: 'later',
    variants: { control: 1, links: 1 },
    holdout: { name: 'all', percent: 100 },
  });
  const app = express();
  app.use(aam);
  app.get('/', (req, res) => void res.send(aamBootstrap(req, { only: [], variants: [hero, later] })));
  const visit = (cookie: string, headers = {}) => request(app).get('/').set('Cookie', cookie).set(headers);
  return { simulator, visit };
}

it('to Audience Manager: an event with the experiment and the variant', async () => {
  const { simulator, visit } = await siteOf(blockBelow('To Audience Manager'), 'measured');
  await visit(cookieOf(ECID));
  await visit(cookieOf(ECID));
  await visit('theme=dark');
  for (const close of open) await close(); // sends what is queued
  const events = simulator.requests.filter(({ params }) => params.c_experiment !== undefined);
  expect(events.map(({ params }) => [params.c_experiment, params.c_variant, params.c_reason, params.d_mid])).toEqual([
    ['hero', 'links', 'assigned', ECID],
    ['later', 'control', 'holdout', ECID],
  ]);
});

it('from the page: those who take part', async () => {
  const { visit } = await siteOf(blockBelow('To Audience Manager'), 'measured');
  const reportedBy = async (cookie: string, headers = {}) => {
    const { text } = await visit(cookie, headers);
    const textContent = text.replace(/^<script[^>]*>|<\/script>$/g, '');
    const document = { getElementById: (id: string) => (id === 'aam-segments' ? { textContent } : null) };
    const reported: unknown[][] = [];
    const s: { list1?: string } = {};
    const gtag = (...args: unknown[]) => reported.push(args);
    new Function('document', 'gtag', 's', blockBelow('To Google Analytics or Adobe Analytics'))(document, gtag, s);
    return [reported, s.list1];
  };
  expect(await reportedBy(cookieOf(ECID))).toEqual([
    [
      ['event', 'experience_impression', { exp_variant_string: 'aam-hero-links' }],
      ['event', 'experience_impression', { exp_variant_string: 'aam-later-holdout' }],
    ],
    'hero-links,later-holdout',
  ]);
  expect(await reportedBy('theme=dark')).toEqual([[], '']);
  expect(await reportedBy(cookieOf(ECID), { 'Sec-GPC': '1' })).toEqual([[], '']);
});

it('to Google Analytics from the server: for those who are known there', async () => {
  const sent: unknown[] = [];
  const fetch = async (url: URL, { method, body }: RequestInit) =>
    sent.push([method, url.href, JSON.parse(String(body))]);
  const process = { env: { GA4_MEASUREMENT_ID: 'G-ABC', GA4_API_SECRET: 'a b' } };
  const code = blockBelow('To Google Analytics, from the server');
  const { visit } = await siteOf(code, 'counted', { fetch, process });
  await visit(cookieOf(ECID));
  await visit(`_ga_ABC=GS1.1.7; _ga=GA1.2.1234567890.1700000000; ${cookieOf(ECID.replace('2', '3'))}`);
  const url = 'https://www.google-analytics.com/mp/collect?measurement_id=G-ABC&api_secret=a+b';
  expect(sent).toEqual(
    ['aam-hero-links', 'aam-later-holdout'].map((exp_variant_string) => [
      'POST',
      url,
      {
        client_id: '1234567890.1700000000',
        events: [{ name: 'experience_impression', params: { exp_variant_string } }],
      },
    ]),
  );
});

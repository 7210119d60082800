import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { GrowthBookClient } from '@growthbook/growthbook';
import type { LDClient, LDContext, LDOptions } from '@launchdarkly/node-server-sdk';
import { TestData } from '@launchdarkly/node-server-sdk/integrations';
import { type EvaluationContext, InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { transformSync } from '@swc/core';
import cookieParser from 'cookie-parser';
import express, { type Request } from 'express';
import type { AamSegmentsOptions, Exposure } from 'express-aam-segments';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, GOLF, ORG } from '../helpers/site';
import { cookieSetBy } from '../preview/preview-site';

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'bridges.md'), 'utf8');
const code = [...docs.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block).join('');
const SECRET = 'a secret of the site';

/** What the code of docs/bridges.md declares and these tests use. */
interface Recipes {
  openFeatureContext(req: Request): EvaluationContext;
  growthBook: GrowthBookClient;
  growthBookAttributes(req: Request): Record<string, unknown>;
  launchDarkly: LDClient;
  launchDarklyContext(req: Request): LDContext;
  targetExperienceCloud(req: Request): unknown;
}

const clients: LDClient[] = [];
const received: string[] = [];
const events = createServer((req, res) => {
  let body = '';
  req.setEncoding('utf8').on('data', (chunk) => (body += chunk));
  req.on('end', () => {
    received.push(body);
    res.writeHead(202).end();
  });
});

beforeAll(async () => {
  await once(events.listen(0, '127.0.0.1'), 'listening');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await OpenFeature.clearProviders();
  received.length = 0;
  await closeSites();
});
afterAll(() => new Promise((resolve) => events.close(resolve)));

/** Runs all code of the docs on a site, as one program. LaunchDarkly's flags are made up, and its events come to {@link received}. */
async function siteOfTheDocs(options: Partial<AamSegmentsOptions<'golfFans' | 'highValue'>> = {}) {
  const exposures: Exposure[] = [];
  const { aam, simulator } = await createSite({
    experiments: { onExposure: (exposure) => exposures.push(exposure) },
    preview: { secret: 'a secret for tests, 32 characters or more' },
    ...options,
  });
  simulator.visitor(ECID).in(GOLF);
  const app = express();
  app.use(cookieParser());
  app.use(aam);
  const load = createRequire(__filename);
  const launchDarklyPackage = load('@launchdarkly/node-server-sdk');
  const flags = new TestData();
  const golfFans = flags.flag('golf-offers').ifMatch('user', 'aamSegments', 'golfFans').thenReturn(true);
  await flags.update(golfFans.fallthroughVariation(false));
  const init = (key: string, given: LDOptions = {}) => {
    const { port } = events.address() as AddressInfo;
    const client: LDClient = launchDarklyPackage.init(key || 'sdk-key', {
      ...given,
      updateProcessor: flags.getFactory(),
      eventsUri: `http://127.0.0.1:${port}`,
      diagnosticOptOut: true,
      logger: launchDarklyPackage.basicLogger({ level: 'none' }),
    });
    clients.push(client);
    return client;
  };
  const require = (name: string) =>
    name === '@launchdarkly/node-server-sdk' ? { ...launchDarklyPackage, init } : load(name);
  const { code: js } = transformSync(code, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  const names = [
    ...['openFeatureContext', 'growthBook', 'growthBookAttributes', 'launchDarkly', 'launchDarklyContext'],
    'targetExperienceCloud',
  ];
  jest.replaceProperty(process, 'env', { ...process.env, VISITOR_KEY_SECRET: SECRET });
  const program = new Function('require', 'exports', 'app', 'aam', `${js}\nreturn { ${names.join()} };`);
  const recipes: Recipes = program(require, {}, app, aam);
  jest.restoreAllMocks();
  app.get('/all', (req, res) => {
    res.json([
      recipes.openFeatureContext(req),
      recipes.growthBookAttributes(req),
      recipes.launchDarklyContext(req),
      recipes.targetExperienceCloud(req) ?? null,
    ]);
  });
  app.get('/default-true', async (_req, res) => {
    res.json(await OpenFeature.getClient('audience-manager').getBooleanValue('golf-banner', true));
  });
  await recipes.launchDarkly.waitForInitialization({ timeout: 10 });
  const get = async (path: string, cookie = cookieOf(ECID), headers = {}) => {
    const { text, headers: answered } = await request(app).get(path).set('Cookie', cookie).set(headers);
    return { text, cacheControl: answered['cache-control'] };
  };
  const preview = async () => {
    const { pathname, search } = new URL(aam.previewUrl('http://127.0.0.1/all', { segments: ['golfFans'] }));
    return cookieSetBy(await request(app).get(pathname + search));
  };
  return { get, preview, exposures, ...recipes };
}

const OTHER = cookieOf(`1${ECID.slice(1)}`);
const GPC = { 'Sec-GPC': '1' };
/** As Adobe's client writes it, with a blob. */
const withBlob = (blob: string) =>
  cookieOf(ECID).replace('%7CMCOPTOUT', `%7CMCAAMB-1796038911%7C${encodeURIComponent(blob)}%7CMCOPTOUT`);

describe('what other tools are told', () => {
  it('is a key that is no id, the names of segments, and whether they are known', async () => {
    const { get } = await siteOfTheDocs();
    const page = await get('/all', withBlob('j8Odv6LonN4r3an7Lhd3WZrU1bUpAkFkkiY1ncBR96t2PTI'));
    const [openFeature, growthBook, launchDarkly, target] = JSON.parse(page.text);
    const { targetingKey } = openFeature;
    expect(targetingKey).toMatch(/^[\w-]{43}$/);
    const told = { aamKnown: true, aamSegments: ['golfFans'] };
    expect(openFeature).toEqual({ ...told, targetingKey });
    expect(growthBook).toEqual({ ...told, id: targetingKey });
    expect(launchDarkly).toMatchObject({ ...told, kind: 'user', key: targetingKey, anonymous: false });
    expect(target).toEqual({
      audienceManager: { locationHint: 9, blob: 'j8Odv6LonN4r3an7Lhd3WZrU1bUpAkFkkiY1ncBR96t2PTI' },
    });
    expect(page.text).not.toContain(ECID);
    expect(page.cacheControl).toBe('private');
    const [again] = JSON.parse((await get('/all')).text);
    const [ofOther] = JSON.parse((await get('/all', OTHER)).text);
    expect([again.targetingKey, ofOther.targetingKey === targetingKey]).toEqual([targetingKey, false]);
  });

  it.each<[string, string, object]>([
    ['has refused', withBlob('x'), GPC],
    ['has opted out', cookieOf(ECID, 9, 'global'), {}],
    ['has no id', 'theme=dark', {}],
  ])('is no key of who %s, and no segments', async (_who, cookie, headers) => {
    const { get } = await siteOfTheDocs();
    const none = { aamKnown: false, aamSegments: [] };
    const [openFeature, growthBook, launchDarkly, target] = JSON.parse((await get('/all', cookie, headers)).text);
    expect([openFeature, growthBook, target]).toEqual([none, none, null]);
    expect(launchDarkly).toMatchObject({ ...none, key: 'nobody', anonymous: true });
  });

  it('is no key in a preview, but its segments', async () => {
    const { get, preview } = await siteOfTheDocs();
    const cookie = `${await preview()}; ${withBlob('x')}`;
    const [openFeature, growthBook, launchDarkly, target] = JSON.parse((await get('/all', cookie)).text);
    const told = { aamKnown: true, aamSegments: ['golfFans'] };
    expect([openFeature, growthBook, target]).toEqual([told, told, null]);
    expect(launchDarkly).toMatchObject({ ...told, key: 'nobody', anonymous: true });
    expect((await get('/banner', cookie)).text).toBe('A banner, control');
  });

  it.each(['', 'x'.repeat(1_025)])('is nothing to Target where the blob cannot be one', async (blob) => {
    const { get } = await siteOfTheDocs();
    expect(JSON.parse((await get('/all', withBlob(blob))).text)[3]).toBeNull();
    expect(JSON.parse((await get('/all')).text)[3]).toBeNull();
  });

  it('is in a cookie of the organisation that this test uses', () => {
    expect(code).toContain(`'AMCV_${encodeURIComponent(ORG)}'`);
  });
});

describe('OpenFeature', () => {
  it('has the segments in its evaluation context', async () => {
    const { get } = await siteOfTheDocs();
    const isGolfFan = ({ aamSegments }: EvaluationContext) =>
      (aamSegments as readonly string[]).includes('golfFans') ? 'on' : 'off';
    const variants = { on: true, off: false };
    await OpenFeature.setProviderAndWait(
      new InMemoryProvider({
        'golf-offers': { variants, defaultVariant: 'off', disabled: false, contextEvaluator: isGolfFan },
      }),
    );
    expect((await get('/golf')).text).toBe('Golf offers');
    expect((await get('/golf', OTHER)).text).toBe('Offers');
    expect((await get('/golf', cookieOf(ECID), GPC)).text).toBe('Offers');
  });

  it('has a provider of segments and experiments, whose variants are exposures', async () => {
    const { get, exposures } = await siteOfTheDocs();
    const page = await get('/banner');
    expect(page.text).toMatch(/^A banner, (control|links)$/);
    expect(page.cacheControl).toBe('private');
    expect(exposures).toEqual([{ experiment: 'golf-hero', variant: page.text.split(', ')[1], reason: 'assigned' }]);
    expect((await get('/banner', OTHER)).text).toBe('No banner, control');
    expect((await get('/banner', cookieOf(ECID), GPC)).text).toBe('No banner, control');
    expect(exposures).toHaveLength(1);
  });

  it.each<[string, object, string, object, string, string | undefined]>([
    ['fresh', {}, cookieOf(ECID), {}, 'TARGETING_MATCH', 'SPLIT'],
    ['without an answer', { maxWaitMs: 0 }, cookieOf(ECID), {}, 'ERROR', 'DEFAULT'],
    ['excluded', {}, cookieOf(ECID), GPC, 'DISABLED', 'DISABLED'],
    ['anonymous', {}, 'theme=dark', {}, 'DEFAULT', 'DEFAULT'],
  ])('says why: %s', async (_who, options, cookie, headers, ofSegment, ofExperiment) => {
    const { get } = await siteOfTheDocs(options);
    const reasons: unknown[] = [];
    OpenFeature.addHooks({ finally: (_context, { reason }) => void reasons.push(reason) });
    await get('/banner', cookie, headers);
    OpenFeature.clearHooks();
    expect(reasons).toEqual([ofSegment, ofExperiment]);
  });

  it('gives the default, whatever it is, of whom nothing is known', async () => {
    const { get } = await siteOfTheDocs();
    expect((await get('/default-true', OTHER)).text).toBe('false');
    expect((await get('/default-true', cookieOf(ECID), GPC)).text).toBe('true');
  });

  it('gives the default for flags that are not there, and outside of requests', async () => {
    await siteOfTheDocs();
    const client = OpenFeature.getClient('audience-manager');
    expect(await client.getBooleanDetails('golf-banner', true)).toMatchObject({
      value: true,
      errorCode: 'INVALID_CONTEXT',
    });
    expect(await client.getStringDetails('golf-hero', 'x')).toMatchObject({ value: 'x', errorCode: 'INVALID_CONTEXT' });
    const notFound = { value: 7, errorCode: 'FLAG_NOT_FOUND' };
    expect(await client.getNumberDetails('golf-banner', 7)).toMatchObject(notFound);
    expect(await client.getBooleanDetails('golf-hero', true)).toMatchObject({ ...notFound, value: true });
    expect(await client.getStringDetails('golf-banner', 'x')).toMatchObject({ ...notFound, value: 'x' });
    expect(await client.getObjectDetails('x', {})).toMatchObject({ ...notFound, value: {} });
  });
});

describe('GrowthBook', () => {
  it('has the segments among its attributes', async () => {
    const { get, growthBook } = await siteOfTheDocs();
    const [, condition] = /condition on the list is\s+`(.*)`/.exec(docs) as unknown as [string, string];
    growthBook.initSync({
      payload: {
        features: {
          'golf-offers': { defaultValue: false, rules: [{ condition: JSON.parse(condition), force: true }] },
        },
      },
    });
    expect((await get('/growth')).text).toBe('Golf offers');
    expect((await get('/growth', OTHER)).text).toBe('Offers');
    expect((await get('/growth', cookieOf(ECID), GPC)).text).toBe('Offers');
  });
});

describe('LaunchDarkly', () => {
  it('has the segments in its context, and sends neither these nor an id', async () => {
    const { get, launchDarkly } = await siteOfTheDocs();
    expect((await get('/dark')).text).toBe('Golf offers');
    expect((await get('/dark', OTHER)).text).toBe('Offers');
    expect((await get('/dark', cookieOf(ECID), GPC)).text).toBe('Offers');
    await launchDarkly.flush();
    const sent = received.join();
    expect(sent).toContain('"key":"nobody"');
    expect(sent).toContain('"redactedAttributes":["aamKnown","aamSegments"]');
    expect(sent).not.toMatch(/golfFans|\d{38}/);
  });
});

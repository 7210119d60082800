/** The README and the programs in the documents: they do what is said about them. */
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { transformSync } from '@swc/core';
import { aamSegments } from '../src';
import { createDcsSimulator } from '../src/testing/dcs-simulator';
import { blocksOf, PAGES, proseOf, read } from './helpers/documents';
import { closeSites, cookieOf, ECID, GOLF, HIGH_VALUE } from './helpers/site';

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0';

const [quickStart] = blocksOf('README.md') as [string];
const [required, simulated, golfFanLink] = blocksOf('README.md', 'js') as [string, string, string];
const [, visitorsFile] = blocksOf('README.md', 'sh') as [string, string];
const [abTest] = blocksOf('docs/experiments.md') as [string];
const ownTest = blocksOf('docs/testing.md').find((code) => code.includes("test('")) as string;
const [deployed] = blocksOf('docs/deploying.md') as [string];

const inCommonJs = (program: string) => program.replace(/^import .*\nimport .*\n/, required);

/** What the reader has after the chapter "See it work in your own app". */
const withSimulator = (program: string) =>
  program
    .replace(/^ {2}segments: .*\n/m, (line) => `${line}${simulated}`)
    .replace('app.listen', `${golfFanLink}\napp.listen`);

/** Runs a block as a CommonJS module. `given` replaces some of its imports. */
function run(code: string, given: Record<string, unknown>, globals: Record<string, unknown> = {}): void {
  const { code: js } = transformSync(code, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  const load = createRequire(__filename);
  const require = (name: string) => given[name] ?? load(name);
  new Function('require', 'exports', ...Object.keys(globals), js)(require, {}, ...Object.values(globals));
}

const open: (() => unknown)[] = [];

/** Runs a whole program on a free port, its calls going to a DCS. */
function serve(program: string, dcs: NonNullable<Parameters<typeof aamSegments>[0]['dcs']>, globals = {}) {
  const express = jest.requireActual<typeof import('express')>('express');
  const servers: Server[] = [];
  const instances: ReturnType<typeof aamSegments>[] = [];
  const onAnyPort = () => {
    const app = express();
    const { listen } = app;
    app.listen = (() => {
      const server = listen.call(app, 0);
      servers.push(server);
      return server;
    }) as typeof listen;
    return app;
  };
  const watched = (options: Parameters<typeof aamSegments>[0]) => {
    const aam = aamSegments({ ...options, maxWaitMs: 5_000, dcs: { ...options.dcs, ...dcs, timeoutMs: 5_000 } });
    instances.push(aam);
    return aam;
  };
  run(program, { express: onAnyPort, 'express-aam-segments': { aamSegments: watched } }, globals);
  const [server] = servers as [Server];
  const [aam] = instances as [ReturnType<typeof aamSegments>];
  open.push(
    () => server.close(),
    () => aam.close(),
  );
  return {
    server,
    aam,
    async get(path: string, headers: Record<string, string> = {}) {
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, {
        // The User-Agent of fetch() itself would count as a bot.
        headers: { ...headers, 'User-Agent': BROWSER },
        redirect: 'manual',
      });
      return { response, text: await response.text(), cacheControl: response.headers.get('cache-control') };
    },
  };
}

async function startSimulator() {
  const simulator = await createDcsSimulator({ segmentIds: true });
  open.push(() => simulator.close());
  return simulator;
}

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe('README', () => {
  it('is at most 200 lines long', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  });

  it('has a line for each page of docs', () => {
    const listed = [...proseOf('README.md').matchAll(/^\| \[[\w.-]+\]\(([\w./-]+)\) \|/gm)].map(([, path]) => path);
    expect(listed.sort()).toEqual([...PAGES].sort());
  });

  it.each([
    ['first program', quickStart, GOLF, ['The new irons are in'], 'Welcome'],
    ['first program in CommonJS', inCommonJs(quickStart), GOLF, ['The new irons are in'], 'Welcome'],
    ['A/B test', abTest, GOLF, ['Welcome', 'Welcome, golfers'], 'Welcome'],
  ])('has a %s that does what it says', async (_which, program, segment, ofMembers, ofOthers) => {
    const simulator = await startSimulator();
    const members = Array.from({ length: 12 }, (_, n) => `${n + 10}${ECID.slice(2)}`);
    for (const member of members) simulator.visitor(member).in(segment);
    const { get } = serve(program, simulator.dcs);
    const pages = await Promise.all(members.map((member) => get('/', { cookie: cookieOf(member) })));
    expect(pages.every(({ cacheControl }) => cacheControl === 'private')).toBe(true);
    expect([...new Set(pages.map(({ text }) => text))].sort()).toEqual(ofMembers);
    expect(await get('/')).toMatchObject({ text: ofOthers, cacheControl: 'private' });
  });

  it('has segment ids in its first program that match those of this test', () => {
    expect(quickStart).toContain(`golfFans: ${GOLF}, highValue: ${HIGH_VALUE}`);
  });

  it.each([
    ['import', quickStart],
    ['require', inCommonJs(quickStart)],
  ])('lets the reader see it work with %s', async (_how, program) => {
    const simulator = await startSimulator();
    const [, line] = visitorsFile.match(/^echo '(.*)' > visitors\.ndjson$/m) as RegExpMatchArray;
    const { ecid, segments } = JSON.parse(line as string) as { ecid: string; segments: number[] };
    simulator.visitor(ecid).in(...segments);
    // The port of the README may be in use here.
    const own = simulator.dcs.defaultOrigin;
    const moved = withSimulator(program).replace('http://127.0.0.1:4700', own);
    expect(moved).toContain(own);
    const { get, aam } = serve(moved, {});

    expect((await get('/')).text).toBe('Welcome');
    expect(aam.stats().requests.anonymous).toBe(1);
    const { response } = await get('/golf-fan');
    expect([response.status, response.headers.get('location')]).toEqual([302, '/']);
    const cookie = String(response.headers.get('set-cookie')).split(';')[0] as string;
    expect((await get('/', { cookie })).text).toBe('The new irons are in');
    expect((await get('/', { cookie })).text).toBe('The new irons are in');
    expect(simulator.requests).toMatchObject([{ method: 'GET', path: '/event', host: 'acme.demdex.net' }]);
    expect(aam.stats().requests.cached).toBe(1);
  });
});

describe('docs/deploying.md', () => {
  it('has a program that answers probes before the middleware and ends on SIGTERM', async () => {
    const simulator = await startSimulator();
    const once = jest.fn();
    const { get, server, aam } = serve(deployed, simulator.dcs, { process: { once } });
    expect(await get('/healthz')).toMatchObject({ text: 'ok', cacheControl: null });
    expect(Object.values(aam.stats().requests).every((count) => count === 0)).toBe(true);
    await get('/any-page');
    expect(aam.stats().requests.anonymous).toBe(1);

    const [[signal, onSignal]] = once.mock.calls as [[string, () => void]];
    expect(signal).toBe('SIGTERM');
    const closed = new Promise((resolve) => server.once('close', resolve));
    const close = jest.spyOn(aam, 'close');
    onSignal();
    await closed;
    expect(close).toHaveBeenCalledTimes(1);
  });
});

describe('docs/testing.md', () => {
  run(
    ownTest,
    { 'express-aam-segments': { aamSegments }, 'express-aam-segments/testing': { createDcsSimulator } },
    { test, expect },
  );
});

afterAll(closeSites);

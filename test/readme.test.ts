import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { isKept, PROMISES, type Promised } from '../bench/promises';
import { aamSegments } from '../src';
import { createDcsSimulator } from '../src/testing/dcs-simulator';
import { closeSites, cookieOf, ECID, GOLF, HIGH_VALUE } from './helpers/site';

const root = join(__dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const watching = readFileSync(join(root, 'docs', 'watching.md'), 'utf8');
const platforms = readFileSync(join(root, 'docs', 'consent-platforms.md'), 'utf8');
const experiments = readFileSync(join(root, 'docs', 'experiments.md'), 'utf8');
const previews = readFileSync(join(root, 'docs', 'previews.md'), 'utf8');
const bootstrap = readFileSync(join(root, 'docs', 'bootstrap.md'), 'utf8');
const blocks = [
  ...[readme, watching, platforms, experiments, previews, bootstrap].join('\n').matchAll(/^```ts\n(.*?)^```$/gms),
].map(([, code]) => code as string);
// One program in pieces.
const bridges = [...readFileSync(join(root, 'docs', 'bridges.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(
  ([, code]) => code as string,
);
blocks.push(bridges.join(''));
const [quickStart] = blocks as [string];
const abTest = blocks.find((code) => code.includes('aam.experiment(')) as string;
const ownTest = blocks.find((code) => code.includes("test('")) as string;

/** Declarations that the fragments need. */
const around = `
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { aamSegments, type SegmentRequiredError } from 'express-aam-segments';
const app = express();
const aam = aamSegments({ orgId: 'x', partner: 'acme', segments: { golfFans: 984263, highValue: 985264 } });
// As passport and express-session declare it.
declare global {
  namespace Express {
    interface Request { user?: { crmId: string }; session?: { marketing?: boolean } }
  }
}
declare const members: RequestHandler, notYet: RequestHandler, onlyStaff: RequestHandler;
declare const golfPage: RequestHandler, vipPage: RequestHandler, plainPage: RequestHandler;
`;

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

describe('README', () => {
  it('has code that compiles', () => {
    const folder = mkdtempSync(join(root, 'test', 'readme-'));
    try {
      blocks.forEach((code, n) => {
        const isWhole = code.includes("import express from 'express'");
        writeFileSync(
          join(folder, `block-${n}.${isWhole ? 'ts' : 'mts'}`),
          isWhole ? code : `${around}${code}\nexport {};`,
        );
      });
      const compilerOptions = { noUnusedLocals: false, module: 'nodenext', target: 'es2022' };
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['.'] }),
      );
      execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], {
        encoding: 'utf8',
      });
    } catch (error) {
      throw new Error((error as { stdout?: string }).stdout ?? String(error));
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(blocks.length).toBeGreaterThan(6);
  });

  it.each([
    ['first program', quickStart, HIGH_VALUE, ['Your upgrade is waiting'], 'Join the club'],
    ['A/B test', abTest, GOLF, ['Welcome', 'Welcome, golfers'], 'Welcome'],
  ])('has a %s that does what it says', async (_which, program, segment, ofMembers, ofOthers) => {
    const simulator = await createDcsSimulator({ segmentIds: true });
    const members = Array.from({ length: 12 }, (_, n) => `${n + 10}${ECID.slice(2)}`);
    for (const member of members) simulator.visitor(member).in(segment);
    const express = jest.requireActual<typeof import('express')>('express');
    const instances: ReturnType<typeof aamSegments>[] = [];
    const servers: Server[] = [];
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
    run(program, {
      express: onAnyPort,
      'express-aam-segments': {
        aamSegments(options: Parameters<typeof aamSegments>[0]) {
          const aam = aamSegments({ ...options, maxWaitMs: 5_000, dcs: { ...simulator.dcs, timeoutMs: 5_000 } });
          instances.push(aam);
          return aam;
        },
      },
    });
    const [server] = servers as [Server];
    const get = async (visitor: Record<string, string>) => {
      // The User-Agent of fetch() itself would count as a bot.
      const headers = { ...visitor, 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers });
      return [await response.text(), response.headers.get('cache-control')];
    };
    const pages = await Promise.all(members.map((member) => get({ cookie: cookieOf(member) })));
    expect(pages.every(([, cacheControl]) => cacheControl === 'private')).toBe(true);
    expect([...new Set(pages.map(([text]) => text))].sort()).toEqual(ofMembers);
    expect(await get({})).toEqual([ofOthers, 'private']);
    server.close();
    await instances[0]?.close();
    await simulator.close();
  });

  it('names every error code and every warning, and no other', () => {
    const files = (readdirSync(join(root, 'src'), { recursive: true }) as string[]).filter((file) =>
      /\.ts$/.test(file),
    );
    const sources = files.map((file) => readFileSync(join(root, 'src', file), 'utf8'));
    const inSources = new Set(sources.join().match(/(?<=')(?:ERR|WRN)_AAM_\w+(?=')/g));
    const inReadme = new Set(readme.match(/(?<=`)(?:ERR|WRN)_AAM_\w+(?=`)/g));
    expect([...inReadme].sort()).toEqual([...inSources].sort());
  });

  it.each(['src/index.ts', 'src/testing/public.ts'])('explains every name that %s exports, as do the docs', (file) => {
    const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
    const text = [readme, ...docs.map((name) => readFileSync(join(root, 'docs', name), 'utf8'))].join('\n');
    const exported = [...readFileSync(join(root, file), 'utf8').matchAll(/^export (?:type )?\{([^}]+)\}/gm)]
      .flatMap(([, names]) => (names as string).split(','))
      .map((name) => name.replace(/^\s*type\s/, '').trim())
      .filter((name) => name !== '');
    expect(exported.length).toBeGreaterThan(15);
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });

  it('gives the defaults that the options have', () => {
    const { resolveOptions } = jest.requireActual<typeof import('../src/options/aam-segments-options')>(
      '../src/options/aam-segments-options',
    );
    const resolved: unknown = resolveOptions({ orgId: 'x', partner: 'acme' });
    const rows = [...readme.matchAll(/^\| `([\w.]+)` \| `?([^|`]+?)`? \|/gm)].filter(([, path]) =>
      path?.match(
        /Ms$|max|min|Percent|connections|failover|segmentIds|dcs\.method|sEcid|adobeMc|excludeBots|required|gpc|tcfCookie|consent\.tcf$|consent\.gpp|usPrivacy|varyCookie/,
      ),
    );
    expect(rows.length).toBe(29);
    for (const [, path, written] of rows as unknown as [string, string, string][]) {
      const value = path.split('.').reduce((group, name) => (group as Record<string, unknown>)[name], resolved);
      expect([path, String(value)]).toEqual([path, written.replace(/[ ']/g, '')]);
    }
  });

  it('promises what npm run bench checks, and has measured nothing that misses it', () => {
    const [, table = ''] = readme.split('| what | promised | measured |\n| --- | --- | --- |\n');
    const rows = [...(table.split('\n\n')[0] as string).matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gm)];
    const promises: readonly Promised[] = Object.values(PROMISES);
    expect(rows.map(([, what, promised]) => [what, promised])).toEqual(
      promises.map(({ what, bound, limit, unit }) => [what, `${bound} ${limit} ${unit}`]),
    );
    for (const [n, promise] of promises.entries()) {
      const measured = String(rows[n]?.[3]);
      const { what, wanted } = promise;
      expect([what, measured, isKept(promise, Number.parseFloat(measured))]).toEqual([what, measured, true]);
      if (wanted !== undefined) expect(measured).toMatch(new RegExp(`; ${wanted} is wanted$`));
    }
  });

  it('has segment ids in its first program that match those of this test', () => {
    expect(quickStart).toContain(`golfFans: ${GOLF}, highValue: ${HIGH_VALUE}`);
  });
});

describe('README: testing your own site', () => {
  run(
    ownTest,
    { 'express-aam-segments': { aamSegments }, 'express-aam-segments/testing': { createDcsSimulator } },
    { test, expect },
  );
});

afterAll(closeSites);

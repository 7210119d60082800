/** What all documents have in common: their code compiles, their links lead somewhere, and they name what is there. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isKept, PROMISES, type Promised } from '../bench/promises';
import { literalOf, optionsPage } from '../scripts/options-page';
import { COMMANDS } from '../src/cli/cli';
import { resolveOptions } from '../src/options/aam-segments-options';
import { blocksOf, PAGES, proseOf, ROOT, read } from './helpers/documents';

const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...PAGES];
const OPTIONS = 'docs/options.md';
const GUARANTEES = 'docs/guarantees.md';
/** Whose blocks are one program. */
const IN_PIECES = ['docs/bridges.md'];

/** Declarations that the fragments need. */
const around = `
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { aamSegments, type SegmentRequiredError } from 'express-aam-segments';
const app = express();
const aam = aamSegments({ orgId: 'x', partner: 'acme', segments: { golfFans: 984263, highValue: 985264 } });
// As passport and express-session declare it.
declare global {
  namespace Express {
    interface Request { user?: { crmId: string }; session?: { marketing?: boolean; ecid?: string } }
  }
}
declare const members: RequestHandler, notYet: RequestHandler, onlyStaff: RequestHandler;
declare const golfPage: RequestHandler, vipPage: RequestHandler, plainPage: RequestHandler;
`;

/** The options of the page: their names as in error messages, and what is said about them. */
const OPTIONS_SHOWN = [...read(OPTIONS).matchAll(/^##+ `([\w.*]+)`\n([^#]*)/gm)].map(([, path, text]) => ({
  path: path as string,
  default: text?.match(/^\* Default: (.*)$/m)?.[1],
  example: text?.match(/^\* Example: `(.*)`$/m)?.[1],
}));

/** A program with the example of each option. */
function examplesOfOptions(): string {
  const examples = OPTIONS_SHOWN.filter(({ example }) => example !== undefined && !example.startsWith("'"));
  const objects = examples.map(({ path, example }) =>
    path
      .split('.')
      .reduceRight((value, name) => `{ ${name === '*' ? 'any' : name}: ${value} }`, example as string)
      // What must stand beside it.
      .replace(/^{ dcs: { origins: (.*) } }$/, "{ dcs: { origins: $1, defaultOrigin: 'https://acme.demdex.net' } }"),
  );
  return `import { createClient } from 'redis';
import { ProxyAgent } from 'undici';
import { redisStore } from 'express-aam-segments/redis';
import type { AamSegmentsOptions } from 'express-aam-segments';
declare const analytics: { track(...given: unknown[]): void };
export const examples: Partial<AamSegmentsOptions>[] = [
${objects.join(',\n')}
];
`;
}

/** A program that compiles only if the README's table of statuses has each status and each reason, and no other. */
function statusesOfReadme(): string {
  const [, table = ''] = read('README.md').split('| `status` | meaning | `reason` |\n| --- | --- | --- |\n');
  const rows = [...(table.split('\n\n')[0] as string).matchAll(/^\| `([\w-]+)` \| .*? \|(.*)\|$/gm)];
  const record = (names: Iterable<string>) => `{ ${[...names].map((name) => `'${name}': true`).join(', ')} }`;
  const statuses = rows.map(([, status]) => status as string);
  const reasons = new Set(
    rows.flatMap(([, , cell]) => [...(cell as string).matchAll(/`([\w-]+)`/g)].map(([, name]) => name)),
  );
  return `import type { SegmentReason, SegmentStatus } from 'express-aam-segments';
export const statuses: Record<SegmentStatus, true> = ${record(statuses)};
export const reasons: Record<SegmentReason, true> = ${record(reasons as Set<string>)};
`;
}

describe('the documents', () => {
  it('have code that compiles', () => {
    const pieces = ['README.md', ...PAGES].flatMap((file) =>
      IN_PIECES.includes(file) ? [blocksOf(file).join('')] : blocksOf(file),
    );
    const blocks = [...pieces, examplesOfOptions(), statusesOfReadme()];
    const folder = mkdtempSync(join(ROOT, 'test', 'readme-'));
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
      execFileSync(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], {
        encoding: 'utf8',
      });
    } catch (error) {
      throw new Error((error as { stdout?: string }).stdout ?? String(error));
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(blocks.length).toBeGreaterThan(25);
  });

  it.each(DOCUMENTS)('%s has links that lead somewhere', (file) => {
    const links = [...proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => to as string);
    const dead = links.filter((to) => {
      if (/^https:\/\//.test(to)) return false;
      const [path = '', anchor] = to.split('#');
      const target = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), path));
      return !existsSync(join(ROOT, target)) || (anchor !== undefined && !anchorsOf(target).has(anchor));
    });
    expect(dead).toEqual([]);
  });

  it.each(DOCUMENTS)('%s names scripts, files, commands and options that exist', (file) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const text = read(file);
    const named = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name as string);
    expect({
      scripts: named(/\bnpm run ([\w:-]+)/g).filter((name) => !(name in scripts)),
      files: named(/`((?:src|test|docs|bench|scripts|example-app)\/[\w./-]+)/g).filter(
        (path) => !existsSync(join(ROOT, path)),
      ),
      commands: named(/\bnpx aam-segments ([a-z]\w*)/g).filter(
        (name) => !COMMANDS.some((command) => command.name === name),
      ),
      options: named(/`((?:identity|consent|privacy|cache|dcs|experiments|preview)\.\w+(?:\.\w+)*)/g).filter(
        (path) => !OPTIONS_SHOWN.some((option) => option.path === path),
      ),
    }).toEqual({ scripts: [], files: [], commands: [], options: [] });
  });

  it('are where the source says', () => {
    const named = ['src', 'bench', 'scripts', 'example-app'].flatMap((folder) =>
      (readdirSync(join(ROOT, folder), { recursive: true }) as string[])
        .filter((file) => /\.(?:ts|mjs|html)$/.test(file))
        .flatMap((file) => read(join(folder, file)).match(/\bdocs\/[\w-]+\.md\b/g) ?? []),
    );
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((page) => !existsSync(join(ROOT, page)))).toEqual([]);
  });

  it.each(['src/index.ts', 'src/testing/public.ts'])('explain every name that %s exports', (file) => {
    const text = ['README.md', ...PAGES].map(read).join('\n');
    const exported = [...read(file).matchAll(/^export (?:type )?\{([^}]+)\}/gm)]
      .flatMap(([, names]) => (names as string).split(','))
      .map((name) => name.replace(/^\s*type\s/, '').trim())
      .filter((name) => name !== '');
    expect(exported.length).toBeGreaterThan(15);
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });
});

describe(OPTIONS, () => {
  it('is what npm run docs:options writes', () => {
    expect(read(OPTIONS)).toBe(optionsPage());
  });

  it('explains every option once', () => {
    const paths = OPTIONS_SHOWN.map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(45);
    expect(new Set(paths).size).toBe(paths.length);
  });

  it('gives the defaults that the options have', () => {
    const defaults = Object.entries(leavesOf(resolveOptions({ orgId: 'x', partner: 'acme' })));
    const shown = new Map(
      OPTIONS_SHOWN.flatMap(({ path, default: text }) => {
        const literal = text === undefined ? undefined : literalOf(text.replace(/^`(.*?)`/, '$1'));
        return literal === undefined ? [] : [[path, new Function(`return ${literal[0]}`)() as unknown]];
      }),
    );
    // Which are resolved to something else than what is given, and have tests of their own.
    const resolved = ['orgId', 'dcs.orgId', 'dcs.partnerHost', 'cache.maxBytes'];
    const expected = defaults.filter(([path]) => !resolved.includes(path));
    expect(expected.length).toBeGreaterThan(28);
    expect(expected.map(([path]) => [path, shown.get(path)])).toEqual(expected);
  });
});

describe(GUARANTEES, () => {
  const rowsOf = (file: string) =>
    [
      ...(
        (read(file).split('| what | promised | measured |\n| --- | --- | --- |\n')[1] ?? '').split('\n\n')[0] as string
      ).matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gm),
    ].map(([, ...cells]) => cells as [what: string, promised: string, measured: string]);

  it('promises what npm run bench checks, and has measured nothing that misses it', () => {
    const promises: readonly Promised[] = Object.values(PROMISES);
    const rows = rowsOf(GUARANTEES);
    expect(rows.map(([what, promised]) => [what, promised])).toEqual(
      promises.map(({ what, bound, limit, unit }) => [what, `${bound} ${limit} ${unit}`]),
    );
    for (const [n, promise] of promises.entries()) {
      const measured = String(rows[n]?.[2]);
      const { what, wanted } = promise;
      expect([what, measured, isKept(promise, Number.parseFloat(measured))]).toEqual([what, measured, true]);
      if (wanted !== undefined) expect(measured).toMatch(new RegExp(`; ${wanted} is wanted$`));
    }
  });

  it('has the figures of the README', () => {
    const shown = rowsOf('README.md');
    expect(shown.length).toBeGreaterThan(3);
    expect(rowsOf(GUARANTEES)).toEqual(expect.arrayContaining(shown));
  });
});

/** The anchors of a document's headings, as GitHub and npm make them. */
function anchorsOf(file: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading] of proseOf(file).matchAll(/^#+ (.*)$/gm)) {
    const slug = (heading as string)
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replace(/ /g, '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The values in groups that are data, by path. */
function leavesOf(group: object, prefix = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(group).flatMap(([name, value]) => {
      const path = `${prefix}${name}`;
      const isGroup = Object.getPrototypeOf(value ?? '') === Object.prototype;
      if (isGroup) return Object.entries(leavesOf(value as object, `${path}.`));
      const isData = Array.isArray(value) ? value.length > 0 : ['string', 'number', 'boolean'].includes(typeof value);
      return isData ? [[path, value]] : [];
    }),
  );
}

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const src = join(__dirname, '..', 'src');
const files = (readdirSync(src, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts'));

/** The one-way flow: a file may import from its own folder and from those before it. */
const WAY = ['identity', 'consent', 'cache', 'dcs', 'segments', '', 'routing', 'cli'];
/** Beside the way: they know nothing of it, and everybody may use them. */
const LEAVES = ['cookie-header.ts', 'errors.ts', 'option-checks.ts', 'detached-string.ts', 'site-callback.ts'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isTypeOnly: boolean;
}

/** Imports of our own files, re-exports too. */
function importsOf(file: string, text = readFileSync(join(src, file), 'utf8')): Import[] {
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^'";]*?from\s+'(\.[^']+)'/gms)].map(([, type, path]) => ({
    from: file,
    to: `${relative(src, join(src, dirname(file), path as string))}.ts`,
    isTypeOnly: type !== undefined,
  }));
}

const imports = files.flatMap((file) => importsOf(file));
const folderOf = (file: string) => (dirname(file) === '.' ? '' : (file.split('/')[0] as string));

/** What an import breaks, if anything. */
function complaint({ from, to, isTypeOnly }: Import): string | undefined {
  const [importer, imported] = [folderOf(from), folderOf(to)];
  if (importer === imported || LEAVES.includes(to)) return undefined;
  // The command line is a program of its own, on top of all the rest.
  if (importer === 'cli') return undefined;
  if (importer === 'testing') return 'the simulator shares nothing with what it is to test';
  if (importer === 'cache') return 'the cache is generic';
  if (to === 'aam-segments-options.ts' || to === 'dcs-client-options.ts')
    return 'inner folders declare the few values that they need';
  if (importer !== '' && importer !== 'routing' && !isTypeOnly) return 'inner folders take only types from each other';
  // The one place on the way back: what the guards of an instance are typed with.
  if (from === 'middleware.ts' && imported === 'routing') return undefined;
  if (from === 'index.ts') return undefined;
  return WAY.indexOf(imported) < WAY.indexOf(importer) ? undefined : 'later on the way';
}

describe('the source tree', () => {
  it('has imports that lead one way', () => {
    const broken = imports.flatMap((each) => {
      const why = complaint(each);
      return why === undefined ? [] : [`${each.from} imports ${each.to}: ${why}`];
    });
    expect(broken).toEqual([]);
    expect(imports.length).toBeGreaterThan(50);
  });

  it('would notice an import that leads back', () => {
    const planted = importsOf(
      'dcs/client.ts',
      "import type { Flight } from '../cache/segment-cache';\nimport {\n  a,\n} from '../segments/segment-set';",
    );
    expect(planted.map(complaint)).toEqual([undefined, 'inner folders take only types from each other']);
    expect(complaint({ from: 'dcs/client.ts', to: 'segments/segment-set.ts', isTypeOnly: true })).toBe(
      'later on the way',
    );
    expect(complaint({ from: 'cache/a.ts', to: 'identity/visitor.ts', isTypeOnly: true })).toBe('the cache is generic');
    expect(complaint({ from: 'testing/a.ts', to: 'dcs/reply.ts', isTypeOnly: true })).toMatch('shares nothing');
  });

  it('has no cycles, not even of types', () => {
    const graph = new Map(files.map((file) => [file, importsOf(file).map(({ to }) => to)]));
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): string[] | undefined => {
      if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
      if (done.has(file)) return undefined;
      for (const next of graph.get(file) ?? []) {
        const cycle = visit(next, [...path, file]);
        if (cycle !== undefined) return cycle;
      }
      done.add(file);
      return undefined;
    };
    expect(files.map((file) => visit(file, [])).filter((cycle) => cycle !== undefined)).toEqual([]);
  });

  it('has one barrel, and its imports lead to files that exist', () => {
    expect(files.filter((file) => file.endsWith('index.ts'))).toEqual(['index.ts']);
    expect(imports.filter(({ to }) => !files.includes(to))).toEqual([]);
  });

  it('documents every public name', () => {
    const sources = files.map((file) => readFileSync(join(src, file), 'utf8')).join('\n');
    const barrel = readFileSync(join(src, 'index.ts'), 'utf8');
    const names = [...barrel.matchAll(/\{([^}]*)\}/g)].flatMap(([, list]) =>
      (list as string).match(/\b[A-Za-z]\w+(?=\s*(?:,|$))/gm),
    );
    const isDocumented = (name: string) =>
      new RegExp(`\\*/\\n(?://.*\\n)?export (?:class|function|interface|type) ${name}\\b`).test(sources);
    expect(names.filter((name) => !isDocumented(String(name)))).toEqual([]);
    expect(names.length).toBeGreaterThan(25);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const src = join(__dirname, '..', 'src');
const files = (readdirSync(src, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts'));

/**
 * The one-way flow, from the bottom up: a file may import from its own rank and from those before it, types included. A
 * rank is a folder with all that is in it, or a list of files of the root.
 */
const RANKS: readonly (string | readonly string[])[] = [
  'channels',
  'handed-over',
  'diagnosis',
  ['errors.ts', 'option-checks.ts'],
  'signing',
  'cache',
  'request',
  'identity',
  'consent',
  'dcs/protocol',
  'dcs/flow',
  'shared-tier',
  'dcs',
  'segments',
  ['express.ts'],
  'lookup',
  'options',
  'redis',
  'routing',
  'experiments',
  'bootstrap',
  'preview',
  'serving',
  ['index.ts', 'middleware.ts', 'dcs-client.ts'],
  'testing',
  // The stub is the real class, and a store is of the real interface; the simulator shares nothing with the package.
  ['testing/segments-stub.ts', 'testing/memory-store.ts', 'testing/shared-store-checks.ts', 'testing/public.ts'],
  'cli',
];
/** Folders that import nothing else of the package: all may publish, one is generic, one must not repeat the client's mistakes. */
const ON_THEIR_OWN: readonly string[] = ['channels', 'cache', 'testing'];

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Imports of our own files, re-exports too. */
function importsOf(file: string, text = readFileSync(join(src, file), 'utf8')): Import[] {
  return [...text.matchAll(/^(?:import|export)\s[^'";]*?from\s+'(\.[^']+)'/gms)].map(([, path]) => ({
    from: file,
    to: `${relative(src, join(src, dirname(file), path as string))}.ts`,
  }));
}

const imports = files.flatMap((file) => importsOf(file));

/** -1 for a file that has no rank. The folder that names a file most closely decides. */
function rankOf(file: string): number {
  const listed = RANKS.findIndex((rank) => Array.isArray(rank) && rank.includes(file));
  for (let folder = dirname(file); listed === -1 && folder !== '.'; folder = dirname(folder)) {
    const rank = RANKS.indexOf(folder);
    if (rank !== -1) return rank;
  }
  return listed;
}

/** What is wrong with an import; `undefined` if nothing is. */
function complaint({ from, to }: Import): string | undefined {
  if (rankOf(from) === rankOf(to)) return undefined;
  if (ON_THEIR_OWN.includes(String(RANKS[rankOf(from)]))) return 'imports nothing of the package';
  return rankOf(to) < rankOf(from) ? undefined : 'a later rank';
}

describe('the source tree', () => {
  it('has a rank for every file, and no rank without one', () => {
    expect(files.filter((file) => rankOf(file) === -1)).toEqual([]);
    const used = new Set(files.map(rankOf));
    expect(RANKS.filter((_, rank) => !used.has(rank))).toEqual([]);
    expect(RANKS.flat().filter((file) => file.endsWith('.ts') && !files.includes(file))).toEqual([]);
  });

  it('has at most six files in its root', () => {
    expect(files.filter((file) => dirname(file) === '.').length).toBeLessThanOrEqual(6);
  });

  it('has imports from earlier ranks only', () => {
    const broken = imports.flatMap((each) => {
      const why = complaint(each);
      return why === undefined ? [] : [`${each.from} imports ${each.to}: ${why}`];
    });
    expect(broken).toEqual([]);
    expect(imports.length).toBeGreaterThan(50);
  });

  it('would detect an import from a later rank, also of a type', () => {
    const planted = importsOf(
      'dcs/flow/lane.ts',
      "import type { Reply } from '../protocol/reply';\nimport {\n  a,\n} from '../dcs-calls';\nexport type { B } from '../../segments/segment-set';",
    );
    expect(planted.map(complaint)).toEqual([undefined, 'a later rank', 'a later rank']);
    expect(complaint({ from: 'cache/a.ts', to: 'errors.ts' })).toBe('imports nothing of the package');
    expect(complaint({ from: 'channels/a.ts', to: 'channels/b.ts' })).toBeUndefined();
    expect(complaint({ from: 'testing/a.ts', to: 'dcs/protocol/reply.ts' })).toBe('imports nothing of the package');
    expect(complaint({ from: 'lookup/a.ts', to: 'options/dcs-client-options.ts' })).toBe('a later rank');
    expect(complaint({ from: 'errors.ts', to: 'index.ts' })).toBe('a later rank');
    expect(rankOf('new-folder/a.ts')).toBe(-1);
    expect(rankOf('new-file.ts')).toBe(-1);
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

  it('reads no call stacks and no private fields of Express or Node', () => {
    const OFF_LIMITS =
      /prepareStackTrace|captureStackTrace|getCallSites?\b|\.route\b|\blayer\.|\.stack\b(?! = )|_router\b|\._[a-z]\w*|req\.next\b/i;
    const offending = files.flatMap((file) =>
      readFileSync(join(src, file), 'utf8')
        .split('\n')
        .flatMap((line, n) => (OFF_LIMITS.test(line) ? [`${file}:${n + 1} ${line.trim()}`] : [])),
    );
    expect(offending).toEqual([]);
    for (const planted of ['req.route.stack', 'layer.handle', 'res._headers', 'server._events', 'app._router.stack']) {
      expect(planted).toMatch(OFF_LIMITS);
    }
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

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aamBootstrap, aamSegments, createDcsClient, requireSegment } from 'express-aam-segments';
import { redisStore } from 'express-aam-segments/redis';
import { createClient } from 'redis';
import { OPTIONS, type OptionNames, type OptionTaker } from '../../src/diagnosis/option-names';
import { resolveExperiment } from '../../src/experiments/experiment-options';
import { SegmentNames } from '../../src/segments/segment-refs';
import { ECID, ORG } from '../helpers/site';

const VISITOR = { ecid: ECID };
const REQUIRED = { orgId: ORG, partner: 'acme' };
const redis = createClient({ disableOfflineQueue: true }).on('error', () => {});
const client = createDcsClient(REQUIRED);
const aam = aamSegments({ ...REQUIRED, preview: { secret: 'x'.repeat(32) } });
afterAll(() => Promise.all([client.close(), aam.close()]));

/** Calls each function with these options. */
const CALLS: Readonly<Record<OptionTaker, (options: object) => unknown>> = {
  'aamSegments()': (options) => aamSegments({ ...REQUIRED, ...options }),
  'createDcsClient()': (options) => createDcsClient({ ...REQUIRED, ...options }),
  'lookup()': (options) => client.lookup(VISITOR, options),
  'lookupMany()': (options) => client.lookupMany([VISITOR], options).next(),
  'sendEvent()': (options) => aam.sendEvent({} as never, {}, options),
  'requireSegment()': (options) => requireSegment('golfFans', options),
  'aamBootstrap()': (options) => aamBootstrap({} as never, { only: ['golfFans'], ...options }),
  'previewUrl()': (options) => aam.previewUrl('https://example.com/', options),
  'redisStore()': (options) => redisStore(redis, options),
  'experiment()': (options) =>
    resolveExperiment({ name: 'x', variants: { a: 1, b: 1 }, ...options }, new SegmentNames(new Map())),
};

/** The groups of a function's options: their names on the way to them, and the names in them. */
function groupsOf(
  names: OptionNames,
  way: readonly string[] = [],
): [way: readonly string[], names: readonly string[]][] {
  const within = Object.entries(names).flatMap(([name, inside]) =>
    inside === true ? [] : groupsOf(inside, [...way, name]),
  );
  const own = Object.keys(names).filter((name) => name !== '*');
  return own.length === 0 ? within : [[way, own], ...within];
}

const groups = (Object.keys(OPTIONS) as OptionTaker[]).flatMap((taker) =>
  groupsOf(OPTIONS[taker]).map(([way, names]) => ({ taker, way, names })),
);

/** Options with one more in a group. */
function withOption(way: readonly string[], name: string): object {
  return [...way]
    .reverse()
    .reduce<object>((inside, group) => ({ [group === '*' ? 'aam' : group]: inside }), { [name]: 1 });
}

async function messageOf(taker: OptionTaker, options: object): Promise<string> {
  try {
    await CALLS[taker](options);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return code === 'ERR_AAM_UNKNOWN_OPTION' ? message : `${code}: ${message}`;
  }
  return 'accepted';
}

const pathOf = (way: readonly string[], name: string) => [...way, name].join('.').replace('*', '<name>');

describe('an option in the wrong group or function', () => {
  it('is answered with the place where it belongs, for every option and every other group', async () => {
    const wrong: string[] = [];
    let tried = 0;
    for (const { taker, way, names } of groups) {
      const elsewhere = new Map<string, string[]>();
      for (const other of groups) {
        for (const name of other.names.filter((each) => !names.includes(each))) {
          const places = elsewhere.get(name) ?? [];
          elsewhere.set(name, [...places, other.taker === taker ? `'${pathOf(other.way, name)}'` : other.taker]);
        }
      }
      for (const [name, places] of elsewhere) {
        tried++;
        const message = await messageOf(taker, withOption(way, name));
        // The function's own options come first, and without its name.
        const own = places.filter((place) => place.startsWith("'"));
        const expected = own.length > 0 ? own : places;
        if (!expected.every((place) => message.includes(place))) wrong.push(`${taker}: ${message}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(tried).toBeGreaterThan(500);
  });

  it.each([
    ['aamSegments()', { timeoutMs: 1 }, "options.timeoutMs is not an option; did you mean 'dcs.timeoutMs'?"],
    ['aamSegments()', { dcs: { ttlMs: 1 } }, "options.dcs.ttlMs is not an option; did you mean 'cache.ttlMs'?"],
    ['aamSegments()', { timeout: 1 }, "options.timeout is not an option; did you mean 'dcs.timeoutMs'?"],
    ['aamSegments()', { keys: 1 }, "options.keys is not an option; did you mean 'destinations.<name>.keys'?"],
    [
      'createDcsClient()',
      { maxWaitMs: 1 },
      "options.maxWaitMs is not an option; did you mean 'maxWaitMs' of lookup() or 'maxWaitMs' of aamSegments()?",
    ],
    [
      'createDcsClient()',
      { concurrency: 1 },
      "options.concurrency is not an option; did you mean 'concurrency' of lookupMany()?",
    ],
    [
      'lookup()',
      { timeoutMs: 1 },
      "options.timeoutMs is not an option; did you mean 'dcs.timeoutMs' of aamSegments() or 'dcs.timeoutMs' of createDcsClient() or 'timeoutMs' of redisStore()?",
    ],
  ] as const)('of %s, %j', async (taker, options, message) => {
    expect(await messageOf(taker, options)).toBe(message);
  });
});

describe('a misspelt option', () => {
  it('is answered with its name, for every option of every group', async () => {
    const wrong: string[] = [];
    for (const { taker, way, names } of groups) {
      for (const name of names) {
        const misspelt = `${name}x`;
        const message = await messageOf(taker, withOption(way, misspelt));
        if (!message.endsWith(`.${misspelt} is not an option; did you mean '${name}'?`))
          wrong.push(`${taker}: ${message}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

it('every option in a declaration has its name in the list', () => {
  const src = join(__dirname, '..', '..', 'src');
  const files = (readdirSync(src, { recursive: true }) as string[]).filter((file) =>
    /^(?!testing|cli).*\.ts$/.test(file),
  );
  const listed = new Set(groups.flatMap(({ names }) => names));
  const declared = files.flatMap((file) =>
    [
      ...readFileSync(join(src, file), 'utf8').matchAll(
        /^export interface (\w+(?:Options|Format|Holdout))\b[^{]*\{\n(.*?)^\}/gms,
      ),
    ].flatMap(([, type, body]) =>
      [...(body as string).matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => ({
        type: type as string,
        name: name as string,
      })),
    ),
  );
  expect(declared.filter(({ type }) => !/^Resolved/.test(type)).filter(({ name }) => !listed.has(name))).toEqual([]);
  expect(declared.length).toBeGreaterThan(60);
});

// Which tests are to find a mutant of a source file, the likeliest first. Slow ones are left out.
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

const testsIn = (root, folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith('.slow.test.ts'))
    .map((name) => `${folder}/${name}`);

/** By the start of a path. A mutant has to be found by the tests of its own file, of what uses it, or by the model. */
const USERS = [
  ['src/dcs/flow/semaphore.ts', () => ['test/lookup/lookup-many.test.ts']],
  [
    'src/dcs/',
    (root) => ['test/dcs/dcs-calls.test.ts', 'test/model/flow.test.ts', ...testsIn(root, 'test/resilience/flow')],
  ],
  ['src/preview/', () => ['test/preview/previews.test.ts', 'test/preview/forgery.test.ts']],
  ['src/signing/', () => ['test/preview/forgery.test.ts']],
  ['src/experiments/', (root) => [...testsIn(root, 'test/experiments'), 'test/bootstrap/aam-bootstrap.test.ts']],
  ['src/lookup/ordered-window.ts', () => ['test/lookup/lookup-many.test.ts']],
  ['src/lookup/lookup-many.ts', () => ['test/dcs-client.test.ts']],
  [
    'src/lookup/',
    (root) => [
      ...testsIn(root, 'test/lookup').filter((path) => !/(ordered-window|lookup-many)/.test(path)),
      'test/resilience/flow/generations.test.ts',
      'test/resilience/flow/opt-outs.test.ts',
    ],
  ],
];

/** @param file below `src/`, from the root of the repository */
export function relatedTests(root, file) {
  const own = file.replace(/^src\//, 'test/').replace(/\.ts$/, '.test.ts');
  const [, users] = USERS.find(([start]) => file.startsWith(start)) ?? [];
  const folder = own.slice(0, own.length - basename(own).length - 1);
  const isTested = existsSync(join(root, own));
  const neighbours = isTested || !existsSync(join(root, folder)) ? [] : testsIn(root, folder);
  return [
    ...(isTested ? [own] : []),
    ...new Set([...neighbours, ...(users?.(root) ?? [])].filter((path) => path !== own)),
  ];
}

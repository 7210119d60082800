import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');
const source = (file: string) => readFileSync(join(root, file), 'utf8');

interface Mend {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
}

/** As `npm run model:without-mends` reads them. */
const mends: readonly Mend[] = JSON.parse(
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      "import { MENDS } from './test/model/mends.mjs'; process.stdout.write(JSON.stringify(MENDS));",
    ],
    { cwd: root, encoding: 'utf8' },
  ),
);

it.each(mends)('the mend "$name" can be taken out of the sources', ({ edits }) => {
  for (const { file, find, replace } of edits) {
    expect(source(`src/${file}`).split(find)).toHaveLength(2);
    expect(find).not.toBe(replace);
  }
});

it('each mutant that is listed as equivalent is one of a line of the sources', () => {
  const equivalent: readonly { readonly file: string; readonly code: string }[] = JSON.parse(
    source('test/mutation/equivalent-mutants.json'),
  );
  const gone = equivalent.filter(({ file, code }) => !source(file).includes(code));
  expect(gone).toEqual([]);
  expect(equivalent.length).toBeGreaterThan(10);
});

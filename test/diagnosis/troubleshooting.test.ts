import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AamError } from 'express-aam-segments';
import { helpFor } from '../../src/diagnosis/help';

const root = join(__dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8');
const files = (readdirSync(join(root, 'src'), { recursive: true }) as string[]).filter((file) => file.endsWith('.ts'));
const sources = files.map((file) => ({ file, text: readFileSync(join(root, 'src', file), 'utf8') }));
const codes = [
  ...new Set(
    sources.flatMap(({ text }) => [...text.matchAll(/'((?:ERR|WRN)_AAM_\w+)'/g)].map(([, code]) => code as string)),
  ),
].sort();

/** As GitHub makes them of headings. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replace(/\s/g, '-');
const sections = page.split(/^(?=#{2,3} )/m).map((text) => {
  const [heading = '', ...rest] = text.split('\n');
  return { heading: heading.replace(/^#+ /, ''), body: rest.join('\n').trim() };
});

describe('docs/troubleshooting.md', () => {
  it('has a paragraph for every code in the source, once, and for no other', () => {
    const headings = sections.map(({ heading }) => heading).filter((heading) => /^(ERR|WRN)_/.test(heading));
    expect([...headings].sort()).toEqual(codes);
    expect(codes.length).toBeGreaterThan(25);
    for (const { heading, body } of sections)
      if (headings.includes(heading)) expect([heading, body.length > 60]).toEqual([heading, true]);
    const mentioned = page.match(/\b(?:ERR|WRN)_AAM_\w+/g) ?? [];
    expect(mentioned.filter((code) => !codes.includes(code))).toEqual([]);
  });

  it('is where errors and warnings link to', () => {
    const anchors = sections.map(({ heading }) => anchorOf(heading));
    const [path] = helpFor('').split('#') as [string];
    const { name, files: shipped } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(path).toBe(`${name}/docs/troubleshooting.md`);
    expect(shipped).toContain('docs');
    for (const code of codes) expect(anchors).toContain(helpFor(code).split('#')[1]);
    expect(new AamError('ERR_AAM_CLOSED', 'x').help).toBe(helpFor('ERR_AAM_CLOSED'));
  });

  it('names options, statuses and reasons that exist', () => {
    const everything = sources.map(({ text }) => text).join('\n');
    const options = [...page.matchAll(/`((?:dcs|cache|consent|identity|experiments)\.\w+)[:`]/g)].map(([, option]) =>
      String(option),
    );
    expect(options.filter((option) => !new RegExp(`\\b${option.split('.')[1]}: (true|\\{)`).test(everything))).toEqual(
      [],
    );
    expect(options.length).toBeGreaterThan(15);
    const reasons = [...page.matchAll(/^\* `([a-z-]+)`/gm)].map(([, reason]) => String(reason));
    expect(reasons.filter((reason) => !everything.includes(`'${reason}'`))).toEqual([]);
    expect(reasons.length).toBeGreaterThan(8);
  });
});

describe('a warning', () => {
  it('leaves the package in one place', () => {
    const emitting = sources
      .filter(({ text }) => /emitWarning\(|console\.(?:warn|error)\(/.test(text))
      .map(({ file }) => file);
    expect(emitting).toEqual(['diagnosis/warnings.ts']);
  });
});

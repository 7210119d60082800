/** The documents of the project, and what is in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');

export const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The pages in docs/. */
export const PAGES: readonly string[] = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);

/** The blocks of code in a language, in order. */
export function blocksOf(file: string, language = 'ts'): string[] {
  return [...read(file).matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter(([, its]) => its === language)
    .map(([, , code]) => code as string);
}

/** Without its blocks of code. */
export const proseOf = (file: string): string => read(file).replace(/^```.*?^```$/gms, '');

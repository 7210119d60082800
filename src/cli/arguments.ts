/** Owns: reading the arguments of a command, and messages that say what would have been right. */
import { parseArgs } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { COMMON_OPTIONS, type Command, type OptionSpec, type OptionValues, UsageError } from './command';

export interface ReadArguments {
  readonly values: OptionValues<Command['options']> & OptionValues<typeof COMMON_OPTIONS>;
  readonly operands: readonly string[];
}

/** @throws {UsageError} */
export function readArguments({ options, operands }: Command, args: readonly string[]): ReadArguments {
  const known: Readonly<Record<string, OptionSpec>> = { ...options, ...COMMON_OPTIONS };
  const config = Object.fromEntries(
    Object.entries(known).map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...config, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, { type, multiple }] of Object.entries(known)) {
    values[name] = type === 'boolean' ? false : multiple ? [] : undefined;
  }
  const given: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') given.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (spec === undefined) {
      throw new UsageError(`Unknown option ${token.rawName}${suggestion(`--${token.name}`, flagsOf(known))}`);
    }
    values[token.name] = parsedValue(spec, token, values[token.name]);
  }
  if (values.help !== true && given.length !== operands.length) {
    throw new UsageError(
      given.length > operands.length
        ? `Unexpected argument '${given[operands.length]}'${given.length > 1 ? ': quote arguments with spaces' : ''}`
        : `Missing argument: ${operands[given.length]}`,
    );
  }
  return { values: values as ReadArguments['values'], operands: given };
}

function parsedValue(
  { type, multiple, value: placeholder = '<value>' }: OptionSpec,
  { rawName, value, inlineValue }: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  before: unknown,
): boolean | string | string[] {
  if (type === 'boolean') {
    if (inlineValue) throw new UsageError(`${rawName} takes no value`);
    return true;
  }
  // A dash alone is standard input or output; what else begins with one is the next option.
  const isMissing = value === undefined || value === '' || (!inlineValue && /^-./.test(value));
  if (isMissing) throw new UsageError(`Missing value: ${rawName} ${placeholder}`);
  return multiple ? [...(before as string[]), value] : value;
}

function flagsOf(known: Readonly<Record<string, OptionSpec>>): string[] {
  return Object.keys(known).map((name) => `--${name}`);
}

/** The end of a message about a word that is not known: what may have been meant, if anything is near. */
export function suggestion(word: string, known: readonly string[]): string {
  const cut = word.slice(0, 100);
  const [nearest = ''] = [...known].sort((a, b) => distance(cut, a) - distance(cut, b));
  const isNear = distance(cut, nearest) <= Math.max(1, Math.floor(nearest.replace(/^-+/, '').length / 3));
  return isNear ? `: did you mean ${nearest}?` : `: use ${oneOf(known)}`;
}

/** `a, b or c` */
export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** The most that the client's options take. */
const MAX_COUNT = 100_000_000;

/**
 * Parses the value of an option that is an integer from 1, in decimal digits.
 * @throws {UsageError}
 */
export function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_COUNT) {
    throw new UsageError(`--${name} must be an integer from 1 to ${MAX_COUNT}, got '${text}'`);
  }
  return count;
}

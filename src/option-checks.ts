/**
 * Owns: the checks of options. An invalid option throws at construction, with the rule and the value received. `undefined`
 * means the default; `null` is invalid.
 */
import { type OptionTaker, optionMeantBy } from './diagnosis/option-names';
import { AamError } from './errors';
import { isRecord } from './handed-over/reading';
import { quoted } from './handed-over/showing';

export { isRecord };

/** The longest delay that a Node timer takes. */
const MAX_MS = 2_147_483_647;
/** The cache allocates its tables at construction: more would exceed the memory of any process. */
const MAX_COUNT = 100_000_000;
const MIN_SECRET_LENGTH = 32;

/**
 * Copies a group of options, reading each once, and checks its keys against the known ones.
 * @param taker the function that takes the options; by it a key that belongs elsewhere is recognised
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 */
export function group<T extends object>(
  path: string,
  value: unknown,
  known: Readonly<Record<keyof T, unknown>>,
  taker?: OptionTaker,
): T {
  assert(isRecord(value), path, 'an object', value);
  for (const key of read(path, value, () => Object.keys(value))) {
    if (Object.hasOwn(known, key)) continue;
    const shown = quoted(key).slice(1, -1);
    const meant = optionMeantBy(shown, Object.keys(known), taker);
    throw new AamError('ERR_AAM_UNKNOWN_OPTION', `${path}.${shown} is not an option; did you mean ${meant}?`);
  }
  const entries = Object.keys(known).map((key) => [key, read(`${path}.${key}`, value, () => value[key])]);
  return Object.fromEntries(entries) as T;
}

/** The properties of an option that the caller has checked to be an object. */
export function entries(path: string, value: object): readonly (readonly [string, unknown])[] {
  return read(path, value, () => Object.entries(value));
}

/** What a getter or a proxy throws is the site's own, and may hold anything: it is not repeated. */
function read<T>(path: string, received: unknown, reading: () => T): T {
  try {
    return reading();
  } catch {
    assert(false, path, 'readable: reading it threw', received);
  }
}

export function ms(path: string, value: unknown, defaultValue: number): number {
  return integer(path, value, 0, MAX_MS, defaultValue);
}

export function count(path: string, value: unknown, defaultValue: number): number {
  return integer(path, value, 1, MAX_COUNT, defaultValue);
}

export function integer(path: string, value: unknown, min: number, max: number, defaultValue: number): number {
  if (value === undefined) return defaultValue;
  const isInRange = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  assert(isInRange, path, `an integer from ${min} to ${max}`, value);
  return value as number;
}

export function flag(path: string, value: boolean | undefined, defaultValue: boolean): boolean {
  return oneOf(path, value, [true, false], defaultValue);
}

export function oneOf<T>(path: string, value: T | undefined, allowed: readonly T[], defaultValue: T): T {
  if (value === undefined) return defaultValue;
  assert(allowed.includes(value), path, allowed.map((each) => printed(each)).join(' or '), value);
  return value;
}

export function optional<T>(path: string, value: T | undefined, rule: string, isValid: (value: unknown) => boolean) {
  assert(value === undefined || isValid(value), path, rule, value);
  return value;
}

/** @throws {AamError} `ERR_AAM_INVALID_OPTION` */
export function assert(condition: boolean, path: string, rule: string, received: unknown): asserts condition {
  if (condition) return;
  throw new AamError('ERR_AAM_INVALID_OPTION', `${path} must be ${rule}, got ${printed(received)}`);
}

/** The value and its type, at a length that fits a log line. */
function printed(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `${quoted(value)} (string)`;
    case 'number':
    case 'boolean':
      return `${value} (${typeof value})`;
    case 'object':
      return value === null ? 'null' : isRecord(value) ? 'an object' : 'an array';
    default:
      return typeof value;
  }
}

/**
 * One secret, or several of which the first is the current one. The error does not show the value, which may be a real secret
 * that is too short.
 */
export function secrets(path: string, given: unknown): readonly [string, ...string[]] {
  const list = Array.isArray(given) ? [...given] : [given];
  const [first, ...others] = list.map((each) => secret(path, each));
  assert(first !== undefined, path, 'given at least one secret', given);
  return [first, ...others];
}

/** As {@link secrets}, for a single one. */
export function secret(path: string, given: unknown): string {
  if (typeof given === 'string' && given.length >= MIN_SECRET_LENGTH) return given;
  const received = typeof given === 'string' ? `${given.length} characters` : typeof given;
  const rule = `a string of at least ${MIN_SECRET_LENGTH} characters`;
  throw new AamError('ERR_AAM_INVALID_OPTION', `${path} must be ${rule}, got ${received}`);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

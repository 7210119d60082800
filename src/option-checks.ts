/**
 * Owns: how a wrong option is refused: at construction, with the rule and the value received. `undefined` means "not
 * given", `null` is a mistake.
 */
import { distance } from 'fastest-levenshtein';
import { AamError } from './errors';

/** The longest delay of a timer. */
const MAX_MS = 2_147_483_647;
/** The store allocates its tables at construction; more would not fit into any process. */
const MAX_COUNT = 100_000_000;

/**
 * A copy of an object of options, each read once, with its keys checked against the known ones.
 * @throws {AamError} `ERR_AAM_INVALID_OPTION`, `ERR_AAM_UNKNOWN_OPTION`
 */
export function group<T extends object>(path: string, given: unknown, known: Record<keyof T, true>): T {
  assert(isRecord(given), path, 'an object', given);
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key)) continue;
    const nearest = Object.keys(known).sort((a, b) => distance(key, a) - distance(key, b))[0] as string;
    throw new AamError('ERR_AAM_UNKNOWN_OPTION', `${path}.${key} is not an option; did you mean '${nearest}'?`);
  }
  return Object.fromEntries(Object.keys(known).map((key) => [key, given[key]])) as T;
}

export function ms(path: string, given: unknown, byDefault: number): number {
  return integer(path, given, 0, MAX_MS, byDefault);
}

export function count(path: string, given: unknown, byDefault: number): number {
  return integer(path, given, 1, MAX_COUNT, byDefault);
}

export function integer(path: string, given: unknown, min: number, max: number, byDefault: number): number {
  if (given === undefined) return byDefault;
  const isInRange = Number.isInteger(given) && (given as number) >= min && (given as number) <= max;
  assert(isInRange, path, `an integer from ${min} to ${max}`, given);
  return given as number;
}

export function flag(path: string, given: boolean | undefined, byDefault: boolean): boolean {
  return oneOf(path, given, [true, false], byDefault);
}

export function oneOf<T>(path: string, given: T | undefined, allowed: readonly T[], byDefault: T): T {
  if (given === undefined) return byDefault;
  assert(allowed.includes(given), path, allowed.map((value) => printed(value)).join(' or '), given);
  return given;
}

export function optional<T>(path: string, given: T | undefined, rule: string, isValid: (value: unknown) => boolean) {
  assert(given === undefined || isValid(given), path, rule, given);
  return given;
}

/** @throws {AamError} `ERR_AAM_INVALID_OPTION` */
export function assert(condition: boolean, path: string, rule: string, received: unknown): asserts condition {
  if (condition) return;
  throw new AamError('ERR_AAM_INVALID_OPTION', `${path} must be ${rule}, got ${printed(received)}`);
}

/** The value and its type, short enough for a log line. */
function printed(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `${JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value)} (string)`;
    case 'number':
    case 'boolean':
      return `${value} (${typeof value})`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return typeof value;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

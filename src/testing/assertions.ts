import { inspect } from 'node:util';

/** The longest delay that a Node timer takes; a longer one fires at once. */
export const MAX_MS = 2 ** 31 - 1;

/**
 * @throws TypeError unless `holds`, with the rule and the received value
 */
export function assertRule(holds: boolean, name: string, rule: string, received: unknown): asserts holds {
  if (!holds) {
    throw new TypeError(`${name} must be ${rule}, got ${inspect(received, { depth: 0 })} (${typeof received})`);
  }
}

export function assertInteger(name: string, value: unknown, min: number, max: number): asserts value is number {
  const holds = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  assertRule(holds, name, `an integer between ${min} and ${max}`, value);
}

export function assertBoolean(name: string, value: unknown): asserts value is boolean {
  assertRule(typeof value === 'boolean', name, 'a boolean', value);
}

/** Refuses unknown keys, so that a misspelt one does not silently mean the default. */
export function assertKnownKeys(name: string, value: unknown, known: readonly string[]): asserts value is object {
  assertRule(typeof value === 'object' && value !== null && !Array.isArray(value), name, 'an object', value);
  for (const key of Object.keys(value)) {
    assertRule(known.includes(key), `every key of ${name}`, `one of ${known.join(', ')}`, key);
  }
}

/** ECIDs and Audience Manager UUIDs have the same form (AAM docs, Index of IDs). */
export function isDeviceId(value: unknown): value is string {
  return typeof value === 'string' && /^\d{38}$/.test(value);
}

export function assertDeviceId(name: string, value: unknown): asserts value is string {
  assertRule(isDeviceId(value), name, 'a string of 38 digits', value);
}

/**
 * Owns: looking at objects of somebody else's, which the site's code returns or passes in. Each property is read once, since
 * a getter may answer differently the second time, and what throws when it is looked at counts as unusable. Nothing that was
 * looked at is kept: whoever changes the object later changes nothing here. Never throws. Next: ../option-checks.ts.
 */
import { isPromise } from 'node:util/types';

/** More than any list that fits in a call; bounds lists that only pretend to be so long. */
const MAX_ITEMS = 20_000;

/** The named fields of an object; `undefined` for anything else, and if reading one of them throws. */
export function fieldsOf<Name extends string>(
  given: unknown,
  names: readonly Name[],
): Readonly<Record<Name, unknown>> | undefined {
  if (!isObject(given)) return undefined;
  try {
    const fields = {} as Record<Name, unknown>;
    for (const name of names) fields[name] = (given as Readonly<Record<Name, unknown>>)[name];
    return fields;
  } catch {
    return undefined;
  }
}

/** The own properties of an object that is not an array; `undefined` for anything else, and if reading them throws. */
export function entriesOf(given: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (!isRecord(given)) return undefined;
  try {
    return Object.entries(given);
  } catch {
    return undefined;
  }
}

/** The items of an array, the first 20 000; `undefined` for anything else, and if reading them throws. */
export function itemsOf(given: unknown): readonly unknown[] | undefined {
  if (!isArray(given)) return undefined;
  try {
    // By index: the iterator is the object's own, too, and need not end.
    const list = given as readonly unknown[];
    const length = Math.min(list.length, MAX_ITEMS);
    const items: unknown[] = [];
    for (let n = 0; n < length; n++) items.push(list[n]);
    return items;
  } catch {
    return undefined;
  }
}

/**
 * What a promise, or any object with a `then`, comes to; `undefined` for anything else. The value is wrapped: a promise in a
 * promise is not awaited, since a thenable may go on like that for ever. A `then` that throws when it is read or called is a
 * rejection.
 */
export function promisedBy(given: unknown): Promise<{ readonly value: unknown }> | undefined {
  if (!isObject(given)) return undefined;
  let then: unknown;
  try {
    ({ then } = given as { readonly then?: unknown });
  } catch (error) {
    return Promise.reject(error);
  }
  if (typeof then !== 'function') return undefined;
  return new Promise((resolve, reject) => {
    const settle = (value: unknown) => {
      disregard(value);
      resolve({ value });
    };
    Reflect.apply(then as () => unknown, given, [settle, reject]);
  });
}

/** Keeps the rejection of a promise that nobody waits for from ending the process. */
function disregard(value: unknown): void {
  if (isPromise(value)) new Promise((resolve) => resolve(value)).catch(() => {});
}

/** The name of an error's class, and nothing of its message, which may hold personal data. */
export function kindOfError(error: unknown): string {
  const name = isObject(error) ? fieldsOf(error, ['name'])?.name : undefined;
  if (typeof name === 'string' && /^[A-Z][A-Za-z]{0,60}$/.test(name)) return name;
  return typeof error;
}

/** An object that is no array. */
export function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null && isArray(given) === false;
}

/** `undefined` for a proxy that was revoked, which `Array.isArray()` throws for. */
function isArray(given: unknown): boolean | undefined {
  try {
    return Array.isArray(given);
  } catch {
    return undefined;
  }
}

function isObject(given: unknown): given is object {
  return (typeof given === 'object' && given !== null) || typeof given === 'function';
}

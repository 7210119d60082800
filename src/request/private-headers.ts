/** Owns: what the headers of a page made for one visitor become, so that no shared cache may keep it. Pure. Next: last-word.ts. */
import vary from 'vary';

/** Headers that are about to leave. Names are in lower case. */
export interface LeavingHeaders {
  readonly names: readonly string[];
  get(name: string): unknown;
  set(name: 'Cache-Control' | 'Vary', value: string): void;
  set(name: 'Set-Cookie', values: readonly string[]): void;
  remove(name: string): void;
}

/** What was taken away so that the response is private. */
export interface Taken {
  /** Directives of `Cache-Control`, without values. */
  readonly directives: readonly string[];
  /** Names of headers that a shared cache obeys instead of `Cache-Control`. */
  readonly headers: readonly string[];
}

/** Makes headers private, whatever they are. Doing so twice changes nothing more. */
export function makePrivate(headers: LeavingHeaders, varyCookie: boolean): Taken {
  const current = headers.get('cache-control');
  const { value, taken } = privateForm(current === undefined ? '' : String(current));
  if (value !== current) headers.set('Cache-Control', value);
  const overruling = removeOverruling(headers);
  if (varyCookie) {
    const varied = headers.get('vary') ?? '';
    const text = Array.isArray(varied) ? varied.join(', ') : String(varied);
    const appended = vary.append(text, 'Cookie');
    if (appended !== text) headers.set('Vary', appended);
  }
  return { directives: taken, headers: overruling };
}

/** Keeps headers out of every cache, the browser's too. Doing so twice changes nothing more. */
export function makeUnstored(headers: LeavingHeaders): void {
  headers.set('Cache-Control', 'no-store');
  removeOverruling(headers);
}

/** Adds a cookie, unless it is there. */
export function addCookie(headers: LeavingHeaders, cookie: string): void {
  const others = headers.names.includes('set-cookie') ? [headers.get('set-cookie')].flat() : [];
  if (!others.includes(cookie)) headers.set('Set-Cookie', [...(others as string[]), cookie]);
}

function removeOverruling(headers: LeavingHeaders): readonly string[] {
  let overruling: string[] | undefined;
  for (const name of headers.names) {
    if (!overrules(name) || isHarmless(name, String(headers.get(name)))) continue;
    headers.remove(name);
    overruling ??= [];
    overruling.push(name);
  }
  return overruling ?? NONE;
}

/** Whether headers by this name are read or changed here. */
export function concernsCaches(name: string): boolean {
  return name === 'cache-control' || name === 'vary' || overrules(name);
}

/**
 * Headers that some shared cache prefers to `Cache-Control`: nginx, Akamai, Fastly and Varnish, LiteSpeed, and RFC 9213 with its
 * vendors' forms. HTTP/1.0 caches only know `Expires`.
 */
const OVERRULING: ReadonlySet<string> = new Set([
  'surrogate-control',
  'x-accel-expires',
  'edge-control',
  'akamai-cache-control',
  'x-litespeed-cache-control',
  'expires',
]);

function overrules(name: string): boolean {
  // All of them end with `l` or `s`, and of the usual headers nearly none does.
  const last = name.charCodeAt(name.length - 1);
  return (last === 0x6c || last === 0x73) && (OVERRULING.has(name) || name.endsWith('cdn-cache-control'));
}

function isHarmless(name: string, value: string): boolean {
  if (name === 'x-accel-expires') return /^\s*0+\s*$/.test(value);
  // A date in the past, or none at all, which caches treat as one.
  if (name === 'expires') return !(Date.parse(value) > Date.now());
  const { isPrivate, taken } = privateForm(value);
  return isPrivate && taken.length === 0;
}

const NONE: readonly string[] = [];

/**
 * `Cache-Control` with `private`, unless it forbids storing anyway. `taken`: directives that allowed shared caches to store.
 * `isPrivate`: it was private already. RFC 9111, 5.2.2: a cache that implements `must-understand` ignores `no-store` beside it,
 * and `private="..."` only restricts the named header fields.
 */
export function privateForm(value: string): {
  readonly value: string;
  readonly taken: readonly string[];
  readonly isPrivate: boolean;
} {
  if (value === '') return { value: 'private', taken: NONE, isPrivate: false };
  if (value === 'private') return { value, taken: NONE, isPrivate: true };
  const directives = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)?.map((text) => text.trim()) ?? [];
  const named = directives.map((text) => ({ text, name: (text.split('=', 1)[0] as string).trim().toLowerCase() }));
  const taken = named.filter(({ name }) => name === 'public' || name === 's-maxage').map(({ name }) => name);
  const isPrivate = named.some(({ text }) => /^private$/i.test(text));
  const isNotStored = named.some(({ text }) => /^no-store$/i.test(text));
  const needsPrivate = taken.length > 0 || !isNotStored;
  if (isPrivate && taken.length === 0) return { value, taken, isPrivate };
  const dropped = needsPrivate ? ['public', 's-maxage', 'private'] : ['must-understand'];
  const kept = named.filter(({ text, name }) => text !== '' && !dropped.includes(name)).map(({ text }) => text);
  if (needsPrivate) return { value: ['private', ...kept].join(', '), taken, isPrivate };
  const isUnchanged = kept.length === directives.length;
  return { value: isUnchanged ? value : kept.join(', '), taken, isPrivate: true };
}

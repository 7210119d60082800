/**
 * Owns: finding cookies by name in what a request carries. Knows nothing of what they mean.
 *
 * The raw header is read because it keeps duplicate names apart: a host-only and a domain-wide cookie of one
 * name are both sent, and a parsed object keeps only one of them. Next: amcv-cookie.ts.
 */

const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

/** The decoded values found for each wanted cookie, in the order in which the browser sent them. */
export type CookieValues = readonly (readonly string[])[];

const NONE: readonly string[] = [];

/**
 * The spellings under which a cookie name travels. Browsers percent-encode the `@` of an organisation id; servers
 * and proxies that set the cookie themselves leave it. Both then live side by side.
 */
export function cookieSpellings(name: string): readonly string[] {
  const encoded = encodeURIComponent(name);
  return encoded === name ? [name] : [encoded, name];
}

/**
 * Collects the decoded values of the wanted cookies from a raw `Cookie` header: `result[i]` are the values of
 * `wanted[i]`, an array of spellings of one name. A value with a malformed percent sequence counts as absent.
 */
export function cookiesFromHeader(header: string, wanted: readonly (readonly string[])[]): CookieValues {
  const found: (readonly string[])[] = wanted.map(() => NONE);
  let start = 0;
  while (start < header.length) {
    let end = header.indexOf(';', start);
    if (end === -1) end = header.length;
    while (start < end && isBlank(header.charCodeAt(start))) start++;
    const index = wantedAt(header, start, wanted);
    if (index !== -1) {
      const value = decodedValue(header.slice(header.indexOf('=', start) + 1, end));
      if (value !== undefined) found[index] = [...(found[index] as readonly string[]), value];
    }
    start = end + 1;
  }
  return found;
}

/**
 * The same from an object of cookies that somebody else has parsed and decoded, as cookie-parser does. It decodes
 * values, not names, so both spellings are looked up.
 */
export function cookiesFromObject(
  cookies: Readonly<Record<string, unknown>>,
  wanted: readonly (readonly string[])[],
): CookieValues {
  return wanted.map((spellings) =>
    spellings.map((name) => cookies[name]).filter((value): value is string => typeof value === 'string'),
  );
}

function wantedAt(header: string, start: number, wanted: readonly (readonly string[])[]): number {
  for (let index = 0; index < wanted.length; index++) {
    for (const name of wanted[index] as readonly string[]) {
      // The single character first: it rules out nearly every cookie without comparing strings.
      if (header.charCodeAt(start + name.length) === EQUALS && header.startsWith(name, start)) return index;
    }
  }
  return -1;
}

function decodedValue(raw: string): string | undefined {
  let value = raw.trim();
  if (value.length > 1 && value.charCodeAt(0) === QUOTE && value.charCodeAt(value.length - 1) === QUOTE) {
    value = value.slice(1, -1);
  }
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

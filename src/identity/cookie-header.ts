/**
 * Owns: finding cookies by name in what a request carries. Knows nothing of what they mean.
 *
 * The raw header is read because it keeps duplicate names apart: a host-only and a domain-wide cookie of one
 * name are both sent, and a parsed object keeps only one of them. Next: amcv-cookie.ts.
 */

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

/** One cookie to look for. */
export interface WantedCookie {
  /** All the ways in which its name can be spelt, each with its `=`. */
  readonly spellings: readonly string[];
  /** Their first character, which they share. It alone rules out nearly every other cookie. */
  readonly firstCode: number;
}

/**
 * A cookie's value, still percent-encoded: this part of this text. No copy, because a slice of a string is slower to
 * read, character by character, than the string itself.
 */
export interface CookieValue {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * For each wanted cookie the values found, in the order in which the browser sent them. Most requests have none or one:
 * hence `undefined` rather than an empty list.
 */
export type FoundCookies = readonly (readonly CookieValue[] | undefined)[];

/**
 * Browsers percent-encode the `@` of an organisation id in a cookie's name; servers and proxies that set the cookie
 * themselves leave it. Both then live side by side.
 */
export function wantedCookie(name: string): WantedCookie {
  return { spellings: [...new Set([`${encodeURIComponent(name)}=`, `${name}=`])], firstCode: name.charCodeAt(0) };
}

/** Finds the wanted cookies in a raw `Cookie` header. */
export function cookiesFromHeader(header: string, wanted: readonly WantedCookie[]): FoundCookies {
  const found: (CookieValue[] | undefined)[] = [];
  for (let index = 0; index < wanted.length; index++) found.push(undefined);
  let start = 0;
  while (start < header.length) {
    let end = header.indexOf(';', start);
    if (end === -1) end = header.length;
    while (start < end && isBlank(header.charCodeAt(start))) start++;
    const firstCode = header.charCodeAt(start);
    for (let index = 0; index < wanted.length; index++) {
      const cookie = wanted[index] as WantedCookie;
      if (cookie.firstCode !== firstCode) continue;
      const nameLength = lengthOfName(header, start, cookie.spellings);
      if (nameLength === 0) continue;
      const value = trimmed(header, start + nameLength, end);
      const values = found[index];
      if (values === undefined) found[index] = [value];
      else values.push(value);
    }
    start = end + 1;
  }
  return found;
}

/**
 * The same from an object of cookies that somebody else has parsed, as cookie-parser does. It has decoded the values,
 * not the names. The values are encoded again, so that there is one grammar to read.
 */
export function cookiesFromObject(
  cookies: Readonly<Record<string, unknown>>,
  wanted: readonly WantedCookie[],
): FoundCookies {
  return wanted.map(({ spellings }) => {
    const values = spellings.map((spelling) => encoded(cookies[spelling.slice(0, -1)])).filter(isDefined);
    return values.length === 0 ? undefined : values.map((text) => trimmed(text, 0, text.length));
  });
}

/** How long the name is, with its `=`; 0 when it is another cookie. */
function lengthOfName(header: string, start: number, spellings: readonly string[]): number {
  for (let n = 0; n < spellings.length; n++) {
    const spelling = spellings[n] as string;
    if (header.startsWith(spelling, start)) return spelling.length;
  }
  return 0;
}

/** Without blanks around it and without the double quotes that RFC 6265 allows. */
function trimmed(text: string, from: number, to: number): CookieValue {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (start < end && isBlank(text.charCodeAt(end - 1))) end--;
  const isQuoted = end - start > 1 && text.charCodeAt(start) === QUOTE && text.charCodeAt(end - 1) === QUOTE;
  return isQuoted ? { text, start: start + 1, end: end - 1 } : { text, start, end };
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function encoded(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    // Some parsers leave the quotes; encoded they would become a part of the value.
    return encodeURIComponent(value).replaceAll('%22', '"');
  } catch {
    return undefined; // half of a surrogate pair: nothing that came through a cookie
  }
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/**
 * Owns: finding cookies by name in what a request carries. Knows nothing of what they mean.
 *
 * The raw header is read because it keeps duplicate names apart: a host-only and a domain-wide cookie of one
 * name are both sent, and a parsed object keeps only one of them. Next: identity/ and consent/, each for its own.
 */
import { isRecord } from '../option-checks';

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

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
 * By slot the values found, in the order in which the browser sent them. Most requests have none or one: hence
 * `undefined` rather than an empty list.
 */
export type FoundCookies = readonly (readonly CookieValue[] | undefined)[];

/** Where the values of one cookie stand in {@link FoundCookies}. */
export type CookieSlot = number;

/** Finds all the cookies that anybody wants in one pass. */
export class CookieFinder {
  /** All the ways in which each name can be spelt, with its `=`. */
  readonly #spellings: string[][] = [];
  /** The slots by the first character of the name. It alone rules out nearly every other cookie. */
  readonly #slotsByFirstCode: (CookieSlot[] | undefined)[] = Array.from({ length: 128 }, () => undefined);

  /**
   * Asks for a cookie by its name. Browsers percent-encode the `@` of an organisation id in a cookie's name; servers and
   * proxies that set the cookie themselves leave it. Both then live side by side.
   */
  want(name: string): CookieSlot {
    const slot = this.#spellings.push([...new Set([`${encodeURIComponent(name)}=`, `${name}=`])]) - 1;
    const firstCode = name.charCodeAt(0);
    this.#slotsByFirstCode[firstCode] = [...(this.#slotsByFirstCode[firstCode] ?? []), slot];
    return slot;
  }

  /**
   * In the raw `Cookie` header; where there is none, in an object of cookies that somebody else has parsed, as
   * cookie-parser does.
   */
  find(header: string | undefined, parsed: unknown): FoundCookies {
    if (header !== undefined) return this.#inHeader(header);
    return isRecord(parsed) ? this.#inObject(parsed) : NONE;
  }

  #inHeader(header: string): FoundCookies {
    let found: (CookieValue[] | undefined)[] | undefined;
    let start = 0;
    while (start < header.length) {
      let end = header.indexOf(';', start);
      if (end === -1) end = header.length;
      while (start < end && isBlank(header.charCodeAt(start))) start++;
      const slots = this.#slotsByFirstCode[header.charCodeAt(start)];
      if (slots !== undefined) {
        for (let n = 0; n < slots.length; n++) {
          const slot = slots[n] as CookieSlot;
          const nameLength = lengthOfName(header, start, this.#spellings[slot] as string[]);
          if (nameLength === 0) continue;
          found ??= this.#spellings.map(nothing);
          const value = trimmed(header, start + nameLength, end);
          const values = found[slot];
          if (values === undefined) found[slot] = [value];
          else values.push(value);
        }
      }
      start = end + 1;
    }
    return found ?? NONE;
  }

  /** Others have decoded the values, not the names. The values are encoded again, so that there is one grammar to read. */
  #inObject(cookies: Readonly<Record<string, unknown>>): FoundCookies {
    return this.#spellings.map((spellings) => {
      const values = spellings.map((spelling) => encoded(cookies[spelling.slice(0, -1)])).filter(isDefined);
      return values.length === 0 ? undefined : values.map((text) => trimmed(text, 0, text.length));
    });
  }
}

/**
 * A value, decoded once as the browsers' clients do. Undefined when its percent sequences are malformed: such a value
 * counts as absent for an id, and as a refusal for a consent.
 */
export function decodedValue({ text, start, end }: CookieValue): string | undefined {
  try {
    return decodeURIComponent(text.slice(start, end));
  } catch {
    return undefined;
  }
}

const NONE: FoundCookies = [];

function nothing(): undefined {}

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

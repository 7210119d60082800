/**
 * Owns: finding cookies by name in a request. It does not know what they mean.
 *
 * The raw header is read because it has duplicates: a host-only and a domain-wide cookie of one name are both sent, and a
 * parsed object keeps only one. Next: identity/ and consent/, which look for their cookies.
 */
import { isRecord } from '../option-checks';

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

/**
 * A cookie's value, still percent-encoded, as a range within a text. Not a slice, because V8 reads the characters of a slice
 * more slowly.
 */
export interface CookieValue {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The values of each cookie, by slot, in the order of the header; `undefined` where there is none. */
export type FoundCookies = readonly (readonly CookieValue[] | undefined)[];

/** The index of a cookie's values in {@link FoundCookies}. */
export type CookieSlot = number;

/** Finds all registered cookies in one pass. */
export class CookieFinder {
  /** By slot: the spellings of the name, each with its `=`. */
  readonly #spellings: string[][] = [];
  /** Slots by the first character of the name, which rules out nearly all other cookies. */
  readonly #slotsByFirstCode: (CookieSlot[] | undefined)[] = Array.from({ length: 128 }, () => undefined);

  /**
   * Registers a cookie by name. Adobe's browser code percent-encodes the `@` of an organisation id in a cookie's name; servers
   * and proxies that set the cookie do not. Both may be present.
   */
  register(name: string): CookieSlot {
    const slot = this.#spellings.push([...new Set([`${encodeURIComponent(name)}=`, `${name}=`])]) - 1;
    const firstCode = name.charCodeAt(0);
    this.#slotsByFirstCode[firstCode] = [...(this.#slotsByFirstCode[firstCode] ?? []), slot];
    return slot;
  }

  /**
   * @param header the raw `Cookie` header
   * @param parsed what cookie-parser or the like made of it, used where there is no header
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
          const nameLength = matchLength(header, start, this.#spellings[slot] as string[]);
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

  /** Parsers decode values, not names. The values are encoded again, so that readers see one grammar. */
  #inObject(cookies: Readonly<Record<string, unknown>>): FoundCookies {
    return this.#spellings.map((spellings) => {
      const values = spellings.map((spelling) => encoded(cookies[spelling.slice(0, -1)])).filter(isDefined);
      return values.length === 0 ? undefined : values.map((text) => trimmed(text, 0, text.length));
    });
  }
}

/**
 * A value, percent-decoded once, as Adobe's browser code does; `undefined` for a malformed percent sequence. Such a value
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

/** The length of the name with its `=`; 0 for another cookie. */
function matchLength(header: string, start: number, spellings: readonly string[]): number {
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
    // Some parsers keep the quotes; encoded, they would become part of the value.
    return encodeURIComponent(value).replaceAll('%22', '"');
  } catch {
    return undefined; // a lone surrogate, which no cookie can carry
  }
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}

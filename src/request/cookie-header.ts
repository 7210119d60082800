/**
 * Owns: finding cookies by name in a request. It does not know what they mean.
 *
 * The raw header is read because it has duplicates: a host-only and a domain-wide cookie of one name are both sent, and a
 * parsed object keeps only one. Next: identity/ and consent/, which look for their cookies.
 */
import { fieldsOf, isRecord, itemsOf } from '../handed-over/reading';
import { headerText } from './header-text';

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const EQUALS = 0x3d;

/**
 * Browsers repeat a cookie for each of its domains and paths. Beyond this the values are not read: each may cost a search
 * through the rest of the header.
 */
const MAX_VALUES = 16;

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

/** A name to look for, in one of its spellings. */
interface Spelling {
  readonly slot: CookieSlot;
  /** With its `=`. */
  readonly text: string;
  readonly length: number;
}

/** Finds all registered cookies in one pass. */
export class CookieFinder {
  /** By slot. */
  readonly #names: string[][] = [];
  /** By the first character of the name, which rules out nearly all other cookies. */
  readonly #spellings: (Spelling[] | undefined)[] = Array.from({ length: 128 }, () => undefined);
  /** One place for each slot. */
  readonly #nothing: undefined[] = [];

  /**
   * Registers a cookie by name. Adobe's browser code percent-encodes the `@` of an organisation id in a cookie's name; servers
   * and proxies that set the cookie do not. Both may be present.
   */
  register(name: string): CookieSlot {
    const names = [...new Set([encodeURIComponent(name), name])];
    const slot = this.#names.push(names) - 1;
    const firstCode = name.charCodeAt(0);
    const spellings = names.map((each) => ({ slot, text: `${each}=`, length: each.length + 1 }));
    this.#spellings[firstCode] = [...(this.#spellings[firstCode] ?? []), ...spellings];
    this.#nothing.push(undefined);
    return slot;
  }

  /**
   * @param header the raw `Cookie` header
   * @param parsed what cookie-parser or the like made of it, used where there is no header
   */
  find(header: unknown, parsed: unknown): FoundCookies {
    const text = headerText(header, UNREADABLE, '; ');
    if (text === UNREADABLE) return this.#incomplete(this.#nothing.slice());
    if (text !== undefined) return this.#inHeader(text);
    if (parsed === undefined || parsed === null) return NONE;
    return isRecord(parsed) ? this.#inObject(parsed) : this.#incomplete(this.#nothing.slice());
  }

  /** Whether there are values that were not read: more of one cookie than browsers send, or a header that is no text. */
  isIncomplete(found: FoundCookies): boolean {
    return found.length > this.#names.length;
  }

  #incomplete(found: (CookieValue[] | undefined)[]): FoundCookies {
    found[this.#names.length] = undefined;
    return found;
  }

  #inHeader(header: string): FoundCookies {
    let found: (CookieValue[] | undefined)[] | undefined;
    let start = 0;
    let semicolon = -1;
    let comma = -1;
    while (start < header.length) {
      if (semicolon < start) semicolon = positionOf(';', header, start);
      if (comma < start) comma = positionOf(',', header, start);
      let end = semicolon;
      if (comma < end) {
        comma = this.#separatingComma(header, comma, end);
        end = Math.min(comma, end);
      }
      while (start < end && isBlank(header.charCodeAt(start))) start++;
      const spellings = start < end ? this.#spellings[header.charCodeAt(start)] : undefined;
      if (spellings !== undefined) {
        for (let n = 0; n < spellings.length; n++) {
          const { slot, text, length } = spellings[n] as Spelling;
          // Nearly always the length is another one, and looking for its `=` costs less than comparing. A slice, because
          // startsWith() takes twice as long.
          const nameEnd = start + length;
          if (header.charCodeAt(nameEnd - 1) !== EQUALS || header.slice(start, nameEnd) !== text) continue;
          found ??= this.#nothing.slice();
          const value = trimmed(header, nameEnd, end);
          const values = found[slot];
          if (values === undefined) found[slot] = [value];
          else if (values.length < MAX_VALUES) values.push(value);
          else this.#incomplete(found);
        }
      }
      start = end + 1;
    }
    return found ?? NONE;
  }

  /**
   * The first comma before `end` that joins two cookies; the first one behind `end` if none does. Load balancers and serverless
   * adapters join several `Cookie` headers by commas. Values have commas, too: one separates only if a name and `=` follow, and
   * if nothing stands between, a name that is looked for.
   */
  #separatingComma(header: string, from: number, end: number): number {
    let comma = from;
    for (; comma < end; comma = positionOf(',', header, comma + 1)) {
      const next = header.charCodeAt(comma + 1);
      NAME_BEHIND_BLANKS.lastIndex = comma + 1;
      const isJoint = isBlank(next)
        ? NAME_BEHIND_BLANKS.test(header)
        : this.#spellings[next]?.some(({ text }) => header.startsWith(text, comma + 1));
      if (isJoint) return comma;
    }
    return comma;
  }

  /** Parsers decode values, not names. The values are encoded again, so that readers see one grammar. */
  #inObject(cookies: Readonly<Record<string, unknown>>): FoundCookies {
    let isComplete = true;
    const found = this.#names.map((names) => {
      const fields = fieldsOf(cookies, names);
      const texts = names.flatMap((name) => textsOf(fields?.[name]));
      if (fields === undefined || texts.length > MAX_VALUES) isComplete = false;
      return texts.length === 0 ? undefined : texts.slice(0, MAX_VALUES).map((text) => trimmed(text, 0, text.length));
    });
    return isComplete ? found : this.#incomplete(found);
  }
}

/**
 * A value, percent-decoded once, as Adobe's browser code does; `undefined` for a malformed percent sequence. Such a value
 * counts as absent for an id, and as a refusal for a consent.
 */
export function decodedValue({ text, start, end }: CookieValue): string | undefined {
  const value = text.slice(start, end);
  // Decoding costs more than the search.
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

const NONE: FoundCookies = [];
const NAME_BEHIND_BLANKS = /[ \t]+[\w.%@~!#$&'*+^-]+=/y;
const UNREADABLE = Symbol('unreadable');
/** A percent sequence that cannot be decoded: absent for an id, a refusal for a consent. */
const MALFORMED = '%';

/** The values of a parsed cookie; what a parser made of them that is no text is one that cannot be read. */
function textsOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  return (itemsOf(value) ?? [value]).map(encoded);
}

/** The next position of a separator; the length of the header if there is none. */
function positionOf(separator: string, header: string, from: number): number {
  const at = header.indexOf(separator, from);
  return at === -1 ? header.length : at;
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

function encoded(value: unknown): string {
  if (typeof value !== 'string') return MALFORMED;
  try {
    // What a parser could not decode it leaves as it was.
    if (value.includes('%')) decodeURIComponent(value);
    // Some parsers keep the quotes; encoded, they would become part of the value.
    return encodeURIComponent(value).replaceAll('%22', '"');
  } catch {
    return MALFORMED; // also a lone surrogate, which no cookie can carry
  }
}

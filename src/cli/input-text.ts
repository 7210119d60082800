/**
 * Owns: the text of an input whose bytes are to be passed on as they are. It is handled in units that map one to one to what
 * was read: bytes, for UTF-8 and everything else that contains ASCII; UTF-16 code units, where the file begins with the mark
 * of UTF-16. Only what is looked at is decoded.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { UsageError } from './command';
import { isSystemError, systemError } from './files';

/** More than any row; bounds what is held while the end of one is looked for. */
const MAX_ROW_UNITS = 1_048_576;

const UTF8 = new TextDecoder('utf-8', { fatal: true });

type Kind = 'bytes' | 'utf16le' | 'utf16be';

export class InputText {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #name: string;
  readonly #hash = createHash('sha256');
  #kind: Kind = 'bytes';
  /** Half a code unit. */
  #rest: Buffer = Buffer.alloc(0);
  #first: Promise<void> | undefined;
  #buffer = '';
  #isAtEnd = false;
  /** The byte order mark, in units. */
  mark = '';
  /** The line that was read last, from 1. */
  line = 0;

  /** @param name of the input, for messages */
  constructor(stream: Readable, name: string) {
    this.#chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    this.#name = name;
  }

  /** Reads the beginning. @throws {UsageError} for an empty input */
  async open(): Promise<void> {
    this.#first ??= this.#open();
    await this.#first;
  }

  /** SHA-256 of the bytes that were read. */
  get digest(): string {
    return this.#hash.copy().digest('base64url');
  }

  /**
   * The next row as `endOf` finds it: it returns where the content of the row that begins at `from` ends and where the next
   * one begins, or `undefined` where more text is needed. `undefined` at the end.
   * @throws {UsageError} for a row that does not end
   */
  async next(
    endOf: (text: string, isAtEnd: boolean) => { readonly end: number; readonly next: number } | undefined,
  ): Promise<string | undefined> {
    for (;;) {
      const found = this.#buffer === '' ? undefined : endOf(this.#buffer, this.#isAtEnd);
      if (found !== undefined) {
        const row = this.#buffer.slice(0, found.end);
        this.#buffer = this.#buffer.slice(found.next);
        return row;
      }
      if (this.#isAtEnd) return undefined;
      if (this.#buffer.length > MAX_ROW_UNITS) {
        throw new UsageError(`line ${this.line + 1}: a row of more than a megabyte; is a quote not closed?`);
      }
      await this.#readMore();
    }
  }

  /** What is buffered of the beginning, for a first look. */
  async peek(): Promise<string> {
    while (!this.#isAtEnd && this.#buffer.length < 65_536 && !/[\r\n][\s\S]/.test(this.#buffer)) await this.#readMore();
    return this.#buffer;
  }

  /** What units say; `undefined` where they are not UTF-8. */
  decoded(units: string): string | undefined {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
    if (this.#kind !== 'bytes' || /^[\x00-\x7f]*$/.test(units)) return units;
    try {
      return UTF8.decode(Buffer.from(units, 'latin1'));
    } catch {
      return undefined;
    }
  }

  /** Text as units of this input. */
  encoded(text: string): string {
    return this.#kind === 'bytes' ? Buffer.from(text, 'utf8').toString('latin1') : text;
  }

  bytes(units: string): Buffer {
    if (this.#kind === 'bytes') return Buffer.from(units, 'latin1');
    const bytes = Buffer.from(units, 'utf16le');
    return this.#kind === 'utf16le' ? bytes : bytes.swap16();
  }

  async #open(): Promise<void> {
    let start = Buffer.alloc(0);
    while (start.length < 3 && !this.#isAtEnd) start = Buffer.concat([start, await this.#chunk()]);
    if (start.length === 0) throw new UsageError(`${this.#name} is empty`);
    if (start[0] === 0xff && start[1] === 0xfe) this.#kind = 'utf16le';
    if (start[0] === 0xfe && start[1] === 0xff) this.#kind = 'utf16be';
    const markBytes = this.#kind !== 'bytes' ? 2 : start.subarray(0, 3).toString('latin1') === '\xef\xbb\xbf' ? 3 : 0;
    const units = this.#unitsOf(start);
    const markUnits = this.#kind === 'bytes' ? markBytes : 1;
    this.mark = units.slice(0, markUnits);
    this.#buffer = units.slice(markUnits);
  }

  async #readMore(): Promise<void> {
    const chunk = await this.#chunk();
    this.#buffer += this.#unitsOf(chunk);
  }

  async #chunk(): Promise<Buffer> {
    let step: IteratorResult<Buffer>;
    try {
      step = await this.#chunks.next();
    } catch (error) {
      if (isSystemError(error)) throw new UsageError(`${this.#name}: ${systemError(error)}`);
      throw error;
    }
    this.#isAtEnd = step.done === true;
    if (step.done) return Buffer.alloc(0);
    this.#hash.update(step.value);
    return step.value;
  }

  #unitsOf(chunk: Buffer): string {
    if (this.#kind === 'bytes') return chunk.toString('latin1');
    const bytes = Buffer.concat([this.#rest, chunk]);
    const length = bytes.length - (bytes.length % 2);
    this.#rest = bytes.subarray(length);
    if (this.#isAtEnd && this.#rest.length > 0) {
      throw new UsageError(`${this.#name} ends in the middle of a UTF-16 character`);
    }
    const whole = Buffer.from(bytes.subarray(0, length));
    return (this.#kind === 'utf16le' ? whole : whole.swap16()).toString('utf16le');
  }
}

/** The end of a line; lines end with LF or CR LF, and nothing else: JSON may hold U+2028. */
export function endOfLine(text: string, isAtEnd: boolean): { readonly end: number; readonly next: number } | undefined {
  const at = text.indexOf('\n');
  if (at !== -1) return { end: text[at - 1] === '\r' ? at - 1 : at, next: at + 1 };
  return isAtEnd ? { end: text.length, next: text.length } : undefined;
}

/** Owns: `bulk` rows as CSV. Columns that it does not know are passed through as they are. */
import { UsageError } from '../command';
import type { InputText } from '../input-text';
import { cellOf, cellsOf, detectedDelimiter, endOfRow, safeCell, textIn } from './csv-dialect';
import {
  type CustomerSource,
  FIELDS,
  type Field,
  MISSING_SOURCE,
  type Outcome,
  type Row,
  type RowFormat,
  visitorIn,
} from './rows';

const OWN_COLUMNS = ['aam_status', 'aam_reason', 'aam_segment_ids', 'aam_segment_names', 'aam_error'];
const VISITOR_COLUMNS = ['ecid', 'uuid', 'customer_id'];

export interface CsvOptions {
  readonly source: CustomerSource;
  /** @default detected from the header */
  readonly delimiter: string | undefined;
  /** Whether cells that a spreadsheet would run are written as text. */
  readonly hasSafeCells: boolean;
}

export class CsvRows implements RowFormat {
  readonly #text: InputText;
  readonly #options: CsvOptions;
  #delimiter = ',';
  #lineEnd = '\n';
  #header: readonly string[] = [];
  /** The position of each known column; -1 without it. */
  readonly #at = Object.fromEntries(FIELDS.map((name) => [name, -1])) as Record<Field, number>;
  /** Whether columns are left out: the outcomes of an earlier `bulk`. */
  #hasOwnColumns = false;
  #isPassedThrough: readonly boolean[] = [];

  constructor(text: InputText, options: CsvOptions) {
    this.#text = text;
    this.#options = options;
  }

  get inputDigest(): string {
    return this.#text.digest;
  }

  async open(): Promise<string> {
    await this.#text.open();
    const start = await this.#text.peek();
    const isKnown = (cell: string) => (FIELDS as readonly string[]).includes(this.#nameOf(cell));
    this.#delimiter = this.#options.delimiter ?? detectedDelimiter(start.replace(/^[\r\n]+/, ''), isKnown);
    this.#lineEnd = /\r\n|\n|\r/.exec(start.replace(/^[\r\n]+/, ''))?.[0] ?? '\n';
    const header = (await this.#nextRow()) ?? '';
    this.#readHeader(cellsOf(header, this.#delimiter));
    return header;
  }

  async *read(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    for (let index = 0; ; index++) {
      const content = await this.#nextRow();
      if (content === undefined) return;
      const cells = cellsOf(content, this.#delimiter);
      if (cells.length !== this.#header.length) {
        const { length } = this.#header;
        throw new UsageError(`line ${this.#text.line}: ${cells.length} cells, but the header has ${length}`);
      }
      const visitor = visitorIn((name) => this.#valueIn(cells[this.#at[name]]), this.#options.source);
      const row = Object.assign(visitor, { index, content }) as unknown as Row;
      if (isWanted(row)) yield row;
    }
  }

  bytesOf(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): Buffer {
    let text = '';
    if (isFirst) text = this.#text.mark + this.#line(this.#header, OWN_COLUMNS);
    for (const [{ content }, { status, reason, ids, names, error }] of rows) {
      const own = [status, reason, ids, names.join(';'), error];
      const isUntouched = !this.#hasOwnColumns && !this.#options.hasSafeCells;
      text += isUntouched
        ? `${content}${this.#delimiter}${this.#ownCells(own)}${this.#lineEnd}`
        : this.#line(cellsOf(content, this.#delimiter), own);
    }
    return this.#text.bytes(text);
  }

  #line(cells: readonly string[], own: readonly string[]): string {
    const passed = this.#hasOwnColumns ? cells.filter((_, at) => this.#isPassedThrough[at]) : cells;
    const safe = this.#options.hasSafeCells ? passed.map((cell) => this.#safe(cell)) : passed;
    return `${[...safe, this.#ownCells(own)].join(this.#delimiter)}${this.#lineEnd}`;
  }

  #ownCells(own: readonly string[]): string {
    return own
      .map((value) => {
        const cell = this.#text.encoded(cellOf(value, this.#delimiter));
        return this.#options.hasSafeCells ? this.#safe(cell) : cell;
      })
      .join(this.#delimiter);
  }

  #safe(cell: string): string {
    const value = textIn(cell);
    return safeCell(cell, this.#text.decoded(value) ?? value);
  }

  /** The next row that is not empty. */
  async #nextRow(): Promise<string | undefined> {
    for (;;) {
      let isOpen = false;
      const row = await this.#text.next((text, isAtEnd) => {
        const found = endOfRow(text, isAtEnd, this.#delimiter, this.#lineEnd === '\r');
        isOpen = found?.end === -1;
        return found;
      });
      if (isOpen) throw new UsageError(`line ${this.#text.line + 1}: a quote is not closed`);
      if (row === undefined) return undefined;
      this.#text.line += 1 + (row.match(/\n/g)?.length ?? 0);
      if (row !== '') return row;
    }
  }

  #readHeader(header: readonly string[]): void {
    this.#header = header;
    const names = header.map((cell) => this.#nameOf(cell));
    for (const name of FIELDS) {
      this.#at[name] = names.indexOf(name);
      if (names.lastIndexOf(name) !== this.#at[name]) throw new UsageError(`the header names ${name} twice`);
    }
    this.#isPassedThrough = names.map((name) => !OWN_COLUMNS.includes(name));
    this.#hasOwnColumns = this.#isPassedThrough.includes(false);
    if (!VISITOR_COLUMNS.some((column) => names.includes(column))) {
      const got = this.#text.decoded(header.join(this.#delimiter)) ?? 'text that is not UTF-8';
      throw new UsageError(
        `the first line must name one of the columns ${VISITOR_COLUMNS.join(', ')}, got ${got.slice(0, 200)}`,
      );
    }
    const isSourceKnown =
      this.#options.source !== undefined || this.#at.data_source_id + this.#at.integration_code > -2;
    if (this.#at.customer_id !== -1 && !isSourceKnown) throw new UsageError(`The column ${MISSING_SOURCE}`);
  }

  #nameOf(cell: string): string {
    return textIn(cell).trim().toLowerCase();
  }

  /** What is not UTF-8 names nobody: `null` is no valid id. */
  #valueIn(cell: string | undefined): string | undefined | null {
    if (cell === undefined) return undefined;
    const value = this.#text.decoded(textIn(cell));
    return value === undefined ? null : value.trim() || undefined;
  }
}

/** Owns: `bulk` rows as CSV. Columns that it does not know are passed through. */
import { pipeline, type Readable } from 'node:stream';
import { UsageError } from '../command';
import { csvPackages } from '../optional-package';
import { type CustomerSource, FIELDS, type Field, type Outcome, type Row, type RowFormat, visitorIn } from './rows';

const OWN_COLUMNS = ['aam_status', 'aam_reason', 'aam_segment_ids', 'aam_segment_names', 'aam_error'];
const VISITOR_COLUMNS = ['ecid', 'uuid', 'customer_id'];

export class CsvRows implements RowFormat {
  readonly #csv = csvPackages();
  readonly #input: Readable;
  readonly #source: CustomerSource;
  #columns: readonly string[] = [];
  /** The position of each known column; -1 without it. */
  readonly #at = Object.fromEntries(FIELDS.map((name) => [name, -1])) as Record<Field, number>;
  /** Positions of the columns to pass through: not the outcomes of an earlier `bulk`. */
  #passedThrough: readonly number[] = [];

  /** @throws {UsageError} where csv-parse or csv-stringify is not installed */
  constructor(input: Readable, source: CustomerSource) {
    this.#input = input;
    this.#source = source;
  }

  async *read(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    const parser = this.#csv.parse({ bom: true, skip_empty_lines: true });
    // Errors of the file, too, are thrown by the parser.
    pipeline(this.#input, parser, () => {});
    let index = -1;
    try {
      for await (const fields of parser as AsyncIterable<string[]>) {
        if (index === -1) this.#readHeader(fields);
        else {
          const row = Object.assign(this.#parseVisitor(fields), { index, content: fields }) as unknown as Row;
          if (isWanted(row)) yield row;
        }
        index++;
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw code?.startsWith('CSV_') ? new UsageError(message) : error;
    }
  }

  stringify(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): string {
    const header = [...this.#passedThrough.map((at) => this.#columns[at]), ...OWN_COLUMNS];
    const records = rows.map(([{ content }, { status, reason, ids, names, error }]) => {
      const fields = content as readonly string[];
      return [...this.#passedThrough.map((at) => fields[at]), status, reason, ids, names.join(';'), error];
    });
    return this.#csv.stringify(isFirst ? [header, ...records] : records);
  }

  #readHeader(columns: readonly string[]): void {
    this.#columns = columns.map((column) => column.trim());
    for (const name of FIELDS) this.#at[name] = this.#columns.indexOf(name);
    this.#passedThrough = columns.flatMap((column, at) => (OWN_COLUMNS.includes(column) ? [] : [at]));
    if (VISITOR_COLUMNS.some((column) => this.#columns.includes(column))) return;
    throw new UsageError(
      `the first line must name one of the columns ${VISITOR_COLUMNS.join(', ')}, got ${columns.join(', ')}`,
    );
  }

  #parseVisitor(fields: readonly string[]) {
    return visitorIn((name) => fields[this.#at[name]]?.trim() || undefined, this.#source);
  }
}

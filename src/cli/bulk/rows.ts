/** Owns: the rows of `bulk`, as CSV and as NDJSON: which visitor a row names, and how it is written with its outcome. */
import { hash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pipeline, type Readable } from 'node:stream';
import type { VisitorId } from '../../identity/visitor';
import type { LookupResult } from '../../lookup/lookup-many';
import { isRecord } from '../../option-checks';
import { UsageError } from '../command';
import { csvPackages } from '../optional-package';

export type Format = 'csv' | 'ndjson';

/** Where customer ids belong whose row does not say. */
export type CustomerSource = { readonly dataSourceId: number } | { readonly integrationCode: string } | undefined;

/** A row, and the visitor whom it names; whether it names any is found out by asking. */
export type Row = VisitorId & {
  /** From 0. */
  readonly index: number;
  /** The fields of a CSV row, the object of an NDJSON line, or the line itself where it is none. */
  readonly content: readonly string[] | Readonly<Record<string, unknown>> | string;
};

/** What is written of a result. */
export interface Outcome {
  readonly status: string;
  readonly reason: string;
  /** With ';' between them. */
  readonly ids: string;
  readonly names: readonly string[];
  /** The code of an error. */
  readonly error: string;
}

export function outcomeOf({ segments, error }: LookupResult<Row>): Outcome {
  if (segments === undefined) return { status: '', reason: '', ids: '', names: [], error: error.code };
  const { status, reason = '', names } = segments;
  const ids = segments.ids.join(';');
  // Whether it was asked about anew or a moment ago depends on how often it occurs, and on nothing in the row.
  return { status: status === 'cached' ? 'fresh' : status, reason, ids, names, error: '' };
}

/** Tells a row from others, in a journal. */
export function digestOf({ content }: Row): string {
  return hash('sha1', JSON.stringify(content), 'base64url').slice(0, 10);
}

export interface RowReader {
  /** @param isWanted without which a row is left out */
  rows(isWanted: (row: Row) => boolean): AsyncIterable<Row>;
  /** Rows with their outcomes, as they are written. The head of the file comes with the first, when `isFirst`. */
  write(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): string;
}

const OWN_COLUMNS = ['aam_status', 'aam_reason', 'aam_segment_ids', 'aam_segment_names', 'aam_error'];
const VISITOR_COLUMNS = ['ecid', 'uuid', 'customer_id'];
const FIELDS = ['ecid', 'uuid', 'customer_id', 'region', 'data_source_id', 'integration_code', 'auth_state'] as const;
type Field = (typeof FIELDS)[number];

/**
 * @throws {UsageError} at once where a package that it needs is not installed; while reading, for a file that is not what
 * it should be: the message names the line
 */
export function rowReader(input: Readable, format: Format, source: CustomerSource): RowReader {
  return format === 'csv' ? new CsvRows(input, source) : new NdjsonRows(input, source);
}

class CsvRows implements RowReader {
  readonly #csv = csvPackages();
  readonly #input: Readable;
  readonly #source: CustomerSource;
  #columns: readonly string[] = [];
  readonly #at = Object.fromEntries(FIELDS.map((name) => [name, -1])) as Record<Field, number>;
  /** Of a file that was written by bulk itself, its outcomes are replaced. */
  #kept: readonly number[] = [];

  constructor(input: Readable, source: CustomerSource) {
    this.#input = input;
    this.#source = source;
  }

  async *rows(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    const parser = this.#csv.parse({ bom: true, skip_empty_lines: true });
    // A failure of the file comes out of the parser.
    pipeline(this.#input, parser, () => {});
    let index = -1;
    try {
      for await (const fields of parser as AsyncIterable<string[]>) {
        if (index === -1) this.#readHead(fields);
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

  write(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): string {
    const head = [...this.#kept.map((at) => this.#columns[at]), ...OWN_COLUMNS];
    const records = rows.map(([{ content }, { status, reason, ids, names, error }]) => {
      const fields = content as readonly string[];
      return [...this.#kept.map((at) => fields[at]), status, reason, ids, names.join(';'), error];
    });
    return this.#csv.stringify(isFirst ? [head, ...records] : records);
  }

  #readHead(columns: readonly string[]): void {
    this.#columns = columns.map((column) => column.trim());
    for (const name of FIELDS) this.#at[name] = this.#columns.indexOf(name);
    this.#kept = columns.flatMap((column, at) => (OWN_COLUMNS.includes(column) ? [] : [at]));
    if (VISITOR_COLUMNS.some((column) => this.#columns.includes(column))) return;
    throw new UsageError(
      `the first line must name one of the columns ${VISITOR_COLUMNS.join(', ')}, got ${columns.join(', ')}`,
    );
  }

  #parseVisitor(fields: readonly string[]) {
    return visitorIn((name) => fields[this.#at[name]]?.trim() || undefined, this.#source);
  }
}

class NdjsonRows implements RowReader {
  readonly #input: Readable;
  readonly #source: CustomerSource;

  constructor(input: Readable, source: CustomerSource) {
    this.#input = input;
    this.#source = source;
  }

  async *rows(isWanted: (row: Row) => boolean): AsyncGenerator<Row> {
    let index = 0;
    for await (const line of createInterface({ input: this.#input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.trim() === '') continue;
      const content = objectIn(line);
      const fields = typeof content === 'string' ? {} : content;
      const visitor = visitorIn((name) => fields[name], this.#source);
      const customerIds = fields.customerIds ?? visitor.customerIds;
      const row = { ...visitor, customerIds, index, content } as Row;
      if (isWanted(row)) yield row;
      index++;
    }
  }

  write(rows: readonly (readonly [Row, Outcome])[]): string {
    return rows
      .map(([{ content }, { status, reason, ids, names, error }]) => {
        const aam = { status, reason, segmentIds: ids === '' ? [] : ids.split(';'), segmentNames: names, error };
        return `${JSON.stringify({ ...(typeof content === 'string' ? { line: content } : content), aam })}\n`;
      })
      .join('');
  }
}

function objectIn(line: string): Readonly<Record<string, unknown>> | string {
  try {
    const content: unknown = JSON.parse(line);
    return isRecord(content) ? content : line;
  } catch {
    return line;
  }
}

function visitorIn(field: (name: Field) => unknown, source: CustomerSource) {
  const [id, region, dataSourceId] = [field('customer_id'), field('region'), field('data_source_id')];
  const integrationCode = field('integration_code');
  const own =
    integrationCode !== undefined
      ? { integrationCode }
      : dataSourceId !== undefined
        ? { dataSourceId: Number(dataSourceId) }
        : source;
  return {
    ecid: field('ecid'),
    uuid: field('uuid'),
    region: region === undefined ? undefined : Number(region),
    customerIds: id === undefined ? undefined : [{ id, ...own, authState: field('auth_state') }],
  };
}

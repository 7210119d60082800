/**
 * Owns: what a row of `bulk` is, in either format: the visitor that it names, and the outcome that it gets. Next:
 * csv-rows.ts and ndjson-rows.ts.
 */
import { hash } from 'node:crypto';
import type { VisitorId } from '../../identity/visitor';
import type { LookupResult } from '../../lookup/lookup-many';

export type Format = 'csv' | 'ndjson';

/** The data source of customer ids in rows that name none. */
export type CustomerSource = { readonly dataSourceId: number } | { readonly integrationCode: string } | undefined;

/** A row with its visitor, not validated: lookupMany() does that. */
export type Row = VisitorId & {
  /** From 0. */
  readonly index: number;
  /** The row as it was read, without the end of its line, in units of the input. */
  readonly content: string;
};

/** The result of a lookup as it is written. */
export interface Outcome {
  readonly status: string;
  readonly reason: string;
  /** Joined by ';'. */
  readonly ids: string;
  readonly names: readonly string[];
  /** The error's code; empty without one. */
  readonly error: string;
}

export function outcomeOf({ segments, error }: LookupResult<Row>): Outcome {
  if (segments === undefined) return { status: '', reason: '', ids: '', names: [], error: error.code };
  const { status, reason = '', names } = segments;
  const ids = segments.ids.join(';');
  // A repeated visitor is `cached` or not by chance of timing, which would make two runs differ.
  return { status: status === 'cached' ? 'fresh' : status, reason, ids, names, error: '' };
}

/** Identifies a row in a journal. */
export function digestOf({ content }: Row): string {
  return hash('sha1', content, 'base64url').slice(0, 10);
}

export interface RowFormat {
  /**
   * Reads what comes before the rows, so that a wrong header is found before anything is written. Returns it, or '' in a
   * format without a header.
   * @throws {UsageError} for a header that names no visitor, and for an empty input
   */
  open(): Promise<string>;
  /**
   * The rows that `isWanted` accepts.
   * @throws {UsageError} for a malformed file; the message names the line
   */
  read(isWanted: (row: Row) => boolean): AsyncIterable<Row>;
  /** The bytes of rows with their outcomes. @param isFirst whether the file's header comes first */
  bytesOf(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): Buffer;
  /** SHA-256 of all that was read. */
  readonly inputDigest: string;
}

export const FIELDS = [
  'ecid',
  'uuid',
  'customer_id',
  'region',
  'data_source_id',
  'integration_code',
  'auth_state',
] as const;
export type Field = (typeof FIELDS)[number];

/** The visitor in a row; `field` returns `undefined` for a field that is absent. Numbers are decimal digits and nothing else. */
export function visitorIn(field: (name: Field) => unknown, source: CustomerSource) {
  const [id, region, dataSourceId] = [field('customer_id'), field('region'), field('data_source_id')];
  const integrationCode = field('integration_code');
  const dataSource =
    integrationCode !== undefined
      ? { integrationCode }
      : dataSourceId !== undefined
        ? { dataSourceId: digitsOf(dataSourceId) }
        : source;
  return {
    ecid: field('ecid'),
    uuid: field('uuid'),
    region: region === undefined ? undefined : digitsOf(region),
    customerIds: id === undefined ? undefined : [{ id, ...dataSource, authState: field('auth_state') }],
  };
}

/** NaN, which is no valid number anywhere, for all that is not decimal digits. */
export function digitsOf(value: unknown): number {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
}

export const MISSING_SOURCE =
  'customer_id has no data source: use --source, or a data_source_id or integration_code beside it';

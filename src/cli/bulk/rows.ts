/** Owns: the rows of `bulk`, as CSV and as NDJSON: which visitor a row names, and how it is written with its outcome. */
import { hash } from 'node:crypto';
import type { VisitorId } from '../../identity/visitor';
import type { LookupResult } from '../../lookup/lookup-many';

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

export function visitorIn(field: (name: Field) => unknown, source: CustomerSource) {
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

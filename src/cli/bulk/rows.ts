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
  /** The fields of a CSV row; the object of an NDJSON line, or the line itself if it is not an object. */
  readonly content: readonly string[] | Readonly<Record<string, unknown>> | string;
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
  return hash('sha1', JSON.stringify(content), 'base64url').slice(0, 10);
}

export interface RowFormat {
  /**
   * The rows that `isWanted` accepts.
   * @throws {UsageError} for a malformed file; the message names the line
   */
  read(isWanted: (row: Row) => boolean): AsyncIterable<Row>;
  /** @param isFirst whether the file's header comes first */
  stringify(rows: readonly (readonly [Row, Outcome])[], isFirst: boolean): string;
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

/** The visitor in a row; `field` returns `undefined` for a field that is absent. */
export function visitorIn(field: (name: Field) => unknown, source: CustomerSource) {
  const [id, region, dataSourceId] = [field('customer_id'), field('region'), field('data_source_id')];
  const integrationCode = field('integration_code');
  const dataSource =
    integrationCode !== undefined
      ? { integrationCode }
      : dataSourceId !== undefined
        ? { dataSourceId: Number(dataSourceId) }
        : source;
  return {
    ecid: field('ecid'),
    uuid: field('uuid'),
    region: region === undefined ? undefined : Number(region),
    customerIds: id === undefined ? undefined : [{ id, ...dataSource, authState: field('auth_state') }],
  };
}

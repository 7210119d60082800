/**
 * Owns: customer ids, the company's own ids of a visitor (from its CRM or its login), and the limits of the DCS on them. Next:
 * visitor.ts.
 */
import { fieldsOf, itemsOf } from '../handed-over/reading';

/** Whether the visitor is logged in with a customer id. */
export type AuthState = 'unknown' | 'authenticated' | 'logged-out';

/** A company's own id of a visitor, in a data source that is named by its id or by its integration code. */
export type CustomerId = {
  /** The id, not blank and without control characters. */
  readonly id: string;
  /** @default 'unknown' */
  readonly authState?: AuthState | undefined;
} & (
  | { readonly dataSourceId: number; readonly integrationCode?: undefined }
  | { readonly integrationCode: string; readonly dataSourceId?: undefined }
);

const AUTH_STATES: readonly unknown[] = ['unknown', 'authenticated', 'logged-out'] satisfies AuthState[];

/** Audience Manager docs, "DCS error codes": 309 and 310. */
const MAX_IDS = 10;
const MAX_IDS_PER_SOURCE = 3;
/** Of all ids, percent-encoded: a DCS accepts request lines of 8000 bytes. */
const MAX_ENCODED_LENGTH = 3_000;

/** The valid customer ids of a list, within the limits of a call. */
export interface UsableCustomerIds {
  readonly ids: readonly CustomerId[];
  /** Why some were dropped; contains no id. */
  readonly problem: string | undefined;
}

/** Copies ids in their order, skipping invalid ones, up to the limits of the DCS. */
export function usableCustomerIds(given: unknown): UsableCustomerIds {
  if (given === undefined || given === null) return NONE;
  const candidates = itemsOf(given);
  if (candidates === undefined) return { ids: [], problem: 'customer ids must be an array' };
  if (candidates.length === 0) return NONE;
  const ids: CustomerId[] = [];
  const perSource = new Map<string | number, number>();
  let encodedLength = 0;
  let problem: string | undefined;
  for (const candidate of candidates) {
    const id = customerIdOf(candidate);
    if (id === undefined) {
      problem ??=
        'a customer id must be { id, dataSourceId } or { id, integrationCode }, with authState unknown, authenticated or logged-out';
      continue;
    }
    const length = encodedLengthOf(id);
    const source = id.dataSourceId ?? id.integrationCode;
    const ofSource = (perSource.get(source) ?? 0) + 1;
    if (ids.length === MAX_IDS || ofSource > MAX_IDS_PER_SOURCE || encodedLength + length > MAX_ENCODED_LENGTH) {
      problem ??= `more customer ids than fit in a call: at most ${MAX_IDS} ids, ${MAX_IDS_PER_SOURCE} of one data source, ${MAX_ENCODED_LENGTH} bytes`;
      continue;
    }
    perSource.set(source, ofSource);
    encodedLength += length;
    ids.push(id);
  }
  return { ids: Object.freeze(ids), problem };
}

const NONE: UsableCustomerIds = { ids: [], problem: undefined };

const FIELDS = ['id', 'dataSourceId', 'integrationCode', 'authState'] as const;

/** A copy that nobody can change; `undefined` for an invalid id. */
function customerIdOf(candidate: unknown): CustomerId | undefined {
  const fields = fieldsOf(candidate, FIELDS);
  if (fields === undefined) return undefined;
  const { id, dataSourceId, integrationCode, authState } = fields;
  const isSource =
    integrationCode === undefined ? isCount(dataSourceId) : dataSourceId === undefined && isTerm(integrationCode);
  if (!isTerm(id) || !isSource) return undefined;
  if (authState !== undefined && !AUTH_STATES.includes(authState)) return undefined;
  return Object.freeze(fields) as CustomerId;
}

/** The length of a customer id in a call. */
function encodedLengthOf({ id, dataSourceId, integrationCode }: CustomerId): number {
  return 20 + encodeURIComponent(id).length + encodeURIComponent(String(integrationCode ?? dataSourceId)).length;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** The protocol's separator is a control character; lone surrogates cannot be encoded. */
function isTerm(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && !/[\p{Cc}\p{Cs}]/u.test(value);
}

/**
 * Owns: what a visitor is, and how one is read that the site's own code has named. Next: identity-reader.ts, which reads
 * them from cookies, and site-identity.ts.
 */
import { AamError } from '../errors';
import { type CustomerId, usableCustomerIds } from './customer-ids';

/** A visitor as a request shows them. */
export interface Visitor {
  /** Experience Cloud ID: 38 decimal digits. */
  readonly ecid?: string | undefined;
  /** Audience Manager UUID: 38 decimal digits. Only where there is no ECID. */
  readonly uuid?: string | undefined;
  /** The region that holds the visitor's profile: a key of the region table, or unknown. */
  readonly region?: number | undefined;
  /** When Adobe's client will ask for the region anew, Unix milliseconds; past that it is still the best hint. */
  readonly regionExpiresAtMs?: number | undefined;
  /** The company's own ids of the visitor, as the site gave them. */
  readonly customerIds?: readonly CustomerId[] | undefined;
}

/** What a request says. */
export interface Identity {
  /** The visitor; without `ecid`, `uuid` and `customerIds` when no usable id was found. */
  readonly visitor: Visitor;
  /** Why there is no usable id: none at all, or only some that are not 38 digits. */
  readonly problem: 'no-id' | 'bad-id' | undefined;
  /** A cookie says that the visitor opted out. */
  readonly optedOut: boolean;
}

/** A visitor by Experience Cloud ID or by Audience Manager UUID, 38 decimal digits each, or by the company's own ids. */
export type VisitorId = {
  /** The region that holds the visitor's profile. @default asked at the default origin */
  readonly region?: number | undefined;
} & (
  | { readonly ecid: string; readonly uuid?: undefined; readonly customerIds?: readonly CustomerId[] | undefined }
  | { readonly uuid: string; readonly ecid?: undefined; readonly customerIds?: readonly CustomerId[] | undefined }
  | { readonly customerIds: readonly CustomerId[]; readonly ecid?: undefined; readonly uuid?: undefined }
);

/** Whether a value can be an ECID or an AAM UUID: 38 decimal digits. */
export function isVisitorId(value: unknown): value is string {
  return typeof value === 'string' && value.length === 38 && isDigits(value);
}

/**
 * A visitor from what somebody gave as one: undefined for what is none. `problem` says, without any id, what is wrong
 * with it; a visitor beside a problem has fewer customer ids than were given.
 */
export function parseVisitor(given: unknown): {
  readonly visitor: Visitor | undefined;
  readonly problem: string | undefined;
} {
  const { ecid, uuid, region, customerIds } = (given ?? {}) as Partial<Record<keyof Visitor, unknown>>;
  const { ids, problem } = usableCustomerIds(customerIds);
  const isIdUsable =
    ecid === undefined ? uuid === undefined || isVisitorId(uuid) : isVisitorId(ecid) && uuid === undefined;
  if (!isIdUsable || (ecid === undefined && uuid === undefined && ids.length === 0)) {
    const rule = 'a visitor must be { ecid } or { uuid }, a string of 38 digits, or { customerIds }';
    return { visitor: undefined, problem: problem === undefined ? rule : `${rule}; ${problem}` };
  }
  if (region !== undefined && !Number.isInteger(region)) {
    return { visitor: undefined, problem: "a visitor's region must be an integer" };
  }
  const visitor = { ecid, uuid, region, customerIds: ids.length === 0 ? undefined : ids } as Visitor;
  return { visitor, problem };
}

/** @throws {AamError} `ERR_AAM_INVALID_OPTION`; the message does not repeat the id */
export function checkedVisitor(visitorId: unknown): Visitor {
  const { visitor, problem } = parseVisitor(visitorId);
  if (visitor === undefined || problem !== undefined) throw new AamError('ERR_AAM_INVALID_OPTION', problem as string);
  return visitor;
}

export function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text.length > 0;
}

/**
 * Owns: what a visitor is, and the check of one that the site's code passes in. Next: identity-reader.ts, which reads visitors
 * from cookies.
 */
import type { IdSource } from '../channels/messages';
import { AamError } from '../errors';
import { fieldsOf } from '../handed-over/reading';
import { type CustomerId, usableCustomerIds } from './customer-ids';

/** A visitor as a request names them. All fields may be absent. */
export interface Visitor {
  /** Experience Cloud ID: 38 decimal digits. */
  readonly ecid?: string | undefined;
  /** Audience Manager UUID: 38 decimal digits. Only set without an ECID. */
  readonly uuid?: string | undefined;
  /** Id of the region that holds the visitor's profile; `undefined` where it is unknown. */
  readonly region?: number | undefined;
  /** When Adobe's client will request the region again, in Unix milliseconds. An expired region is still the best guess. */
  readonly regionExpiresAtMs?: number | undefined;
  /** The company's own ids of the visitor. */
  readonly customerIds?: readonly CustomerId[] | undefined;
}

/** What a request says about its visitor. */
export interface Identity {
  /** The visitor; without any id if `problem` is set. */
  readonly visitor: Visitor;
  /** Why there is no usable id: no id at all, or only malformed ones. */
  readonly problem: 'no-id' | 'bad-id' | undefined;
  /** Whether a cookie says that the visitor opted out. */
  readonly optedOut: boolean;
  /** Where the id was found, for those who watch. */
  readonly source?: IdSource | undefined;
}

/**
 * Classes, and no object literals: where many requests are held at a time, V8 takes a literal's objects for long-lived ones,
 * and from then on makes each of them where it costs most.
 */
export class VisitorOfRequest implements Visitor {
  readonly ecid: string | undefined;
  readonly uuid: string | undefined;
  readonly region: number | undefined;
  readonly regionExpiresAtMs: number | undefined;
  readonly customerIds = undefined;

  constructor(
    ecid: string | undefined,
    uuid: string | undefined,
    region: number | undefined,
    regionExpiresAtMs: number | undefined,
  ) {
    this.ecid = ecid;
    this.uuid = uuid;
    this.region = region;
    this.regionExpiresAtMs = regionExpiresAtMs;
  }
}

/** See {@link VisitorOfRequest}. */
export class IdentityOfRequest implements Identity {
  readonly visitor: Visitor;
  readonly problem: Identity['problem'];
  readonly optedOut: boolean;
  readonly source: IdSource | undefined;

  constructor(visitor: Visitor, problem: Identity['problem'], optedOut: boolean, source: IdSource | undefined) {
    this.visitor = visitor;
    this.problem = problem;
    this.optedOut = optedOut;
    this.source = source;
  }
}

/** A visitor named by ECID or by Audience Manager UUID, 38 decimal digits each, by customer ids, or by both. */
export type VisitorId = {
  /** Id of the region that holds the visitor's profile. @default the default origin is called */
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

const FIELDS = ['ecid', 'uuid', 'region', 'customerIds'] as const;
const NO_FIELDS = { ecid: undefined, uuid: undefined, region: undefined, customerIds: undefined };

/**
 * Copies a visitor that was passed in; `undefined` for an invalid one. `problem` says what is wrong, without any id; a visitor
 * with a problem is valid, but lacks some of the customer ids.
 */
export function parseVisitor(given: unknown): {
  readonly visitor: Visitor | undefined;
  readonly problem: string | undefined;
} {
  const { ecid, uuid, region, customerIds } = fieldsOf(given, FIELDS) ?? NO_FIELDS;
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

/** Faster by what is wrong than by what is right: most ids are 38 digits, and all of them have to be looked at. */
const NO_DIGIT = /[^0-9]/;

export function isDigits(text: string): boolean {
  return text.length > 0 && !NO_DIGIT.test(text);
}

/**
 * Owns: what the site itself says about who the visitor is, by its own functions `identity.resolve` and
 * `identity.customerIds`, and for a lookup of its own. Never throws. Next: consent/.
 */
import { SiteFunction } from '../request/site-callback';
import { type CustomerId, usableCustomerIds } from './customer-ids';
import { type Identity, isVisitorId, type Visitor } from './identity-reader';

/** A visitor by Experience Cloud ID or by Audience Manager UUID, 38 decimal digits each, or by the company's own ids. */
export type VisitorId = {
  /** The region that holds the visitor's profile. @default asked at the default origin */
  readonly region?: number | undefined;
} & (
  | { readonly ecid: string; readonly uuid?: undefined; readonly customerIds?: readonly CustomerId[] | undefined }
  | { readonly uuid: string; readonly ecid?: undefined; readonly customerIds?: readonly CustomerId[] | undefined }
  | { readonly customerIds: readonly CustomerId[]; readonly ecid?: undefined; readonly uuid?: undefined }
);

export interface GivenIdentityConfig {
  readonly resolve: ((req: unknown) => unknown) | undefined;
  readonly customerIds: ((req: unknown) => unknown) | undefined;
}

export class GivenIdentity {
  readonly #resolve: SiteFunction<unknown> | undefined;
  readonly #customerIds: SiteFunction<unknown> | undefined;

  constructor({ resolve, customerIds }: GivenIdentityConfig) {
    this.#resolve = resolve && new SiteFunction('options.identity.resolve', 'WRN_AAM_IDENTITY', resolve);
    this.#customerIds =
      customerIds && new SiteFunction('options.identity.customerIds', 'WRN_AAM_IDENTITY', customerIds);
  }

  /** What the cookies say, with what the site says put in its place or beside it. */
  complete(identity: Identity, req: unknown): Identity {
    const resolved = this.#resolve === undefined ? identity : this.#resolved(this.#resolve, identity, req);
    return this.#customerIds === undefined ? resolved : this.#withCustomerIds(this.#customerIds, resolved, req);
  }

  /**
   * The site's visitor instead of the cookies'. Where it fails the visitor is nobody: the cookies may be another's. An
   * opt-out in the cookies stays one.
   */
  #resolved(resolve: SiteFunction<unknown>, identity: Identity, req: unknown): Identity {
    const given = resolve.call(req, FAILED);
    if (given === undefined || given === null) return identity;
    const { visitor, problem } = given === FAILED ? NOBODY : visitorOf(given);
    if (problem !== undefined) resolve.complain(`: ${problem}`);
    return visitor === undefined
      ? { visitor: {}, problem: 'bad-id', optedOut: identity.optedOut }
      : { visitor, problem: undefined, optedOut: identity.optedOut };
  }

  #withCustomerIds(customerIds: SiteFunction<unknown>, identity: Identity, req: unknown): Identity {
    const { ids, problem } = usableCustomerIds(customerIds.call(req, undefined));
    if (problem !== undefined) customerIds.complain(`: ${problem}`);
    if (ids.length === 0) return identity;
    return { ...identity, visitor: { ...identity.visitor, customerIds: ids }, problem: undefined };
  }
}

const FAILED = Symbol('failed');
const NOBODY = { visitor: undefined, problem: undefined };

/**
 * A visitor from what somebody gave as one: undefined for what is none. `problem` says, without any id, what is wrong
 * with it; a visitor beside a problem has fewer customer ids than were given.
 */
export function visitorOf(given: unknown): {
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

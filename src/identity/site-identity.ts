/**
 * Owns: the visitor as the site knows them, by its functions `identity.resolve` and `identity.customerIds`. Never throws. Next:
 * ../consent/consent-gate.ts.
 */
import { SiteCallback } from '../request/site-callback';
import { usableCustomerIds } from './customer-ids';
import { type Identity, parseVisitor } from './visitor';

export interface SiteIdentityConfig {
  readonly resolve: ((req: unknown) => unknown) | undefined;
  readonly customerIds: ((req: unknown) => unknown) | undefined;
}

export class SiteIdentity {
  readonly #resolve: SiteCallback<unknown> | undefined;
  readonly #customerIds: SiteCallback<unknown> | undefined;

  constructor({ resolve, customerIds }: SiteIdentityConfig) {
    this.#resolve = resolve && new SiteCallback('options.identity.resolve', 'WRN_AAM_IDENTITY', resolve);
    this.#customerIds =
      customerIds && new SiteCallback('options.identity.customerIds', 'WRN_AAM_IDENTITY', customerIds);
  }

  /** Replaces the visitor of the cookies with the site's, and adds customer ids. */
  complete(identity: Identity, req: unknown): Identity {
    const resolved = this.#resolve === undefined ? identity : this.#resolved(this.#resolve, identity, req);
    return this.#customerIds === undefined ? resolved : this.#withCustomerIds(this.#customerIds, resolved, req);
  }

  /**
   * The site's visitor instead of the cookies'. If the function fails there is no visitor, since the cookies may be those of
   * another person. An opt-out in the cookies stands.
   */
  #resolved(resolve: SiteCallback<unknown>, identity: Identity, req: unknown): Identity {
    const given = resolve.callSync(req, FAILED);
    if (given === undefined || given === null) return identity;
    const { visitor, problem } = given === FAILED ? NO_VISITOR : parseVisitor(given);
    if (problem !== undefined) resolve.complain(`: ${problem}`);
    return visitor === undefined
      ? { visitor: {}, problem: 'bad-id', optedOut: identity.optedOut }
      : { visitor, problem: undefined, optedOut: identity.optedOut, source: 'site' };
  }

  #withCustomerIds(customerIds: SiteCallback<unknown>, identity: Identity, req: unknown): Identity {
    const { ids, problem } = usableCustomerIds(customerIds.callSync(req, undefined));
    if (problem !== undefined) customerIds.complain(`: ${problem}`);
    if (ids.length === 0) return identity;
    const { source = 'customer-ids' } = identity;
    return { ...identity, visitor: { ...identity.visitor, customerIds: ids }, problem: undefined, source };
  }
}

const FAILED = Symbol('failed');
const NO_VISITOR = { visitor: undefined, problem: undefined };

/**
 * Owns: the keys under which visitors are remembered. The first tells a visitor from every other one of the
 * organisation; the second tells what else went into the question about them. Never the region: it can change and says
 * nothing about who the visitor is.
 */
import { createHmac } from 'node:crypto';
import type { CustomerId } from './customer-ids';
import type { Visitor } from './visitor';

/** The cache keys of one visitor: the one to remember by, then all others under which something may be remembered. */
export type VisitorKeys = readonly [string, ...string[]];

export class CacheKeys {
  readonly #secret: string | undefined;

  /** @param secret with it keys are HMACs, so that memory and what is made of it hold no id */
  constructor(secret: string | undefined) {
    this.#secret = secret;
  }

  /** By ECID, else by UUID, else by the first customer id that was given. */
  keyOf({ ecid, uuid, customerIds = [] }: Visitor): string {
    if (ecid !== undefined) return this.#kept(ecid);
    return uuid === undefined ? this.#customerKey(customerIds) : this.#kept(`uuid:${uuid}`);
  }

  /** Every key under which something may be remembered of this visitor, also by those who knew less of them. */
  allKeysOf(visitor: Visitor): VisitorKeys {
    const key = this.keyOf(visitor);
    return visitor.customerIds === undefined ? [key] : [key, this.#customerKey(visitor.customerIds)];
  }

  /** Empty for most: no customer ids, and no consent string that went along. */
  variantOf({ customerIds = [] }: Visitor, hasConsentString: boolean): string {
    const ids = customerIds.length === 0 ? '' : this.#kept(written(customerIds, true));
    return hasConsentString ? `${ids} tcf` : ids;
  }

  #customerKey(customerIds: readonly CustomerId[]): string {
    return this.#kept(`customer:${written(customerIds.slice(0, 1), false)}`);
  }

  #kept(text: string): string {
    return this.#secret === undefined ? text : createHmac('sha256', this.#secret).update(text).digest('base64url');
  }
}

/** In ASCII, and no two lists are written the same: what is encoded has neither of the separators. */
function written(ids: readonly CustomerId[], withState: boolean): string {
  return ids
    .map(({ id, dataSourceId, integrationCode, authState = 'unknown' }) => {
      const source = integrationCode === undefined ? `d${dataSourceId}` : `c${encodeURIComponent(integrationCode)}`;
      return `${source}:${encodeURIComponent(id)}:${withState ? authState : ''}`;
    })
    .join(',');
}

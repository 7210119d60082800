/**
 * Owns: the cache keys of a visitor. The key identifies the visitor; the variant tells apart the questions about them, by
 * customer ids and consent string. The region is in neither: it can change, and does not identify anyone. Next:
 * ../cache/answer-cache.ts.
 */
import { createHmac } from 'node:crypto';
import type { CustomerId } from './customer-ids';
import type { Visitor } from './visitor';

/** The keys of one visitor: the one to store answers under, then all others under which something may be stored. */
export type VisitorKeys = readonly [string, ...string[]];

export class CacheKeys {
  readonly #secret: string | undefined;

  /** @param secret if set, keys are HMACs, so that the cache holds no ids */
  constructor(secret: string | undefined) {
    this.#secret = secret;
  }

  /** By ECID, else by UUID, else by the first customer id. */
  keyOf({ ecid, uuid, customerIds }: Visitor): string {
    if (ecid !== undefined) return this.#digest(ecid);
    return uuid === undefined ? this.#customerKey(customerIds?.[0]) : this.#digest(`uuid:${uuid}`);
  }

  /** All keys under which this visitor may be cached: a request that shows only one of the customer ids has another key. */
  allKeysOf(visitor: Visitor): VisitorKeys {
    const key = this.keyOf(visitor);
    if (visitor.customerIds === undefined) return [key];
    const others = new Set(visitor.customerIds.map((id) => this.#customerKey(id)));
    others.delete(key);
    return [key, ...others];
  }

  /** Empty without customer ids and consent string, as for most visitors. */
  variantOf({ customerIds }: Visitor, hasConsentString: boolean): string {
    if (customerIds === undefined || customerIds.length === 0) return hasConsentString ? ' tcf' : '';
    const ids = this.#digest(serialised(customerIds, true));
    return hasConsentString ? `${ids} tcf` : ids;
  }

  #customerKey(id: CustomerId | undefined): string {
    return this.#digest(`customer:${id === undefined ? '' : serialised([id], false)}`);
  }

  #digest(text: string): string {
    return this.#secret === undefined ? text : createHmac('sha256', this.#secret).update(text).digest('base64url');
  }
}

/** Unambiguous, since the encoded parts contain neither separator, and in ASCII. */
function serialised(ids: readonly CustomerId[], withState: boolean): string {
  return ids
    .map(({ id, dataSourceId, integrationCode, authState = 'unknown' }) => {
      const source = integrationCode === undefined ? `d${dataSourceId}` : `c${encodeURIComponent(integrationCode)}`;
      return `${source}:${encodeURIComponent(id)}:${withState ? authState : ''}`;
    })
    .join(',');
}

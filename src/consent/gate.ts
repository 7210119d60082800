/**
 * Owns: whether the DCS may be asked about a visitor at all. Decides before the cache is read and before any call;
 * never throws. It must not know what is remembered of the visitor. Next: cache/segment-cache.ts.
 */
import type { Identity } from '../identity/visitor';

/** Why a visitor must not be asked about; `undefined` when nothing forbids it. */
export type Refusal = 'opted-out';

/** A visitor whose cookies say that they opted out is never asked about, whatever id stands beside it. */
export function refusalOf(identity: Identity): Refusal | undefined {
  return identity.optedOut ? 'opted-out' : undefined;
}

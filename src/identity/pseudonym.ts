/** Owns: telling visitors apart without their ids, for those who watch. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Visitor } from './visitor';

/** Of this process, and nowhere else: no pseudonym can be traced back to an id or to another process's. */
const KEY = randomBytes(32);
const LENGTH = 12;

/** The same for the same id, which is the ECID, else the UUID, else the first customer id; `undefined` without any. */
export function pseudonymOf({ ecid, uuid, customerIds = [] }: Visitor): string | undefined {
  const [customer] = customerIds;
  const source = customer && [customer.dataSourceId, customer.integrationCode, customer.id];
  const id = ecid ?? (uuid === undefined ? source && JSON.stringify(source) : `uuid:${uuid}`);
  return id && createHmac('sha256', KEY).update(id).digest('base64url').slice(0, LENGTH);
}

/** Who comes to the modelled site: a handful who collide, and invented ids without end. */
import type { Visitor } from '../../src/identity/visitor';

export interface ModelVisitor {
  readonly visitor: Visitor;
  /** By which the visitor is told from all others. */
  readonly key: string;
  /** That, and the customer id. */
  readonly keys: readonly string[];
}

const CUSTOMER = 'customer';

/** One device without customer id, logged in, and logged out; the customer alone; another device of theirs; others. */
export const VISITORS: readonly ModelVisitor[] = [
  withEcid(1),
  withEcid(2),
  withEcid(2, 'authenticated'),
  withEcid(2, 'logged-out'),
  customer(),
  withEcid(3, 'authenticated'),
  { visitor: { uuid: digits(4) }, key: `uuid:${digits(4)}`, keys: [`uuid:${digits(4)}`] },
];

export function inventedVisitor(n: number): ModelVisitor {
  return withEcid(1_000 + n);
}

/** What tells apart the questions about one visitor. */
export function variantOf({ customerIds }: Visitor, tcString: string | undefined): string {
  return `${customerIds?.[0]?.authState ?? ''} ${tcString === undefined ? '' : 'tcf'}`;
}

/** The keys of a visitor as the calls name them. */
export function keysOf({ ecid, uuid, customerIds }: Visitor): readonly string[] {
  const id = ecid ?? (uuid === undefined ? undefined : `uuid:${uuid}`);
  if (customerIds === undefined) return [id as string];
  return id === undefined ? [CUSTOMER] : [id, CUSTOMER];
}

function withEcid(n: number, authState?: 'authenticated' | 'logged-out'): ModelVisitor {
  const ecid = digits(n);
  if (authState === undefined) return { visitor: { ecid }, key: ecid, keys: [ecid] };
  const customerIds = [{ id: 'c', dataSourceId: 7, authState }];
  return { visitor: { ecid, customerIds }, key: ecid, keys: [ecid, CUSTOMER] };
}

function customer(): ModelVisitor {
  const customerIds = [{ id: 'c', dataSourceId: 7, authState: 'authenticated' as const }];
  return { visitor: { customerIds }, key: CUSTOMER, keys: [CUSTOMER] };
}

function digits(n: number): string {
  return String(n).padStart(38, '0');
}

import { SEGMENTS } from './aam';

/** Where Audience Manager keeps the ids of this shop's customers: the integration code of a data source. */
export const CRM_SOURCE = 'acme_crm';

/** A customer of whom the demonstration knows something. */
export interface Customer {
  readonly id: string;
  /** What the shop's own books say. */
  readonly since: number;
  readonly orders: number;
  /** What Audience Manager says. */
  readonly segments: readonly number[];
}

export const CUSTOMERS: readonly Customer[] = [
  { id: 'C-1001', since: 2019, orders: 14, segments: [SEGMENTS.golfFans] },
  { id: 'C-1002', since: 2021, orders: 61, segments: [SEGMENTS.golfFans, SEGMENTS.highValue] },
  { id: 'C-1003', since: 2025, orders: 1, segments: [] },
  { id: 'C-1004', since: 2016, orders: 88, segments: [SEGMENTS.highValue] },
];

import { SEGMENTS } from './aam';

/** The integration code of the data source with this shop's customer ids. */
export const CRM_SOURCE = 'acme_crm';

/** A fictitious customer. */
export interface Customer {
  readonly id: string;
  /** The year of the first order. */
  readonly since: number;
  readonly orders: number;
  /** Their segments in Audience Manager. */
  readonly segments: readonly number[];
}

export const CUSTOMERS: readonly Customer[] = [
  { id: 'C-1001', since: 2019, orders: 14, segments: [SEGMENTS.golfFans] },
  { id: 'C-1002', since: 2021, orders: 61, segments: [SEGMENTS.golfFans, SEGMENTS.highValue] },
  { id: 'C-1003', since: 2025, orders: 1, segments: [] },
  { id: 'C-1004', since: 2016, orders: 88, segments: [SEGMENTS.highValue] },
];

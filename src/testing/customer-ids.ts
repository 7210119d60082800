import { type DcsError, dcsError } from './dcs-errors';
import type { DcsParams } from './dcs-params';

/** A customer id of a call: a `d_cid` or `d_cid_ic` parameter, split at its 0x01 bytes. */
export interface CustomerId {
  readonly parameter: 'd_cid' | 'd_cid_ic';
  /** The data source id of a `d_cid` or the integration code of a `d_cid_ic`, as sent. */
  readonly source: string;
  readonly id: string;
  /** 0 unknown, 1 authenticated, 2 logged out; absent if the call has none. */
  readonly authState?: 0 | 1 | 2;
}

/** The customer ids of a call, and a warning for each malformed one. */
export interface CustomerIds {
  readonly customerIds: readonly CustomerId[];
  readonly customerIdWarnings: readonly DcsError[];
}

export function customerIdsOf(params: DcsParams): CustomerIds {
  const customerIds: CustomerId[] = [];
  const customerIdWarnings: DcsError[] = [];
  for (const parameter of ['d_cid', 'd_cid_ic'] as const) {
    for (const value of [params[parameter] ?? []].flat()) {
      const customerId = parseCustomerId(parameter, value);
      if (customerId) customerIds.push(customerId);
      else customerIdWarnings.push(dcsError(300, value));
    }
  }
  return { customerIds, customerIdWarnings };
}

/** One id per parameter: clients repeat the parameter for more (AAM docs, CID). */
function parseCustomerId(parameter: CustomerId['parameter'], value: string): CustomerId | undefined {
  const [source = '', id = '', state, ...rest] = value.split('\x01');
  const sourceIsValid = parameter === 'd_cid' ? /^\d+$/.test(source) : source.trim() !== '';
  const stateIsValid = state === undefined || /^[012]$/.test(state);
  if (!sourceIsValid || id.trim() === '' || !stateIsValid || rest.length > 0) return undefined;
  return { parameter, source, id, ...(state !== undefined && { authState: Number(state) as 0 | 1 | 2 }) };
}

/** The key of a customer among all visitors. It contains 0x01, so it differs from every device id. */
export function customerKey({ parameter, source, id }: Pick<CustomerId, 'parameter' | 'source' | 'id'>): string {
  return [parameter, source, id].join('\x01');
}

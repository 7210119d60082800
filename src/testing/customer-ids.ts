import { type DcsError, dcsError } from './dcs-errors';
import type { DcsParams } from './dcs-params';

/** One declared id of a call: a `d_cid` or `d_cid_ic` parameter taken apart at its 0x01 bytes. */
export interface CustomerId {
  readonly parameter: 'd_cid' | 'd_cid_ic';
  /** The data source id of a `d_cid`, the integration code of a `d_cid_ic`; as it was sent. */
  readonly source: string;
  readonly id: string;
  /** 0 unknown, 1 authenticated, 2 logged out; absent when the call does not say. */
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

/** Several pairs joined in one parameter are not understood: clients repeat the parameter (AAM docs, CID). */
function parseCustomerId(parameter: CustomerId['parameter'], value: string): CustomerId | undefined {
  const [source = '', id = '', state, ...rest] = value.split('\x01');
  const sourceIsValid = parameter === 'd_cid' ? /^\d+$/.test(source) : source.trim() !== '';
  const stateIsValid = state === undefined || /^[012]$/.test(state);
  if (!sourceIsValid || id.trim() === '' || !stateIsValid || rest.length > 0) return undefined;
  return { parameter, source, id, ...(state !== undefined && { authState: Number(state) as 0 | 1 | 2 }) };
}

/** What tells a customer from every other visitor; never a device id, which has no 0x01 in it. */
export function customerKey({ parameter, source, id }: Pick<CustomerId, 'parameter' | 'source' | 'id'>): string {
  return [parameter, source, id].join('\x01');
}

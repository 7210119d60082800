/**
 * Owns: what is asked of a DCS. One lookup is `GET /event` with the parameters that the server-to-server pages of
 * the Audience Manager docs name, and no more: the call is an event, and whatever else it carried could realise
 * traits.
 */
import type { AuthState, CustomerId } from '../identity/customer-ids';
import type { Visitor } from '../identity/visitor';

/** Which segment ids the DCS is asked for: `d_cts=2`, `d_cts=1`, or none (cookie destinations only). */
export type SegmentIds = 'sid' | 'legacy' | false;

/**
 * Prepares the request target for one organisation. `d_orgid` goes along with an ECID because an ECID is only
 * unique within its organisation; a UUID needs none.
 */
export function lookupTarget(orgId: string, segmentIds: SegmentIds): (visitor: Visitor, tcString?: string) => string {
  const organisation = `&d_orgid=${encodeURIComponent(orgId)}`;
  const wantedIds = segmentIds === false ? '' : `&d_cts=${segmentIds === 'sid' ? 2 : 1}`;
  return ({ ecid, uuid, customerIds = [] }, tcString) => {
    const id = ecid !== undefined ? `&d_mid=${ecid}${organisation}` : uuid !== undefined ? `&d_uuid=${uuid}` : '';
    const declaredIds = customerIds.map(declaredId).join('');
    const consent = tcString === undefined ? '' : `&gdpr=1&gdpr_consent=${encodeURIComponent(tcString)}`;
    return `/event?d_rtbd=json&d_jsonv=1${id}${declaredIds}${wantedIds}${consent}`;
  };
}

/**
 * Data source, id and state with 0x01 between them (Audience Manager docs, "Declared IDs": `%01`). What they join is
 * encoded before; they themselves must not be encoded again.
 */
function declaredId({ id, dataSourceId, integrationCode, authState = 'unknown' }: CustomerId): string {
  const source =
    integrationCode === undefined ? `&d_cid=${dataSourceId}` : `&d_cid_ic=${encodeURIComponent(integrationCode)}`;
  return `${source}%01${encodeURIComponent(id)}${STATES[authState]}`;
}

/** As the browser client sends them, which leaves out the one that says nothing. */
const STATES: Readonly<Record<AuthState, string>> = { unknown: '', authenticated: '%011', 'logged-out': '%012' };

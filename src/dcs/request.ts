/**
 * Owns: what is asked of a DCS. One lookup is `GET /event` with the parameters that the server-to-server pages of
 * the Audience Manager docs name, and no more: the call is an event, and whatever else it carried could realise
 * traits.
 */
import type { Visitor } from '../identity/visitor';

/** Which segment ids the DCS is asked for: `d_cts=2`, `d_cts=1`, or none (cookie destinations only). */
export type SegmentIds = 'sid' | 'legacy' | false;

/**
 * Prepares the request target for one organisation. `d_orgid` goes along with an ECID because an ECID is only
 * unique within its organisation; a UUID needs none.
 */
export function lookupTarget(orgId: string, segmentIds: SegmentIds): (visitor: Visitor) => string {
  const organisation = `&d_orgid=${encodeURIComponent(orgId)}`;
  const wantedIds = segmentIds === false ? '' : `&d_cts=${segmentIds === 'sid' ? 2 : 1}`;
  return (visitor) => {
    const id = visitor.ecid !== undefined ? `&d_mid=${visitor.ecid}${organisation}` : `&d_uuid=${visitor.uuid}`;
    return `/event?d_rtbd=json&d_jsonv=1${id}${wantedIds}`;
  };
}

/**
 * Owns: what is asked of a DCS, and how it is written. One call is `/event` with the parameters that the
 * server-to-server pages of the Audience Manager docs name, the site's signals, and no more: the call is an event, and
 * whatever else it carried could realise traits.
 */
import { AamError } from '../../errors';
import type { AuthState, CustomerId } from '../../identity/customer-ids';
import type { Visitor } from '../../identity/visitor';

/** Which segment ids the DCS is asked for: `d_cts=2`, `d_cts=1`, or none (cookie destinations only). */
export type SegmentIds = 'sid' | 'legacy' | false;

/** What is asked about a visitor, and said of them. */
export interface Question {
  readonly visitor: Visitor;
  /** The TC string by which the visitor consents. */
  readonly tcString: string | undefined;
  /** As {@link encodedSignals} writes them. */
  readonly signals: string;
  /** Tells it from other questions about the same visitor. */
  readonly variant: string;
}

export interface DcsRequest {
  readonly method: 'GET' | 'POST';
  /** The request target. */
  readonly path: string;
  /** Of a form; with POST only. */
  readonly body: string | undefined;
}

/** Audience Manager docs, "DCS API Methods": 8K for GET, 32K for POST, headers included: these leave them room. */
const MAX_URL_BYTES = 8_000;
const MAX_FORM_BYTES = 32_000;

/** Writes the requests for one organisation. */
export class RequestWriter {
  readonly #organisation: string;
  readonly #wantedIds: string;

  constructor(orgId: string, segmentIds: SegmentIds) {
    this.#organisation = `&d_orgid=${encodeURIComponent(orgId)}`;
    this.#wantedIds = segmentIds === false ? '' : `&d_cts=${segmentIds === 'sid' ? 2 : 1}`;
  }

  /**
   * By GET as long as the URL is not too long for it, else by POST.
   * @throws {AamError} `ERR_AAM_EVENT_TOO_LARGE` for what is too long for that too
   */
  eventRequest(question: Question, origin: string): DcsRequest {
    const params = this.#params(question);
    // All of it is ASCII: a character is a byte.
    if (origin.length + '/event?'.length + params.length <= MAX_URL_BYTES) {
      return { method: 'GET', path: `/event?${params}`, body: undefined };
    }
    if (params.length <= MAX_FORM_BYTES) return { method: 'POST', path: '/event', body: params };
    const message = `an event takes ${params.length} bytes; a DCS takes ${MAX_FORM_BYTES}`;
    throw new AamError('ERR_AAM_EVENT_TOO_LARGE', message);
  }

  /** The opt-out of a visitor (Audience Manager docs, "Data Privacy Requests"): it cannot be taken back. */
  optOutRequest(visitor: Visitor): DcsRequest {
    return { method: 'GET', path: `/demoptout.jpg?${this.#idsOf(visitor).slice(1)}`, body: undefined };
  }

  #params({ visitor, tcString, signals }: Question): string {
    const consent = tcString === undefined ? '' : `&gdpr=1&gdpr_consent=${encodeURIComponent(tcString)}`;
    return `d_rtbd=json&d_jsonv=1${this.#idsOf(visitor)}${this.#wantedIds}${consent}${signals}`;
  }

  /**
   * `d_orgid` goes along with an ECID because an ECID is only unique within its organisation; a UUID needs none.
   */
  #idsOf({ ecid, uuid, customerIds = [] }: Visitor): string {
    const id = ecid !== undefined ? `&d_mid=${ecid}${this.#organisation}` : uuid !== undefined ? `&d_uuid=${uuid}` : '';
    return id + customerIds.map(declaredId).join('');
  }
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

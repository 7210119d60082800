/**
 * Owns: the requests to a DCS and how they are encoded. A call is `/event` with the parameters of the server-to-server
 * pages of the Audience Manager docs and the site's signals. Nothing else is sent: a lookup is an event too, and any further
 * parameter could realise traits.
 */
import { AamError } from '../../errors';
import type { AuthState, CustomerId } from '../../identity/customer-ids';
import type { Visitor } from '../../identity/visitor';

/** Which segment ids the DCS is asked for: `d_cts=2`, `d_cts=1`, or none (cookie destinations only). */
export type SegmentIds = 'sid' | 'legacy' | false;

/** A lookup, or with signals an event, about one visitor. */
export interface Question {
  readonly visitor: Visitor;
  /** The TC string to send along as the visitor's consent. */
  readonly tcString: string | undefined;
  /** Signals as `encodedSignals()` returns them; empty for none. */
  readonly signals: string;
  /** Distinguishes lookups of the same visitor that may not share an answer. */
  readonly variant: string;
  /** When the consent was given by which the visitor is asked about, by the clock of the calls. @default now */
  readonly consentedAtMs?: number | undefined;
}

/** How lookups and events are sent: by GET unless the URL would be too long, or always as forms. */
export type DcsMethod = 'get' | 'post';

export interface DcsRequest {
  readonly method: 'GET' | 'POST';
  /** The request target: path and query. */
  readonly path: string;
  /** The form, for POST. */
  readonly body: string | undefined;
}

/** The limits are 8K for GET and 32K for POST, headers included (Audience Manager docs, "DCS API Methods"). */
const MAX_URL_BYTES = 8_000;
const MAX_FORM_BYTES = 32_000;

/** Encodes the requests of one organisation. */
export class RequestWriter {
  readonly #orgParam: string;
  readonly #segmentIdsParam: string;
  readonly #method: DcsMethod;

  constructor(orgId: string, segmentIds: SegmentIds, method: DcsMethod = 'get') {
    this.#method = method;
    this.#orgParam = `&d_orgid=${encodeURIComponent(orgId)}`;
    this.#segmentIdsParam = segmentIds === false ? '' : `&d_cts=${segmentIds === 'sid' ? 2 : 1}`;
  }

  /**
   * A GET request, or POST when the URL would be too long or is to hold no ids.
   * @throws {AamError} `ERR_AAM_EVENT_TOO_LARGE` when it is too long for POST as well
   */
  eventRequest(question: Question, origin: string): DcsRequest {
    const params = this.#params(question);
    // All of it is ASCII, so characters are bytes.
    if (this.#method === 'get' && origin.length + '/event?'.length + params.length <= MAX_URL_BYTES) {
      return { method: 'GET', path: `/event?${params}`, body: undefined };
    }
    if (params.length <= MAX_FORM_BYTES) return { method: 'POST', path: '/event', body: params };
    const message = `The event takes ${params.length} bytes; the DCS accepts at most ${MAX_FORM_BYTES}.`;
    throw new AamError('ERR_AAM_EVENT_TOO_LARGE', message);
  }

  /** Opts a visitor out, irreversibly (Audience Manager docs, "Data Privacy Requests"). Only GET is documented. */
  optOutRequest(visitor: Visitor): DcsRequest {
    return { method: 'GET', path: `/demoptout.jpg?${this.#idsOf(visitor).slice(1)}`, body: undefined };
  }

  #params({ visitor, tcString, signals }: Question): string {
    const consent = tcString === undefined ? '' : `&gdpr=1&gdpr_consent=${encodeURIComponent(tcString)}`;
    return `d_rtbd=json&d_jsonv=1${this.#idsOf(visitor)}${this.#segmentIdsParam}${consent}${signals}`;
  }

  /** `d_orgid` accompanies an ECID, which is unique only within its organisation; a UUID needs none. */
  #idsOf({ ecid, uuid, customerIds = [] }: Visitor): string {
    const id = ecid !== undefined ? `&d_mid=${ecid}${this.#orgParam}` : uuid !== undefined ? `&d_uuid=${uuid}` : '';
    return id + customerIds.map(declaredId).join('');
  }
}

/**
 * Data source, id and authentication state, separated by `%01` (Audience Manager docs, "Declared IDs"). The parts are
 * encoded individually; the separators must not be encoded again.
 */
function declaredId({ id, dataSourceId, integrationCode, authState = 'unknown' }: CustomerId): string {
  const source =
    integrationCode === undefined ? `&d_cid=${dataSourceId}` : `&d_cid_ic=${encodeURIComponent(integrationCode)}`;
  return `${source}%01${encodeURIComponent(id)}${STATES[authState]}`;
}

/** As the browser client sends them: `unknown` is left out. */
const STATES: Readonly<Record<AuthState, string>> = { unknown: '', authenticated: '%011', 'logged-out': '%012' };

import { createHash, randomBytes } from 'node:crypto';
import { isDeviceId } from './assertions';
import type { DcsCall } from './dcs-call';
import { comesWithData, type DcsError, dcsError } from './dcs-errors';
import { firstValue } from './dcs-params';
import type { SimulatorConfig } from './simulator-options';
import { uuidFor, type VisitorProfile } from './visitors';

/** A complete HTTP answer, before faults. */
export interface DcsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A call and everything that its answer depends on. */
export interface DcsQuestion {
  readonly call: DcsCall;
  /** The visitor, by device id, else by the first customer id; `undefined` without either. */
  readonly visitor: VisitorProfile | undefined;
  /** The customers of the call, without those who have logged out. */
  readonly customers: readonly VisitorProfile[];
  readonly region: number;
  readonly config: SimulatorConfig;
}

type Fields = Record<string, unknown>;

const OPT_OUT_PATHS: readonly string[] = ['/demoptout', '/demoptout.jpg'];
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

/** AAM docs, DCS API Methods: 8K for GET, 32K for POST. The answer beyond is not documented; 414 and 413 are our choice. */
const MAX_GET_BYTES = 8 * 1024;
const MAX_POST_BYTES = 32 * 1024;

/** Answers a call. A DCS reports nearly all errors with HTTP status 200 and an error code. */
export function answerTo(question: DcsQuestion): DcsAnswer {
  const { method, path, bytes } = question.call;
  const isOptOut = OPT_OUT_PATHS.includes(path);
  if (!isOptOut && path !== '/event' && path !== '/id') return httpAnswer(404);
  if (method !== 'GET' && method !== 'POST') return httpAnswer(405, { allow: 'GET, POST' });
  if (method === 'GET' && bytes > MAX_GET_BYTES) return httpAnswer(414);
  if (bytes > MAX_POST_BYTES) return httpAnswer(413);

  const requestErrors = errorsOfRequest(question);
  if (isOptOut) {
    if (requestErrors.length === 0 && question.visitor) question.visitor.optedOut = true;
    return dcsAnswer(question.call, {}, requestErrors);
  }
  const laterErrors = [...errorsOfVisitor(question.visitor), ...question.call.customerIdWarnings];
  const errors = requestErrors.length > 0 ? requestErrors : laterErrors;
  const data = path === '/id' ? idFields(question) : eventFields(question);
  return dcsAnswer(question.call, errors.every(comesWithData) ? data : {}, errors);
}

/** An answer of the HTTP layer, with an empty body. */
export function httpAnswer(status: number, headers: Record<string, string> = {}): DcsAnswer {
  return { status, headers, body: Buffer.alloc(0) };
}

function errorsOfRequest({ call, config }: DcsQuestion): DcsError[] {
  if (!call.host) return [dcsError(100)];
  if (call.host.replace(/:\d*$/, '').toLowerCase() !== config.host) return [dcsError(1, call.host)];
  if (!call.wellEncoded) return [dcsError(311)];
  const mid = firstValue(call.params, 'd_mid');
  const uuid = firstValue(call.params, 'd_uuid');
  const orgId = firstValue(call.params, 'd_orgid');
  // An ECID only exists within an organisation: /id and opt-outs by ECID need d_orgid (AAM docs, Data Privacy Requests).
  const needsOrg = call.path === '/id' || (call.path !== '/event' && mid !== undefined);
  const errors: DcsError[] = [];
  if (orgId === undefined ? needsOrg : !config.knowsOrg(orgId)) errors.push(dcsError(2, orgId));
  if (mid !== undefined && !isDeviceId(mid)) errors.push(dcsError(101, mid));
  if (uuid !== undefined && !isDeviceId(uuid)) errors.push(dcsError(102, uuid));
  return errors;
}

function errorsOfVisitor(visitor: VisitorProfile | undefined): DcsError[] {
  if (!visitor) return [];
  const codes = [visitor.denylisted ? 306 : undefined, visitor.optedOut ? 171 : undefined, visitor.failureCode];
  return codes.filter((code) => code !== undefined).map((code) => dcsError(code, visitor.id));
}

function eventFields({ call, visitor, customers, region, config }: DcsQuestion): Fields {
  const wantsIds = ['1', '2'].includes(firstValue(call.params, 'd_cts') ?? '');
  const profiles = visitor ? [visitor, ...customers] : customers;
  const segments = [...new Set(profiles.flatMap((profile) => [...profile.segments]))];
  const destinations = new Map(profiles.flatMap((profile) => [...profile.destinations]));
  return {
    stuff: [...destinations.values()],
    uuid: answeredUuid(call, visitor),
    dcs_region: region,
    ...(firstValue(call.params, 'd_dst') === '1' && { dests: [] }),
    // Real traits have their own ids. The simulator has no trait rules, and returns segment ids for both.
    ...(wantsIds && config.segmentIds && { traits: segments, segments }),
    tid: newTransactionId(),
  };
}

function idFields({ call, visitor, region, config }: DcsQuestion): Fields {
  const mid = firstValue(call.params, 'd_mid') ?? uuidFor(visitor?.id ?? newTransactionId());
  return {
    d_mid: mid,
    id_sync_ttl: 604_800,
    d_blob: createHash('sha256').update(mid).digest('base64url'),
    dcs_region: region,
    d_ottl: 7_200,
    ibs: [],
    subdomain: config.host.split('.', 1)[0],
    tid: newTransactionId(),
  };
}

function answeredUuid(call: DcsCall, visitor: VisitorProfile | undefined): string {
  if (!visitor) return uuidFor(newTransactionId());
  const namedByUuid = visitor.id === firstValue(call.params, 'd_uuid');
  return visitor.answeredUuid ?? (namedByUuid ? visitor.id : uuidFor(visitor.id));
}

/** 12 base64 characters, new for each call. */
function newTransactionId(): string {
  return randomBytes(8).toString('base64');
}

function dcsAnswer(call: DcsCall, data: Fields, errors: readonly DcsError[]): DcsAnswer {
  const headers: Record<string, string> =
    errors.length > 0 ? { 'X-Error': errors.map(({ code }) => code).join(',') } : {};
  // Without d_rtbd=json the answer is only a pixel (AAM docs, Supported Attributes for DCS API Calls).
  if (firstValue(call.params, 'd_rtbd') !== 'json') {
    return { status: 200, headers: { ...headers, 'Content-Type': 'image/gif' }, body: PIXEL };
  }
  const json = JSON.stringify({ ...data, ...(errors.length > 0 && { errors }) });
  const callback = firstValue(call.params, 'd_cb');
  const type = callback ? 'application/javascript' : 'application/json';
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': `${type};charset=utf-8` },
    body: Buffer.from(callback ? `${callback}(${json})` : json),
  };
}

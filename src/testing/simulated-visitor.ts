import { assertDeviceId, assertInteger, assertKnownKeys, assertRule, MAX_MS } from './assertions';
import type { DcsRequest } from './request-log';
import type { VisitorBook } from './visitors';

/** How a cookie destination is answered in `stuff`. */
export interface DestinationDetails {
  /** Days that the cookie is to live. @default 30 */
  readonly ttlDays?: number | undefined;
  /** The cookie's domain. Adobe advises a dummy such as `aam-api.com` for server-to-server. @default '' */
  readonly domain?: string | undefined;
}

/**
 * What a test says about one visitor. Every method takes effect with the next call that arrives, and returns the
 * visitor again so that calls can be chained.
 */
export interface SimulatedVisitor {
  /** Puts the visitor into segments, given as numbers or strings of digits. */
  in(...segmentIds: readonly (number | string)[]): SimulatedVisitor;
  /** Takes the visitor out of segments; without an argument out of all. */
  out(...segmentIds: readonly (number | string)[]): SimulatedVisitor;
  /** Sets what the cookie destination `name` answers; `undefined` as `value` takes the visitor out of it. */
  destination(name: string, value: string | undefined, details?: DestinationDetails): SimulatedVisitor;
  /** Sets the Audience Manager UUID answered, which calls may then send as `d_uuid` too. @default derived from the id */
  uuid(uuid: string): SimulatedVisitor;
  /** Opts the visitor out at the partner: code 171 and no data. */
  optOut(): SimulatedVisitor;
  /** Takes an opt-out back, also one that a call to `/demoptout` made. */
  optIn(): SimulatedVisitor;
  /** Puts the visitor's id on the deny list for good: code 306 and no data. */
  denylist(): SimulatedVisitor;
  /**
   * Answers this visitor with a DCS error code, 0 to 399; `undefined` heals. Codes below 300 and 306, 307, 311 and 315
   * come without data, the other ones from 300 up next to it.
   */
  fails(code: number | undefined): SimulatedVisitor;
  /** This visitor's requests since the log was last cleared, oldest first. */
  readonly calls: readonly DcsRequest[];
}

/** @param id a device id, or a customer's key */
export function simulatedVisitor(
  id: string,
  visitors: VisitorBook,
  callsOf: (visitorId: string) => readonly DcsRequest[],
): SimulatedVisitor {
  const profile = visitors.find(id);
  const handle: SimulatedVisitor = {
    in(...segmentIds) {
      for (const segmentId of segmentIds.map(toSegmentId)) profile.segments.add(segmentId);
      return handle;
    },
    out(...segmentIds) {
      if (segmentIds.length === 0) profile.segments.clear();
      for (const segmentId of segmentIds.map(toSegmentId)) profile.segments.delete(segmentId);
      return handle;
    },
    destination(name, value, details = {}) {
      assertRule(typeof name === 'string' && name !== '', 'destination name', 'a non-empty string', name);
      assertRule(value === undefined || typeof value === 'string', 'destination value', 'a string or undefined', value);
      assertKnownKeys('destination details', details, ['ttlDays', 'domain']);
      const { ttlDays = 30, domain = '' } = details;
      assertInteger('destination ttlDays', ttlDays, 0, MAX_MS);
      assertRule(typeof domain === 'string', 'destination domain', 'a string', domain);
      if (value === undefined) profile.destinations.delete(name);
      else profile.destinations.set(name, { cn: name, cv: value, ttl: ttlDays, dmn: domain });
      return handle;
    },
    uuid(uuid) {
      assertDeviceId('uuid', uuid);
      visitors.setUuid(profile, uuid);
      return handle;
    },
    optOut() {
      profile.optedOut = true;
      return handle;
    },
    optIn() {
      profile.optedOut = false;
      return handle;
    },
    denylist() {
      profile.denylisted = true;
      return handle;
    },
    fails(code) {
      if (code !== undefined) assertInteger('error code', code, 0, 399);
      profile.failureCode = code;
      return handle;
    },
    get calls() {
      return callsOf(profile.id);
    },
  };
  return handle;
}

function toSegmentId(segmentId: number | string): number {
  const isDigits = typeof segmentId === 'string' && /^\d+$/.test(segmentId);
  const id = isDigits ? Number(segmentId) : segmentId;
  const holds = typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;
  assertRule(holds, 'segment id', 'a whole number or a string of digits', segmentId);
  return id as number;
}

import { assertDeviceId, assertInteger, assertKnownKeys, assertRule, MAX_MS } from './assertions';
import type { DcsRequest } from './request-log';
import type { VisitorBook } from './visitors';

/** Details of a cookie destination in `stuff`. */
export interface DestinationDetails {
  /**
   * Lifetime of the cookie, in days.
   * @default 30
   */
  readonly ttlDays?: number | undefined;
  /**
   * The cookie's domain. For server-to-server calls Adobe advises a dummy such as `aam-api.com`.
   * @default ''
   */
  readonly domain?: string | undefined;
}

/**
 * A visitor of the simulated DCS. Each method takes effect for the next call that arrives, and returns the visitor, for
 * chaining.
 */
export interface SimulatedVisitor {
  /** Adds the visitor to segments, given as numbers or strings of digits. */
  in(...segmentIds: readonly (number | string)[]): SimulatedVisitor;
  /** Removes the visitor from segments; without arguments, from all. */
  out(...segmentIds: readonly (number | string)[]): SimulatedVisitor;
  /** Sets the value of the cookie destination `name`; `undefined` removes it. */
  destination(name: string, value: string | undefined, details?: DestinationDetails): SimulatedVisitor;
  /** Sets the Audience Manager UUID in answers, which calls may then send as `d_uuid`. By default it is derived from the id. */
  uuid(uuid: string): SimulatedVisitor;
  /** Opts the visitor out at the partner: error code 171, no data. */
  optOut(): SimulatedVisitor;
  /** Reverts an opt-out, also one by a call to `/demoptout`. */
  optIn(): SimulatedVisitor;
  /** Denylists the visitor's id permanently: error code 306, no data. */
  denylist(): SimulatedVisitor;
  /**
   * Adds a DCS error code, 0 to 399, to answers about this visitor; `undefined` removes it. Codes below 300, and 306, 307, 311
   * and 315, come without data; the others are warnings, next to data.
   */
  fails(code: number | undefined): SimulatedVisitor;
  /** The visitor's requests since the log was last cleared, in order of arrival. */
  readonly calls: readonly DcsRequest[];
}

/** @param id a device id, or the key of a customer */
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

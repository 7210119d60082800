import { validateHeaderName, validateHeaderValue } from 'node:http';
import { assertDeviceId, assertInteger, assertKnownKeys, assertRule, MAX_MS } from './assertions';
import { type OriginName, REGIONS } from './simulator-options';

/** What can go wrong between the site and the DCS. */
export type Fault =
  /** Delays the answer, in milliseconds. Latencies add up, and delay any other fault. */
  | { readonly kind: 'latency'; readonly latencyMs: number }
  /** Accepts the call and never answers. */
  | { readonly kind: 'hang' }
  /** Resets the connection. */
  | { readonly kind: 'reset' }
  /** Answers with this HTTP status, 200 to 599; without a body by default. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>> | undefined;
      readonly body?: string | Uint8Array | undefined;
    }
  /** Sends half of the announced `Content-Length` and closes the connection. */
  | { readonly kind: 'truncate' }
  /** Answers with valid JSON of exactly `bytes` bytes, at least 64, without a `Content-Length`. */
  | { readonly kind: 'huge'; readonly bytes: number }
  /** Answers with truncated JSON in a complete HTTP response. */
  | { readonly kind: 'malformed' }
  /** Answers with this body and status 200, as JSON unless `headers` set another type. */
  | {
      readonly kind: 'body';
      readonly body: string | Uint8Array;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    }
  /** Sends the real answer byte by byte, one every `intervalMs`. */
  | { readonly kind: 'drip'; readonly intervalMs: number };

/** Which calls meet a fault: those that match all fields given here. */
export interface FaultScope {
  /** Only calls to this region's origin, or to the alias. */
  readonly region?: OriginName | undefined;
  /**
   * Only the next `calls` matching calls.
   * @default all calls until the fault is cleared
   */
  readonly calls?: number | undefined;
  /** Only this visitor's calls. */
  readonly visitor?: string | undefined;
}

/** A fault that is set. */
export interface FaultHandle {
  /** How many calls met it. */
  readonly used: number;
  /** Ends the fault. If no call has met it, `close()` still reports it. */
  clear(): void;
}

/** Faults that replace the answer. */
export type AnswerFault = Exclude<Fault, { kind: 'latency' }>;

const DETAILS: Readonly<Record<Fault['kind'], readonly string[]>> = {
  latency: ['latencyMs'],
  hang: [],
  reset: [],
  status: ['status', 'headers', 'body'],
  truncate: [],
  huge: ['bytes'],
  malformed: [],
  body: ['body', 'headers'],
  drip: ['intervalMs'],
};

/** @throws TypeError naming the field that breaks its rule */
export function assertFault(fault: Fault): void {
  assertRule(typeof fault === 'object' && fault !== null, 'fault', 'an object', fault);
  const kinds = Object.keys(DETAILS);
  assertRule(kinds.includes(fault.kind), 'fault.kind', `one of ${kinds.join(', ')}`, fault.kind);
  assertKnownKeys('fault', fault, ['kind', ...DETAILS[fault.kind]]);
  if (fault.kind === 'latency') assertInteger('fault.latencyMs', fault.latencyMs, 0, MAX_MS);
  if (fault.kind === 'drip') assertInteger('fault.intervalMs', fault.intervalMs, 1, MAX_MS);
  if (fault.kind === 'huge') assertInteger('fault.bytes', fault.bytes, 64, Number.MAX_SAFE_INTEGER);
  if (fault.kind === 'status') assertInteger('fault.status', fault.status, 200, 599);
  if (fault.kind === 'status' || fault.kind === 'body') assertContent(fault);
}

function assertContent(fault: Extract<Fault, { kind: 'status' | 'body' }>): void {
  const { kind, body, headers = {} } = fault;
  const isContent = typeof body === 'string' || body instanceof Uint8Array;
  const mayLack = kind === 'status' && body === undefined;
  assertRule(isContent || mayLack, 'fault.body', 'a string or a Buffer', body);
  assertRule(typeof headers === 'object' && headers !== null, 'fault.headers', 'an object', headers);
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
}

/** @throws TypeError naming the field that breaks its rule */
export function assertScope(scope: FaultScope): void {
  assertKnownKeys('where', scope, ['region', 'calls', 'visitor']);
  const { region, calls, visitor } = scope;
  const isOrigin = region === undefined || region === 'alias' || REGIONS.includes(region);
  assertRule(isOrigin, 'where.region', `'alias' or one of ${REGIONS.join(', ')}`, region);
  if (calls !== undefined) assertInteger('where.calls', calls, 1, MAX_MS);
  if (visitor !== undefined) assertDeviceId('where.visitor', visitor);
}

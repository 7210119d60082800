import { validateHeaderName, validateHeaderValue } from 'node:http';
import { inspect } from 'node:util';
import { assertDeviceId, assertInteger, assertKnownKeys, assertRule, MAX_MS } from './assertions';
import { type OriginName, REGIONS } from './simulator-options';

/** What can go wrong between the site and the DCS. */
export type Fault =
  /** Answers later. Adds up with further latencies, and goes before any other fault. */
  | { readonly kind: 'latency'; readonly latencyMs: number }
  /** Accepts the call and never answers. */
  | { readonly kind: 'hang' }
  /** Resets the connection. */
  | { readonly kind: 'reset' }
  /** Answers with an HTTP status of its own, 200 to 599; without a body by default. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>> | undefined;
      readonly body?: string | Uint8Array | undefined;
    }
  /** Announces the whole answer, sends half of it and closes the connection. */
  | { readonly kind: 'truncate' }
  /** Answers valid JSON of exactly so many bytes, at least 64, without announcing its length. */
  | { readonly kind: 'huge'; readonly bytes: number }
  /** Answers JSON that breaks off in the middle, as if it were complete. */
  | { readonly kind: 'malformed' }
  /** Answers this body with status 200, as JSON unless `headers` say otherwise. */
  | {
      readonly kind: 'body';
      readonly body: string | Uint8Array;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    }
  /** Sends the real answer byte by byte. */
  | { readonly kind: 'drip'; readonly intervalMs: number };

/** Which calls meet a fault: all, or those that match everything given here. */
export interface FaultScope {
  /** Only calls to this region's origin, or to the alias. */
  readonly region?: OriginName | undefined;
  /** Only the next so many calls that match. @default until cleared */
  readonly calls?: number | undefined;
  /** Only this visitor's calls. */
  readonly visitor?: string | undefined;
}

/** A fault that was set. */
export interface FaultHandle {
  /** How many calls met it. */
  readonly used: number;
  /** Ends it. Never used until then, it is still reported by `close()`. */
  clear(): void;
}

/** The faults that take the answer's place. */
export type AnswerFault = Exclude<Fault, { kind: 'latency' }>;

/** What one call meets. */
export interface MetFaults {
  readonly latencyMs: number;
  readonly fault: AnswerFault | undefined;
  /** What the log names: the fault that took the answer's place, else whether there was a latency. */
  readonly kind: Fault['kind'] | undefined;
}

interface Arrival {
  readonly region: OriginName;
  readonly visitor?: string;
}

interface SetFault {
  readonly fault: Fault;
  readonly scope: { -readonly [Key in keyof FaultScope]: FaultScope[Key] };
  used: number;
  cleared: boolean;
}

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

/** The faults that are set, oldest first. */
export class FaultBoard {
  #faults: SetFault[] = [];
  readonly #visitorOf: (id: string) => string;

  /** `visitorOf` says by which id the log names the visitor of an id. */
  constructor(visitorOf: (id: string) => string) {
    this.#visitorOf = visitorOf;
  }

  /** @throws TypeError for a fault or scope that breaks its rules */
  set(fault: Fault, scope: FaultScope): FaultHandle {
    assertFault(fault);
    assertScope(scope);
    const entry: SetFault = { fault: { ...fault }, scope: { ...scope }, used: 0, cleared: false };
    if (scope.visitor !== undefined) entry.scope.visitor = this.#visitorOf(scope.visitor);
    this.#faults.push(entry);
    return {
      get used() {
        return entry.used;
      },
      clear() {
        entry.cleared = true;
      },
    };
  }

  /** Uses up the faults that this arrival meets. A fault hidden behind a newer one is not used. */
  meet(arrival: Arrival): MetFaults {
    let latencyMs = 0;
    let kind: Fault['kind'] | undefined;
    let newest: { entry: SetFault; fault: AnswerFault } | undefined;
    for (const entry of this.#faults.filter((candidate) => applies(candidate, arrival))) {
      const { fault } = entry;
      if (fault.kind !== 'latency') {
        newest = { entry, fault };
        continue;
      }
      entry.used += 1;
      latencyMs += fault.latencyMs;
      kind = 'latency';
    }
    if (newest) newest.entry.used += 1;
    return { latencyMs, fault: newest?.fault, kind: newest?.fault.kind ?? kind };
  }

  clear(): void {
    this.#faults = [];
  }

  /** One line for each fault that no call met. */
  unused(): string[] {
    return this.#faults
      .filter(({ used }) => used === 0)
      .map(({ fault, scope }) => `${inspect(fault, INSPECT)} for ${inspect(scope, INSPECT)}`);
  }
}

const INSPECT = { breakLength: Infinity, maxStringLength: 60 };

function applies({ scope, used, cleared }: SetFault, arrival: Arrival): boolean {
  return (
    !cleared &&
    used < (scope.calls ?? Infinity) &&
    (scope.region ?? arrival.region) === arrival.region &&
    (scope.visitor ?? arrival.visitor) === arrival.visitor
  );
}

function assertFault(fault: Fault): void {
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

function assertScope(scope: FaultScope): void {
  assertKnownKeys('where', scope, ['region', 'calls', 'visitor']);
  const { region, calls, visitor } = scope;
  const isOrigin = region === undefined || region === 'alias' || REGIONS.includes(region);
  assertRule(isOrigin, 'where.region', `'alias' or one of ${REGIONS.join(', ')}`, region);
  if (calls !== undefined) assertInteger('where.calls', calls, 1, MAX_MS);
  if (visitor !== undefined) assertDeviceId('where.visitor', visitor);
}

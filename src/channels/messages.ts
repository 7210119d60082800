/**
 * Owns: what is published for those who watch: docs/watching.md describes it. No message may contain an identifier. Next:
 * channels.ts.
 */

/** On the channel `express-aam-segments:request`: a request was served. */
export interface RequestMessage {
  /** The middleware. */
  readonly instance: object;
  readonly status: 'fresh' | 'cached' | 'stale' | 'unknown' | 'anonymous' | 'excluded' | 'preview';
  /** As `req.aamSegments.reason`. */
  readonly reason: string | undefined;
  /** How long the request was held, in milliseconds. */
  readonly waitMs: number;
  /** The age of the answer, in milliseconds. */
  readonly ageMs: number | undefined;
  /** The region of the data centre that answered. */
  readonly region: number | undefined;
  /** `undefined` without an answer. */
  readonly servedFrom: 'memory' | 'shared' | 'dcs' | undefined;
  /** Where the visitor's id was found; `undefined` without a usable id. */
  readonly idSource: IdSource | undefined;
  /** What decided whether the DCS may be asked; `undefined` if nothing did. */
  readonly consentSignal: ConsentSignal | undefined;
  /** Tells visitors apart for the life of the process. */
  readonly pseudonym: string | undefined;
}

/** Where the id of a visitor was found. `customer-ids`: there is no other one. */
export type IdSource = 'amcv' | 'web-sdk' | 's_ecid' | 'adobe_mc' | 'uuid-cookie' | 'site' | 'customer-ids';

/**
 * What decided about consent. `required`: nobody said anything, and consent is required; `unreadable`: there are too many
 * cookies of one name to read; `withdrawn`: another request of the
 * visitor refused while this one waited.
 */
export type ConsentSignal =
  | 'amcv-optout'
  | 'gpc'
  | 'tcf'
  | 'web-sdk'
  | 'opt-in'
  | 'gpp'
  | 'us-privacy'
  | 'site'
  | 'required'
  | 'unreadable'
  | 'withdrawn';

/** On the channel `express-aam-segments:request:decision`: a guard or a router has decided. */
export interface DecisionMessage {
  /** The middleware whose segments decided. */
  readonly instance: object;
  readonly kind: 'guard' | 'router';
  /** The names, ids and values that the site configured. */
  readonly refs: readonly string[];
  /** Of a guard: `passed` or `refused`. Of a router: the ref that was chosen, `default`, or `none`. */
  readonly outcome: string;
}

/**
 * On the tracing channel `express-aam-segments:dcs-call`: one call, from being sent until its connection is free again or
 * closed. One object for all messages about a call.
 */
export interface DcsCallMessage {
  /** The middleware or the client. */
  readonly instance: object;
  readonly kind: 'lookup' | 'event' | 'opt-out';
  /** The region of the visitor, if known. */
  readonly region: number | undefined;
  /** The server that is called. */
  readonly origin: string;
  /** HTTP requests sent so far; 2 if a keep-alive socket was being closed. */
  readonly attempts: number;
  /** `undefined` until the end. */
  readonly outcome: 'success' | 'failure' | 'neutral' | undefined;
  /** Why there are no segments. */
  readonly reason: string | undefined;
  /** From sending to the outcome, in milliseconds. */
  readonly durationMs: number | undefined;
  /** Of a failure. */
  readonly error: Error | undefined;
}

/** The states of a circuit breaker, as in `stats().origins`. */
type State = 'closed' | 'open' | 'half-open';

/** On the channel `express-aam-segments:breaker`: a circuit breaker has changed. */
export interface BreakerMessage {
  /** The middleware or the client. */
  readonly instance: object;
  readonly origin: string;
  /** The region of the origin, if it serves exactly one. */
  readonly region: number | undefined;
  readonly state: State;
  readonly previous: State;
}

/** On the channel `express-aam-segments:event`: each event is `queued`, and later one of the others. */
export interface EventMessage {
  /** The middleware or the client. */
  readonly instance: object;
  readonly outcome: 'queued' | 'sent' | 'failed' | 'dropped';
}

/** On the channel `express-aam-segments:shared-store`: the status of the shared store has changed. */
export interface SharedStoreMessage {
  /** The middleware or the client. */
  readonly instance: object;
  /** As `stats().shared.status`. */
  readonly status: 'ready' | 'connecting' | 'failing' | 'closed';
  readonly previous: 'ready' | 'connecting' | 'failing' | 'closed';
}

/** On the channel `express-aam-segments:exposure`: a unit has used its variant, for the first time that this process remembers. */
export interface ExposureMessage {
  /** The middleware. */
  readonly instance: object;
  /** The name of the experiment. */
  readonly experiment: string;
  readonly variant: string;
  /** `holdout`: the unit would have taken part, and is to be counted apart. */
  readonly reason: 'assigned' | 'holdout';
}

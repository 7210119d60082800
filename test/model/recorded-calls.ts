/** Stands between the lookups and the DCS, and records every call from its making to its end. */
import type { Dcs, DcsStats } from '../../src/dcs/dcs';
import type { Call, CallKind, CallObserver, CallResult } from '../../src/dcs/flow/call';
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import type { Exclusion } from '../../src/dcs/protocol/error-codes';
import type { Question } from '../../src/dcs/protocol/request';
import type { Visitor } from '../../src/identity/visitor';
import { must } from './broken-rule';
import type { FakeExchange } from './fake-transport';
import { keysOf, variantOf } from './visitors';

/** Moments are numbers that grow with everything that happens: several of them can be in one millisecond. */
export class Moments {
  #latest = 1;

  next(): number {
    return ++this.#latest;
  }
}

export class RecordedCall {
  readonly n: number;
  readonly kind: CallKind;
  readonly keys: readonly string[];
  readonly variant: string;
  readonly region: number | undefined;
  /** When the request came that wants it. */
  readonly requestedAt: number;
  readonly madeAtMs: number;
  /** The moment. */
  madeAt = 0;
  /** Whether an answer about its visitor was remembered then. */
  isAboutKnown = false;
  /** Known as soon as it has been made, which may be after it has been sent. */
  call: Call | undefined;
  exchange: FakeExchange | undefined;
  sends = 0;
  /** It has waited for a connection of the origin that was the right one when it came. */
  wasQueued = false;
  /** Sent while an opt-out ended: whether its answer is up to date is a matter of microtasks. */
  isBetween = false;
  /** Turned away with HTTP 429: it may be sent once more. */
  isTurnedAway = false;
  /** Ended by something else than the wire. */
  isGivenUp = false;
  result: CallResult | undefined;

  constructor(
    n: number,
    kind: CallKind,
    visitor: Visitor,
    tcString: string | undefined,
    requestedAt: number,
    madeAtMs: number,
  ) {
    this.n = n;
    this.kind = kind;
    this.keys = keysOf(visitor);
    this.variant = variantOf(visitor, tcString);
    this.region = visitor.region;
    this.requestedAt = requestedAt;
    this.madeAtMs = madeAtMs;
  }

  get key(): string {
    return this.keys[0] as string;
  }

  get isOver(): boolean {
    return this.call?.phase === 'over';
  }

  /** For messages. */
  toString(): string {
    return `${this.kind} ${this.n} about ${this.keys.map((key) => key.replace(/0{9,}/, '')).join('+')} (${this.call?.phase})`;
  }
}

/** What the model wants to know of the calls. */
export interface CallsListener {
  /** A call is about to be made. */
  making(record: RecordedCall): void;
  ended(record: RecordedCall, result: CallResult): void;
  /** Calls are about to be ended that may be running. */
  givingUp(isMeant: (record: RecordedCall) => boolean): void;
}

export class RecordedDcs implements Dcs {
  /** When the request came on whose behalf calls are made now. */
  requestedAt = 0;
  /** Those that are not over. */
  readonly live = new Set<RecordedCall>();
  readonly #dcs: Dcs;
  readonly #listener: CallsListener;
  readonly #nowMs: () => number;
  readonly #byRequest = new WeakMap<object, RecordedCall>();
  readonly #byCall = new WeakMap<Call, RecordedCall>();
  #making: RecordedCall | undefined;
  #made = 0;

  constructor(dcs: Dcs, listener: CallsListener, nowMs: () => number) {
    this.#dcs = dcs;
    this.#listener = listener;
    this.#nowMs = nowMs;
  }

  /** Whose call is on the wire. It may be the one that is just being made. */
  ofExchange(exchange: FakeExchange): RecordedCall {
    const record = this.#byRequest.get(exchange.outgoing.request) ?? this.#making;
    must(record !== undefined, 'only what somebody wanted is sent');
    return record as RecordedCall;
  }

  of(call: Call): RecordedCall {
    return this.#byCall.get(call) as RecordedCall;
  }

  lookup(key: string, question: Question, observer: CallObserver): Call {
    return this.#record('lookup', question.visitor, question.tcString, observer, (own) => {
      return this.#dcs.lookup(key, question, own);
    });
  }

  sendEvent(key: string, question: Question, isStranger: boolean, observer: CallObserver): Call {
    return this.#record('event', question.visitor, question.tcString, observer, (own) => {
      return this.#dcs.sendEvent(key, question, isStranger, own);
    });
  }

  optOut(key: string, visitor: Visitor, observer: CallObserver): Call {
    return this.#record('opt-out', visitor, undefined, observer, (own) => this.#dcs.optOut(key, visitor, own));
  }

  abandon(calls: Iterable<Call>, reason: Exclusion): void {
    const abandoned = new Set(calls);
    this.#listener.givingUp(({ call }) => call !== undefined && abandoned.has(call));
    this.#dcs.abandon(abandoned, reason);
  }

  unavailable(key: string, visitor: Visitor): DcsFailure | undefined {
    return this.#dcs.unavailable(key, visitor);
  }

  retryInMs(key: string, visitor: Visitor): number {
    return this.#dcs.retryInMs(key, visitor);
  }

  isImminent(event: Call): boolean {
    return this.#dcs.isImminent(event);
  }

  stats(): DcsStats {
    return this.#dcs.stats();
  }

  close(): Promise<void> {
    this.#listener.givingUp(({ kind }) => kind === 'lookup');
    return this.#dcs.close();
  }

  #record(
    kind: CallKind,
    visitor: Visitor,
    tcString: string | undefined,
    observer: CallObserver,
    make: (observer: CallObserver) => Call,
  ): Call {
    const record = new RecordedCall(++this.#made, kind, visitor, tcString, this.requestedAt, this.#nowMs());
    this.#listener.making(record);
    const before = this.#making;
    this.#making = record;
    this.live.add(record);
    const call = make({
      began: () => observer.began(),
      ended: (result) => {
        must(record.result === undefined, 'a call ends once', () => String(record));
        record.result = result;
        this.#listener.ended(record, result);
        observer.ended(result);
      },
    });
    this.#making = before;
    record.call = call;
    this.#byRequest.set(call.request, record);
    this.#byCall.set(call, record);
    return call;
  }
}

/**
 * Owns: the calls. A lookup, an event or an opt-out waits for its turn among the calls about its visitor, goes through the
 * gate of the origin that answers for them, and is sent; how it ends is told to the breaker, to the visitor's history and
 * to whoever made it. Who asks, how long they wait and what is remembered is not known here.
 */
import type { CallTrace, DcsPublisher } from '../channels/dcs-publisher';
import type { Visitor } from '../identity/visitor';
import { FleetLane, type FleetLaneHost } from '../shared-tier/fleet-lane';
import type { SharedTier } from '../shared-tier/shared-tier';
import type { Dcs, DcsStats } from './dcs';
import { Call, type CallKind, type CallObserver, type CallResult } from './flow/call';
import { CallHistory, type CallHistoryConfig } from './flow/call-history';
import type { BreakerState, CallOutcome } from './flow/circuit-breaker';
import { type Clock, PROCESS_CLOCK } from './flow/clock';
import { type EventHost, EventQueue, type EventQueueConfig } from './flow/event-queue';
import { LocalVisitorLane, type VisitorLane } from './flow/visitor-lane';
import {
  type Exchange,
  type HttpAnswer,
  type HttpExchangeConfig,
  HttpTransport,
  type Transport,
} from './http-exchange';
import { type Origin, Origins, type OriginsConfig } from './origins';
import { DcsError, type DcsFailure } from './protocol/dcs-error';
import type { Exclusion } from './protocol/error-codes';
import { type DcsReply, replyFromBody, replyToOptOut } from './protocol/reply';
import { type DcsMethod, type Question, RequestWriter, type SegmentIds } from './protocol/request';

/** The resolved values that it needs. */
export interface DcsCallsConfig extends OriginsConfig, EventQueueConfig, CallHistoryConfig {
  readonly orgId: string;
  readonly segmentIds: SegmentIds;
  readonly method?: DcsMethod;
}

/**
 * On real connections and by the real clock.
 * @param tier of the fleet that this process belongs to
 */
export function createDcs(
  config: DcsCallsConfig & HttpExchangeConfig,
  publisher?: DcsPublisher,
  tier?: SharedTier,
): Dcs {
  return new DcsCalls(config, new HttpTransport(config, PROCESS_CLOCK), PROCESS_CLOCK, publisher, tier);
}

interface Running {
  readonly origin: Origin;
  /** For those who watch. */
  readonly trace: CallTrace | undefined;
  exchange: Exchange | undefined;
  /** It is tried again when its connection is free. */
  isForLater: boolean;
}

/** What says that a server is not well. A visitor whom it will not serve does not. */
const FAILURES: ReadonlySet<DcsFailure['reason']> = new Set([
  'timeout',
  'network',
  'http-status',
  'bad-reply',
] as const);
/** So many different questions about one visitor at a time are no visitor any more. */
const MAX_LOOKUPS_PER_VISITOR = 8;

export class DcsCalls implements Dcs {
  readonly #config: DcsCallsConfig;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #publisher: DcsPublisher | undefined;
  readonly #writer: RequestWriter;
  readonly #history: CallHistory;
  readonly #lane: VisitorLane;
  readonly #events: EventQueue;
  readonly #origins: Origins;
  readonly #running = new Map<Call, Running>();
  #sent = 0;
  #closing: Promise<void> | undefined;
  /** Called when a call is over, while something waits for all of them. */
  #onOver: () => void = () => {};

  /**
   * @param publisher for those who watch; without one nothing is published
   * @param tier of a fleet, whose processes take turns
   */
  constructor(config: DcsCallsConfig, transport: Transport, clock: Clock, publisher?: DcsPublisher, tier?: SharedTier) {
    this.#config = config;
    this.#publisher = publisher;
    this.#clock = clock;
    this.#transport = transport;
    this.#writer = new RequestWriter(config.orgId, config.segmentIds, config.method);
    this.#history = new CallHistory(config, () => clock.nowMs());
    this.#origins = new Origins(config, clock, {
      start: (call, origin) => this.#send(call, origin),
      turnAway: (call, origin, why) => this.#turnAway(call, origin, why),
      changed: () => this.#events.pump(),
      breakerChanged: (origin, state, previous) => this.#breakerChanged(origin, state, previous),
    });
    const eventHost: EventHost = {
      gatesFor: ({ region }) => {
        const home = this.#origins.homeOf(region);
        const standIn = this.#origins.standInFor(home);
        return { home: home.gate, standIn: standIn.gate, target: this.#origins.forEvent(region).gate };
      },
      advance: (key) => this.#lane.advance(key),
      drop: (event) => {
        this.#lane.takeWaiting(event.key, (call) => call === event);
        event.phase = 'over';
        this.#events.ended('dropped');
        event.end({ isDropped: true });
        // It may have had its turn, and have waited for that in the fleet.
        this.#lane.leave(event);
        this.#lane.advance(event.key);
      },
    };
    this.#events = new EventQueue(config, clock, eventHost, publisher);
    const laneHost: FleetLaneHost = {
      begin: (call) => this.#begin(call),
      offer: (event) => this.#events.offer(event),
      reject: (call, why) => this.#reject(call, why),
      found: (call, found) => this.#endUnsent(call, { found }),
    };
    this.#lane =
      tier === undefined
        ? new LocalVisitorLane(clock, this.#history, laneHost)
        : new FleetLane(tier, config.maxCallsPerMinute, clock, this.#history, laneHost);
  }

  stats(): DcsStats {
    return {
      calls: this.#sent,
      inFlight: this.#lane.size,
      origins: this.#origins.stats(),
      events: this.#events.stats(),
    };
  }

  unavailable(key: string, visitor: Visitor): DcsFailure | undefined {
    if (this.#closing !== undefined) return CLOSED;
    return this.#history.unavailable(key) ?? this.#origins.forLookup(visitor.region).gate.unavailable;
  }

  retryInMs(key: string, visitor: Visitor): number {
    return Math.max(this.#history.retryInMs(key), this.#origins.forLookup(visitor.region).gate.retryInMs);
  }

  isImminent(event: Call): boolean {
    // It waits for the end of another process's call.
    if (event.phase === 'queued') return true;
    if (event.phase === 'running') return !event.hasEnded && this.#running.get(event)?.isForLater !== true;
    if (event.phase !== 'waiting' || !this.#lane.isNext(event)) return false;
    const { gate } = this.#origins.forEvent(event.region);
    // Nobody is held for a probe.
    if (gate.closedBecause !== undefined || gate.wouldProbe) return false;
    return this.#history.unavailable(event.key) === undefined;
  }

  lookup(key: string, question: Question, observer: CallObserver): Call {
    const call = this.#callFor('lookup', key, question, observer);
    const lookups = this.#lane.callsAbout(key).filter(({ kind }) => kind === 'lookup').length;
    const why = this.#closing !== undefined ? CLOSED : lookups < MAX_LOOKUPS_PER_VISITOR ? undefined : TOO_MANY_LOOKUPS;
    if (why === undefined) this.#lane.add(call);
    else this.#reject(call, why);
    return call;
  }

  sendEvent(key: string, question: Question, isStranger: boolean, observer: CallObserver): Call {
    const event = this.#callFor('event', key, question, observer);
    this.#publisher?.event('queued');
    if (this.#closing !== undefined) {
      this.#reject(event, CLOSED);
      return event;
    }
    event.isStranger = isStranger;
    this.#lane.add(event);
    if (event.phase === 'waiting') this.#events.add(event, isStranger);
    return event;
  }

  optOut(key: string, visitor: Visitor, observer: CallObserver): Call {
    const request = this.#writer.optOutRequest(visitor);
    // An opt-out is not about a region, and one that arrives twice is one.
    const call = new Call({ kind: 'opt-out', key, region: undefined, request, isRepeatable: true, observer });
    if (this.#closing !== undefined) {
      this.#reject(call, CLOSED);
      return call;
    }
    const why = WITHDRAWN['opted-out'];
    this.#rejectWaiting(key, why);
    for (const other of this.#lane.callsAbout(key)) if (other.phase === 'queued') this.#endCurrent(other, why);
    this.#lane.add(call);
    return call;
  }

  abandon(calls: Iterable<Call>, reason: Exclusion): void {
    const why = WITHDRAWN[reason === 'no-consent' ? 'no-consent' : 'opted-out'];
    const abandoned = new Set(calls);
    const keys = new Set([...abandoned].map(({ key }) => key));
    // All are taken out of their lanes first: the end of one may give another its turn.
    const waiting = [...keys].flatMap((key) => this.#lane.takeWaiting(key, (call) => abandoned.has(call)));
    for (const call of waiting) this.#reject(call, why);
    for (const call of abandoned) this.#endCurrent(call, why);
    for (const key of keys) this.#lane.advance(key);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#endAll(({ kind }) => kind === 'lookup');
    await this.#settledWithin(this.#config.timeoutMs);
    // An opt-out may have waited for an event all that time.
    this.#endAll(({ kind }) => kind === 'event');
    await this.#settledWithin(this.#config.timeoutMs);
    this.#endAll(() => true);
    await this.#transport.destroy(CLOSED);
  }

  #endAll(isMeant: (call: Call) => boolean): void {
    const keys = this.#lane.keys();
    // All are taken out of their lanes first: the end of one may give another its turn.
    const waiting = keys.flatMap((key) => this.#lane.takeWaiting(key, isMeant));
    for (const call of waiting) this.#reject(call, CLOSED);
    for (const key of keys) {
      const [current] = this.#lane.callsAbout(key);
      if (current !== undefined && current.phase !== 'waiting' && isMeant(current)) this.#endCurrent(current, CLOSED);
      this.#lane.advance(key);
    }
  }

  /** When all calls have ended, at the latest after this time. */
  #settledWithin(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const hasCalls = () => this.#lane.keys().some((key) => this.#lane.callsAbout(key).some((call) => !call.hasEnded));
      if (!hasCalls()) {
        resolve();
        return;
      }
      const cancel = this.#clock.after(timeoutMs, resolve, true);
      this.#onOver = () => {
        if (hasCalls()) return;
        cancel();
        resolve();
      };
    });
  }

  #callFor(kind: CallKind, key: string, question: Question, observer: CallObserver): Call {
    const { region } = question.visitor;
    const request = this.#writer.eventRequest(question, this.#config.regions.originOf(region).origin);
    // What tells the DCS something must arrive once.
    const { variant, consentedAtMs = this.#clock.nowMs() } = question;
    const isRepeatable = question.signals === '';
    return new Call({ kind, key, region, request, isRepeatable, observer, variant, consentedAtMs });
  }

  /** The turn of a call has come. */
  #begin(call: Call): void {
    if (call.kind === 'lookup') {
      this.#origins.forLookup(call.region).gate.enter(call);
      return;
    }
    // An opt-out is not about a region, and goes to the default origin.
    const origin = this.#origins.forEvent(call.region);
    if (call.kind === 'event') this.#events.left(call);
    origin.gate.begin(call);
    this.#send(call, origin);
  }

  /** A lookup that was queued when its origin closed may find another one open. */
  #turnAway(call: Call, from: Origin, why: DcsFailure): void {
    const wasQueued = call.phase === 'queued';
    const instead = this.#origins.forLookup(call.region);
    if (wasQueued && instead !== from && instead.gate.unavailable === undefined) instead.gate.enter(call);
    else this.#reject(call, why);
  }

  #send(call: Call, origin: Origin): void {
    const trace = this.#traceOf(call, origin);
    const running: Running = { origin, trace, exchange: undefined, isForLater: false };
    this.#running.set(call, running);
    call.phase = 'running';
    call.observer.began();
    const send = () => this.#exchange(call, running);
    const exchange = trace === undefined ? send() : trace.send(send);
    running.exchange = exchange;
    // What its observer, a subscriber or the transport did meanwhile has ended it, and it had no exchange to abort yet.
    if (call.hasEnded && call.phase === 'running' && this.#running.has(call)) exchange.abort();
  }

  #exchange(call: Call, running: Running): Exchange {
    const { origin, trace } = running;
    return this.#transport.send(
      {
        origin: origin.url,
        request: call.request,
        isRepeatable: call.isRepeatable,
        readsBody: call.kind !== 'opt-out',
      },
      {
        attempted: () => {
          this.#sent++;
          trace?.attempted();
          this.#history.sent(call.key);
        },
        settled: (result) => this.#settled(call, running, result),
        released: () => this.#released(call, running),
      },
    );
  }

  /** `undefined` unless somebody watches. */
  #traceOf({ kind, region }: Call, { url }: Origin): CallTrace | undefined {
    // Of `lookup()` it may be any number.
    const known = region !== undefined && this.#config.regions.has(region) ? region : undefined;
    return this.#publisher?.call(kind, known, url, () => this.#clock.nowMs());
  }

  #breakerChanged(origin: Origin, state: BreakerState, previous: BreakerState): void {
    this.#publisher?.breaker(() => {
      return { origin: origin.url.origin, region: this.#origins.regionOf(origin), state, previous };
    });
  }

  #settled(call: Call, running: Running, result: HttpAnswer | DcsFailure): void {
    // It was ended before, and counted.
    if (call.hasEnded) return;
    const reply = 'body' in result ? readReply(call, result) : result;
    const { gate } = running.origin;
    if (!('reason' in reply)) {
      running.trace?.settled('success');
      gate.settle(call, 'success');
      // An opt-out is confirmed for any id.
      if (call.kind !== 'opt-out') this.#events.answered(call.key);
      if (call.kind === 'event') this.#events.ended('sent');
      call.end({ reply });
      return;
    }
    running.trace?.settled(outcomeOf(reply), reply.reason, () => DcsError.from(reply));
    // First, since the end of a probe lets the next call through.
    if (reply.reason === 'rate-limited') gate.pause(reply.retryAfterMs);
    gate.settle(call, outcomeOf(reply));
    this.#note(call, reply);
    if (call.kind === 'event' && reply.reason === 'rate-limited' && this.#closing === undefined) {
      // Turned away unread.
      running.isForLater = true;
      return;
    }
    if (call.kind === 'event') this.#events.ended('failed');
    call.end({ failure: reply });
  }

  #released(call: Call, { origin, trace, isForLater }: Running): void {
    this.#running.delete(call);
    trace?.released();
    // Opted out meanwhile: nothing more is told of that visitor.
    if (isForLater && !call.hasEnded && this.#isOptingOut(call.key)) {
      this.#events.ended('failed');
      call.end({ failure: WITHDRAWN['opted-out'] });
    }
    if (isForLater && !call.hasEnded) {
      call.phase = 'waiting';
      origin.gate.release(call.kind);
      this.#events.addAgain(call);
      if (!call.hasEnded) {
        this.#lane.leaveForLater(call);
        return;
      }
    } else {
      origin.gate.release(call.kind);
    }
    call.phase = 'over';
    this.#lane.leave(call);
    this.#onOver();
  }

  #isOptingOut(key: string): boolean {
    return this.#lane.callsAbout(key).some(({ kind }) => kind === 'opt-out');
  }

  /** What a failure means for other calls about the visitor. */
  #note({ key }: Call, failure: DcsFailure): void {
    switch (failure.reason) {
      case 'denylisted':
        this.#history.denylist(key, failure.dcsCode as number);
        this.#rejectWaiting(key, failure);
        return;
      case 'opted-out':
      case 'invalid-id':
      case 'refused':
        // An answer, and no failure. It is the answer to those who wait for their turn as well.
        this.#rejectWaiting(key, failure);
        return;
      case 'rate-limited':
        // The server has not looked at it. Its gate is closed for a while, and that is enough.
        return;
      case 'no-consent':
      case 'closed':
        return;
      default:
        this.#history.failed(key, failure);
    }
  }

  /** Ends the calls about a visitor that wait for their turn, but for opt-outs. */
  #rejectWaiting(key: string, failure: DcsFailure): void {
    for (const call of this.#lane.takeWaiting(key, ({ kind }) => kind !== 'opt-out')) this.#reject(call, failure);
  }

  /** Ends a call that has its turn. One that has been sent is over when its connection has closed. */
  #endCurrent(call: Call, failure: DcsFailure): void {
    if (call.hasEnded) return;
    const running = this.#running.get(call);
    if (running === undefined) {
      for (const { gate } of this.#origins.all) gate.leave(call);
      this.#reject(call, failure);
      return;
    }
    running.trace?.settled('neutral', failure.reason);
    running.origin.gate.settle(call, 'neutral');
    if (call.kind === 'event') this.#events.ended('failed');
    call.end({ failure });
    running.exchange?.abort();
  }

  /** Ends a call that has not been sent. */
  #reject(call: Call, failure: DcsFailure): void {
    this.#endUnsent(call, { failure });
  }

  #endUnsent(call: Call, result: CallResult): void {
    call.phase = 'over';
    if (call.kind === 'event' && !call.hasEnded) {
      this.#events.left(call);
      this.#events.ended('failed');
    }
    call.end(result);
    this.#lane.leave(call);
    this.#onOver();
  }
}

/** The answer of the DCS, or what is wrong with it. */
function readReply({ kind }: Call, { body, errorHeader }: HttpAnswer): DcsReply | DcsFailure {
  try {
    return kind === 'opt-out' ? replyToOptOut(errorHeader) : replyFromBody(body, errorHeader);
  } catch (error) {
    return error instanceof DcsError ? error : UNREADABLE;
  }
}

function outcomeOf({ reason }: DcsFailure): CallOutcome {
  if (reason === 'rate-limited' || reason === 'closed') return 'neutral';
  return FAILURES.has(reason) ? 'failure' : 'success';
}

const CLOSED: DcsFailure = { reason: 'closed', message: 'close() was called.' };
const UNREADABLE: DcsFailure = { reason: 'bad-reply', message: 'The answer of the DCS could not be used.' };
const TOO_MANY_LOOKUPS: DcsFailure = {
  reason: 'overloaded',
  message: 'Call not made: too many calls are queued for this visitor.',
};
const WITHDRAWN: Readonly<Record<'no-consent' | 'opted-out', DcsFailure>> = {
  'no-consent': { reason: 'no-consent', message: 'The visitor withdrew consent.' },
  'opted-out': { reason: 'opted-out', message: 'The visitor opted out.' },
};

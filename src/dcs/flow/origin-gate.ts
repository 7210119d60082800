/**
 * Owns: whether a call to one origin may begin now, and how many run at a time. A breaker stops calls to a server that
 * fails, a pause those to one that is rate limiting, a limit bounds what runs and what waits for it. It knows nothing of
 * visitors, sockets or answers.
 */
import type { DcsFailure } from '../protocol/dcs-error';
import type { Call, CallKind } from './call';
import {
  type BreakerLimits,
  type BreakerListener,
  type BreakerState,
  type CallOutcome,
  CircuitBreaker,
} from './circuit-breaker';
import type { Clock } from './clock';
import { Deadlines } from './deadlines';
import { LinkedQueue, type QueuePlace } from './linked-queue';

export interface OriginGateConfig {
  /** Calls that run at a time. */
  readonly connections: number;
  /** Lookups that wait for one of them to end. */
  readonly maxQueuedCalls: number;
  /** How long a lookup waits for that at most. */
  readonly timeoutMs: number;
  /** `false`: no breaker. */
  readonly breaker: BreakerLimits | false;
}

/** The state of one origin. */
export interface OriginStats {
  readonly breaker: BreakerState;
  /** Calls that are running. */
  readonly running: number;
  /** Lookups that wait for one of them to end. */
  readonly queued: number;
  /** How long no call is made because the server is rate limiting (HTTP 429), in milliseconds. */
  readonly pausedForMs: number;
}

/** What a gate leaves to others. */
export interface GateHost {
  /** A lookup begins. */
  start(call: Call): void;
  /** A lookup that was queued does not begin here. */
  turnAway(call: Call, why: DcsFailure): void;
  /** A call may begin that could not before, or cannot that could: events may be waiting for that. */
  changed(): void;
  /** For those who watch. */
  readonly breakerChanged?: BreakerListener;
}

interface Queued {
  readonly call: Call;
  readonly deadline: ReturnType<Deadlines['set']>;
}

/** A server without `Retry-After` is left alone for a second at first, doubled with each 429 up to a minute. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A server may ask for more; but a slip of it must not switch segments off for good. */
const LONGEST_ASKED_PAUSE_MS = 600_000;
/** While both wait, every fourth call that begins is an event: neither starves the other. */
const LOOKUPS_PER_EVENT = 3;
/** A retry is worth while in this time, where it depends on calls that are running. */
const SOON_MS = 50;

export class OriginGate {
  readonly #config: OriginGateConfig;
  readonly #clock: Clock;
  readonly #host: GateHost;
  readonly #breaker: CircuitBreaker;
  readonly #queue = new LinkedQueue<Queued>();
  readonly #places = new Map<Call, QueuePlace<Queued>>();
  readonly #deadlines: Deadlines;
  /** Events get no more than half of the connections: pages wait for lookups. */
  readonly #maxEvents: number;
  #running = 0;
  #runningEvents = 0;
  #lookupsSinceEvent = 0;
  #pausedUntilMs = 0;
  #nextPauseMs = FIRST_PAUSE_MS;

  constructor(config: OriginGateConfig, clock: Clock, host: GateHost) {
    this.#config = config;
    this.#clock = clock;
    this.#host = host;
    this.#breaker = new CircuitBreaker(config.breaker, () => clock.nowMs(), host.breakerChanged);
    this.#deadlines = new Deadlines(config.timeoutMs, clock);
    this.#maxEvents = Math.ceil(config.connections / 2);
  }

  /** Why no call may begin now, whatever room there is. */
  get closedBecause(): DcsFailure | undefined {
    if (!this.#breaker.admits) return CIRCUIT_OPEN;
    return this.#clock.nowMs() < this.#pausedUntilMs ? PAUSED : undefined;
  }

  /** Whether a call that begins now is a probe. */
  get wouldProbe(): boolean {
    return this.#breaker.state === 'open' && this.#breaker.admits;
  }

  /** Why a lookup would fail at once. */
  get unavailable(): DcsFailure | undefined {
    return this.closedBecause ?? (this.#isFull ? OVERLOADED : undefined);
  }

  /** Whether an event may begin now. */
  get hasRoomForEvent(): boolean {
    if (this.#running >= this.#config.connections || this.#runningEvents >= this.#maxEvents) return false;
    return this.#queue.size === 0 || this.#lookupsSinceEvent >= LOOKUPS_PER_EVENT;
  }

  /** Milliseconds until a call may begin, as far as the clock decides. Otherwise a running call has to end first. */
  get opensInMs(): number {
    return Math.max(0, this.#breaker.retryInMs, this.#pausedUntilMs - this.#clock.nowMs());
  }

  /** Milliseconds after which to try again what cannot begin now; 0 if it can. */
  get retryInMs(): number {
    return this.unavailable === undefined ? 0 : Math.max(SOON_MS, this.opensInMs);
  }

  stats(): OriginStats {
    return {
      breaker: this.#breaker.state,
      running: this.#running,
      queued: this.#queue.size,
      pausedForMs: Math.max(0, this.#pausedUntilMs - this.#clock.nowMs()),
    };
  }

  /** A lookup begins, is queued until another call ends, or is turned away: at once, or when it has waited too long. */
  enter(call: Call): void {
    const why = this.unavailable;
    if (why !== undefined) {
      this.#host.turnAway(call, why);
    } else if (this.#running < this.#config.connections) {
      this.#startLookup(call);
    } else {
      call.phase = 'queued';
      const deadline = this.#deadlines.set(() => {
        this.leave(call);
        this.#host.turnAway(call, WAITED_TOO_LONG);
      });
      this.#places.set(call, this.#queue.push({ call, deadline }));
    }
  }

  /** A queued lookup gives up. */
  leave(call: Call): void {
    const place = this.#places.get(call);
    if (place === undefined) return;
    this.#places.delete(call);
    this.#queue.remove(place);
    this.#deadlines.clear(place.value.deadline);
  }

  /**
   * A call that was not let in by {@link enter} begins: an event that has found the gate open and with room for it, or an
   * opt-out, which nothing holds.
   */
  begin(call: Call): void {
    this.#running++;
    if (call.kind === 'event') {
      this.#runningEvents++;
      this.#lookupsSinceEvent = 0;
    }
    // An opt-out does not wait for a probe and is none.
    call.isProbe = call.kind === 'event' && this.#breaker.begin();
    if (call.isProbe) this.#closeForProbe();
  }

  /** What a call that has begun says about the server. It may go on running until its socket is free or closed. */
  settle(call: Call, outcome: CallOutcome): void {
    const { isProbe } = call;
    // The place of a probe is given back once.
    call.isProbe = false;
    const hasOpened = this.#breaker.end(outcome, isProbe);
    if (outcome === 'success' && this.#clock.nowMs() >= this.#pausedUntilMs) this.#nextPauseMs = FIRST_PAUSE_MS;
    if (hasOpened) this.#turnAwayAll(CIRCUIT_OPEN);
    if (hasOpened || isProbe) this.#host.changed();
  }

  /** The server is rate limiting. Calls that ran together are all told so: that is one reason to pause, not sixty. */
  pause(retryAfterMs: number | undefined): void {
    const nowMs = this.#clock.nowMs();
    let pauseMs = retryAfterMs;
    if (pauseMs === undefined) {
      if (nowMs < this.#pausedUntilMs) return;
      // Between half of it and all, so that a fleet of servers does not come back as one.
      pauseMs = this.#nextPauseMs * (0.5 + Math.random() / 2);
      this.#nextPauseMs = Math.min(this.#nextPauseMs * 2, LONGEST_PAUSE_MS);
    }
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(pauseMs, LONGEST_ASKED_PAUSE_MS));
    this.#turnAwayAll(PAUSED);
    this.#host.changed();
  }

  /** A call that has begun is over: its connection can be used by the next one. */
  release(kind: CallKind): void {
    this.#running--;
    if (kind === 'event') this.#runningEvents--;
    // The events first: it is they who know whether it is their turn.
    this.#host.changed();
    while (this.#running < this.#config.connections && this.closedBecause === undefined) {
      const next = this.#queue.first;
      if (next === undefined) return;
      this.leave(next.call);
      this.#startLookup(next.call);
    }
  }

  get #isFull(): boolean {
    return this.#running >= this.#config.connections && this.#queue.size >= this.#config.maxQueuedCalls;
  }

  #startLookup(call: Call): void {
    this.#running++;
    this.#lookupsSinceEvent++;
    call.isProbe = this.#breaker.begin();
    this.#host.start(call);
    if (call.isProbe) this.#closeForProbe();
  }

  /** Nothing else may begin until it has ended. */
  #closeForProbe(): void {
    this.#turnAwayAll(CIRCUIT_OPEN);
    this.#host.changed();
  }

  #turnAwayAll(why: DcsFailure): void {
    // Only those of now: what is turned away may come again.
    for (let left = this.#queue.size; left > 0; left--) {
      const next = this.#queue.first;
      if (next === undefined) return;
      this.leave(next.call);
      this.#host.turnAway(next.call, why);
    }
  }
}

const CIRCUIT_OPEN: DcsFailure = { reason: 'circuit-open', message: 'Call not made: circuit breaker open.' };
const PAUSED: DcsFailure = {
  reason: 'rate-limited',
  message: 'Call not made: the DCS is rate limiting (HTTP 429).',
};
const OVERLOADED: DcsFailure = {
  reason: 'overloaded',
  message: 'Call not made: too many calls are queued for this origin.',
};
const WAITED_TOO_LONG: DcsFailure = {
  reason: 'overloaded',
  message: 'Call not made: no connection was free in time.',
};

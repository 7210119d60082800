/**
 * Owns: whose turn it is among the calls about one visitor. Never two at once (Audience Manager docs, "DCS API race
 * conditions"): opt-outs first, then lookups and events in the order in which they came; only an event that its server
 * holds back is overtaken by lookups.
 */
import type { DcsFailure } from '../protocol/dcs-error';
import type { Call } from './call';
import type { CallHistory } from './call-history';
import type { Clock } from './clock';
import { LinkedQueue } from './linked-queue';

/** The turns of one process. That of a fleet is `FleetLane`. */
export interface VisitorLane {
  /** Calls that have their turn or wait for it. */
  readonly size: number;
  /** The visitors with such calls. */
  keys(): readonly string[];
  /** Those about one visitor, in the order of their turns. */
  callsAbout(key: string): readonly Call[];
  /** A call waits for its turn, which may come at once. */
  add(call: Call): void;
  /**
   * Takes waiting calls about one visitor out of their lane. No other call gets its turn for that before `advance()`.
   * @returns those taken, in their order
   */
  takeWaiting(key: string, isMeant: (call: Call) => boolean): readonly Call[];
  /** The turn of a call is over. */
  leave(call: Call): void;
  /** The turn of a call is over, and it needs another one before all that wait. */
  leaveForLater(call: Call): void;
  /** Gives the turn to whichever call may have it now: something has changed for a waiting event. */
  advance(key: string): void;
  /** Whether a call has its turn, or gets it as soon as the call that has it has ended. */
  isNext(call: Call): boolean;
}

/** What a lane leaves to others. */
export interface LaneHost {
  /** The turn of a call has come. It is over when the host calls `leave()`. */
  begin(call: Call): void;
  /** Whether the turn of an event may come: `wait` for room among the calls, `held` back by its server. */
  offer(event: Call): 'begin' | 'wait' | 'held';
  /** A waiting call that will not get its turn. */
  reject(call: Call, why: DcsFailure): void;
}

interface Lane {
  readonly key: string;
  /** The call that has its turn. */
  current: Call | undefined;
  readonly optOuts: LinkedQueue<Call>;
  readonly waiting: LinkedQueue<Call>;
  /** Stops waiting for the moment from which calls about the visitor may be made again. */
  cancelWakeUp: (() => void) | undefined;
}

export class LocalVisitorLane implements VisitorLane {
  readonly #clock: Clock;
  readonly #history: CallHistory;
  readonly #host: LaneHost;
  readonly #lanes = new Map<string, Lane>();
  #size = 0;

  constructor(clock: Clock, history: CallHistory, host: LaneHost) {
    this.#clock = clock;
    this.#history = history;
    this.#host = host;
  }

  get size(): number {
    return this.#size;
  }

  keys(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  callsAbout(key: string): readonly Call[] {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return NONE;
    const calls = [...lane.optOuts, ...lane.waiting];
    return lane.current === undefined ? calls : [lane.current, ...calls];
  }

  add(call: Call): void {
    const lane = this.#laneOf(call.key);
    call.turn = (call.kind === 'opt-out' ? lane.optOuts : lane.waiting).push(call);
    this.#size++;
    this.#advance(lane);
  }

  takeWaiting(key: string, isMeant: (call: Call) => boolean): readonly Call[] {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return [];
    const taken = [...lane.optOuts, ...lane.waiting].filter(isMeant);
    for (const call of taken) this.#take(lane, call);
    this.#size -= taken.length;
    return taken;
  }

  leave(call: Call): void {
    const lane = this.#lanes.get(call.key);
    if (lane?.current !== call) return;
    lane.current = undefined;
    this.#size--;
    this.#advance(lane);
  }

  leaveForLater(call: Call): void {
    const lane = this.#lanes.get(call.key);
    if (lane?.current !== call) return;
    lane.current = undefined;
    call.turn = (call.kind === 'opt-out' ? lane.optOuts : lane.waiting).unshift(call);
    this.#advance(lane);
  }

  advance(key: string): void {
    const lane = this.#lanes.get(key);
    if (lane !== undefined) this.#advance(lane);
  }

  isNext(call: Call): boolean {
    const lane = this.#lanes.get(call.key);
    if (lane === undefined) return false;
    return lane.current === call || (lane.optOuts.size === 0 && lane.waiting.first === call);
  }

  #laneOf(key: string): Lane {
    const present = this.#lanes.get(key);
    if (present !== undefined) return present;
    const lane: Lane = {
      key,
      current: undefined,
      optOuts: new LinkedQueue(),
      waiting: new LinkedQueue(),
      cancelWakeUp: undefined,
    };
    this.#lanes.set(key, lane);
    return lane;
  }

  /** False for a call that does not wait. */
  #take(lane: Lane, call: Call): boolean {
    const { turn } = call;
    if (turn === undefined) return false;
    call.turn = undefined;
    return (call.kind === 'opt-out' ? lane.optOuts : lane.waiting).remove(turn);
  }

  #advance(lane: Lane): void {
    if (lane.current !== undefined) return;
    const optOut = lane.optOuts.first;
    if (optOut !== undefined) {
      this.#begin(lane, optOut);
      return;
    }
    if (lane.waiting.size > 0) this.#advanceWaiting(lane);
    if (lane.current === undefined && lane.waiting.size === 0 && lane.optOuts.size === 0) {
      this.#stayAsleep(lane);
      if (this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key);
    }
  }

  #advanceWaiting(lane: Lane): void {
    const why = this.#history.unavailable(lane.key);
    if (why !== undefined) {
      this.#turnAway(lane, why);
      return;
    }
    let isEventHeld = false;
    for (const call of lane.waiting) {
      if (call.kind === 'event') {
        if (isEventHeld) continue;
        const answer = this.#host.offer(call);
        if (answer === 'begin') this.#begin(lane, call);
        if (answer !== 'held') return;
        isEventHeld = true;
      } else {
        this.#begin(lane, call);
        return;
      }
    }
  }

  #begin(lane: Lane, call: Call): void {
    this.#stayAsleep(lane);
    this.#take(lane, call);
    lane.current = call;
    this.#host.begin(call);
  }

  /** No call may be made about the visitor for now. Lookups do not wait for that; events do, unless it is for ever. */
  #turnAway(lane: Lane, why: DcsFailure): void {
    const retryInMs = this.#history.retryInMs(lane.key);
    const isForEver = retryInMs === Number.POSITIVE_INFINITY;
    for (const call of [...lane.waiting]) {
      if (call.kind !== 'lookup' && !isForEver) continue;
      // Whoever is told of one rejection may have taken the others away.
      if (!this.#take(lane, call)) continue;
      this.#size--;
      this.#host.reject(call, why);
    }
    if (lane.waiting.size === 0 || lane.cancelWakeUp !== undefined) return;
    lane.cancelWakeUp = this.#clock.after(
      retryInMs,
      () => {
        lane.cancelWakeUp = undefined;
        this.#advance(lane);
      },
      false,
    );
  }

  #stayAsleep(lane: Lane): void {
    lane.cancelWakeUp?.();
    lane.cancelWakeUp = undefined;
  }
}

const NONE: readonly Call[] = [];

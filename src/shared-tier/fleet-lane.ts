/**
 * Owns: whose turn it is among the calls about one visitor in a fleet of processes. In a process the local lane decides; the
 * call that has its turn there takes the visitor's lock, or waits for it, and holds it until it is over. Whoever waits, waits
 * for a message of the holder or for the end of the lock's life, whichever comes first. Without the store each process has
 * its own turns, as without a fleet.
 */
import { randomBytes } from 'node:crypto';
import type { Call } from '../dcs/flow/call';
import { type CallHistory, TOO_MANY_CALLS } from '../dcs/flow/call-history';
import type { Clock } from '../dcs/flow/clock';
import type { AnswerFound } from '../dcs/flow/shared-answer';
import { type LaneHost, LocalVisitorLane, type VisitorLane } from '../dcs/flow/visitor-lane';
import type { DcsFailure, FailureReason } from '../dcs/protocol/dcs-error';
import type { Claimed } from './shared-store';
import type { SharedTier } from './shared-tier';

/** What the lane of a fleet leaves to others. */
export interface FleetLaneHost extends LaneHost {
  /** A call that has its turn is not made: another process has the answer. */
  found(call: Call, answer: AnswerFound): void;
}

/** What a call has of its visitor's lock. */
interface Lease {
  readonly token: string;
  /** Once it holds the lock. */
  stamp: number | undefined;
  /** Whether the lock was given back by somebody else since it was last asked for: that message may come before the answer. */
  isFree: boolean;
  /** Asks once more, while it waits for somebody else's. */
  again: (() => void) | undefined;
  /** Ends that wait. */
  cancelWait: (() => void) | undefined;
}

export class FleetLane implements VisitorLane {
  readonly #tier: SharedTier;
  readonly #maxCallsPerMinute: number;
  readonly #clock: Clock;
  readonly #history: CallHistory;
  readonly #host: FleetLaneHost;
  readonly #local: LocalVisitorLane;
  /** Of the calls that have their turn in this process. */
  readonly #leases = new Map<Call, Lease>();
  /** By visitor key, who wants the lock. One call at a time has the turn here. */
  readonly #wanting = new Map<string, Lease>();

  constructor(tier: SharedTier, maxCallsPerMinute: number, clock: Clock, history: CallHistory, host: FleetLaneHost) {
    this.#tier = tier;
    this.#maxCallsPerMinute = maxCallsPerMinute;
    this.#clock = clock;
    this.#history = history;
    this.#host = host;
    this.#local = new LocalVisitorLane(clock, history, { ...host, begin: (call) => this.#begin(call) });
    tier.listen({
      message: ({ key, kind }) => {
        const lease = kind === 'event-began' ? undefined : this.#wanting.get(key);
        if (lease === undefined) return;
        lease.isFree = true;
        lease.again?.();
      },
      missed: () => {},
    });
  }

  get size(): number {
    return this.#local.size;
  }

  keys(): readonly string[] {
    return this.#local.keys();
  }

  callsAbout(key: string): readonly Call[] {
    return this.#local.callsAbout(key);
  }

  add(call: Call): void {
    this.#local.add(call);
  }

  takeWaiting(key: string, isMeant: (call: Call) => boolean): readonly Call[] {
    return this.#local.takeWaiting(key, isMeant);
  }

  leave(call: Call): void {
    this.#end(call);
    this.#local.leave(call);
  }

  leaveForLater(call: Call): void {
    this.#end(call);
    this.#local.leaveForLater(call);
  }

  advance(key: string): void {
    this.#local.advance(key);
  }

  isNext(call: Call): boolean {
    return this.#local.isNext(call);
  }

  /** The turn of a call has come in this process. */
  #begin(call: Call): void {
    if (!this.#tier.isUp) {
      this.#host.begin(call);
      return;
    }
    const token = randomBytes(12).toString('base64url');
    const lease = { token, stamp: undefined, isFree: false, again: undefined, cancelWait: undefined };
    this.#leases.set(call, lease);
    this.#wanting.set(call.key, lease);
    call.phase = 'queued';
    this.#take(call, lease);
  }

  #take(call: Call, lease: Lease): void {
    const { key, kind, variant: question, consentedAtMs } = call;
    const consentAgoMs = Math.max(0, Math.ceil(this.#clock.nowMs() - consentedAtMs));
    const { token } = lease;
    lease.isFree = false;
    call.observer.began();
    const maxCallsPerMinute = this.#maxCallsPerMinute;
    this.#tier
      .take(key, { token, kind, question, consentAgoMs, maxCallsPerMinute })
      .then((claimed) => this.#claimed(call, lease, claimed));
  }

  #claimed(call: Call, lease: Lease, claimed: Claimed | undefined): void {
    if (claimed?.outcome !== 'held') this.#wantsNoMore(call.key, lease);
    if (this.#leases.get(call) !== lease) {
      // It was ended meanwhile.
      if (claimed?.outcome === 'taken') this.#tier.giveBack(call.key, lease.token, claimed.stamp);
      return;
    }
    switch (claimed?.outcome) {
      case 'held':
        this.#wait(call, lease, claimed.forMs);
        return;
      case 'answered': {
        const { text, ageMs, ttlMs } = claimed.answer;
        this.#leases.delete(call);
        this.#host.found(call, { text, ageMs, ttlMs, isFinal: claimed.isFinal });
        return;
      }
      case 'withdrawn':
        this.#leases.delete(call);
        this.#host.reject(call, WITHDRAWN);
        return;
      case 'paused':
        this.#pause(call, failureFor(claimed.reason), claimed.forMs);
        return;
      case 'limited':
        this.#pause(call, TOO_MANY_CALLS, claimed.forMs);
        return;
      case 'taken':
        lease.stamp = claimed.stamp;
        this.#start(call);
        return;
      default:
        // The store is of no use now.
        this.#leases.delete(call);
        this.#start(call);
    }
  }

  #wait(call: Call, lease: Lease, forMs: number): void {
    if (lease.isFree) {
      this.#take(call, lease);
      return;
    }
    const again = () => {
      stop();
      this.#take(call, lease);
    };
    const cancelTimer = this.#clock.after(forMs + 1, again, false);
    const stop = () => {
      cancelTimer();
      lease.again = undefined;
      lease.cancelWait = undefined;
    };
    lease.again = again;
    lease.cancelWait = stop;
  }

  #wantsNoMore(key: string, lease: Lease): void {
    if (this.#wanting.get(key) === lease) this.#wanting.delete(key);
  }

  /** What holds a visitor's calls back after one of another process holds them back after one of this process. */
  #pause(call: Call, failure: DcsFailure, forMs: number): void {
    this.#leases.delete(call);
    this.#history.pause(call.key, failure, forMs);
    call.phase = 'waiting';
    this.#local.leaveForLater(call);
  }

  /** It has its turn in the fleet. Meanwhile its server may have closed, or may have no room for an event any more. */
  #start(call: Call): void {
    if (call.kind === 'event' && this.#host.offer(call) !== 'begin') {
      call.phase = 'waiting';
      this.leaveForLater(call);
      return;
    }
    this.#host.begin(call);
  }

  /** Gives back what a call has of its visitor's lock. */
  #end(call: Call): void {
    const lease = this.#leases.get(call);
    if (lease === undefined) return;
    this.#leases.delete(call);
    this.#wantsNoMore(call.key, lease);
    lease.cancelWait?.();
    const { token, stamp } = lease;
    if (stamp === undefined) return;
    const { key, kind, variant, brought } = call;
    const pause = this.#history.pauseOf(key);
    const answer = brought && { ...brought, question: variant, keepMs: this.#keepMsOf(brought) };
    const isFinal = brought?.isFinal === true;
    this.#tier.end(key, {
      token,
      stamp,
      answer,
      pause: pause && { reason: pause.failure.reason, forMs: pause.forMs },
      message: isFinal ? 'excluded' : kind === 'event' ? 'event-ended' : 'ended',
      isNews: isFinal || kind === 'event',
    });
  }

  /** What is final ends with its ttl; other answers are of use for longer. */
  #keepMsOf({ isFinal, ttlMs }: { readonly isFinal: boolean; readonly ttlMs: number }): number {
    return isFinal ? ttlMs : Math.max(ttlMs, this.#tier.keepMs);
  }
}

const WITHDRAWN: DcsFailure = { reason: 'no-consent', message: 'The visitor withdrew consent.' };

const REASONS: ReadonlySet<FailureReason> = new Set([
  'timeout',
  'network',
  'http-status',
  'bad-reply',
  'rate-limited',
  'dcs-error',
] as const);

/** A call of another process has failed. */
function failureFor(given: string): DcsFailure {
  const reason = [...REASONS].find((each) => each === given) ?? 'network';
  return { reason, message: 'Call not made: one of another process has just failed.' };
}

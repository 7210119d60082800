/**
 * Owns: the rule that Adobe gives for calls about one visitor: never two at once, never in rapid succession (Audience
 * Manager docs, "DCS API race conditions"). Every call for a visitor goes through here. Ids that break the rule are
 * denylisted for good, with no way back.
 */
import { LRUCache } from 'lru-cache';
import type { AamError } from '../../errors';
import { DcsError } from '../protocol/dcs-error';
import type { DcsReply } from '../protocol/reply';

export interface VisitorLaneConfig {
  /** How long no call is made for a visitor after one that failed, in milliseconds from its end. */
  readonly failureCooldownMs: number;
  /** The same after a call that the DCS answered without data. */
  readonly noDataIntervalMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** Makes a call; must end when its controller's signal aborts. */
export type Call = (controller: AbortController) => Promise<DcsReply>;

/** A call about a visitor, on its way or waiting for the one before it. */
export interface Turn {
  /** What is asked: only those who ask the same share a call. An event, which is its own, has none. */
  readonly variant: string | undefined;
  readonly controller: AbortController;
  readonly call: Call;
  readonly reply: Promise<DcsReply>;
  readonly resolve: (reply: DcsReply) => void;
  readonly reject: (error: unknown) => void;
}

interface Held {
  readonly error: DcsError;
  readonly untilMs: number;
}

/** Failures are remembered for seconds only, denylisted ids as long as the process lives: both within bounds. */
const MAX_HELD = 10_000;
/** So many different questions about one visitor are no visitor any more. */
const MAX_LOOKUPS = 8;
const MAX_DENYLISTED = 100_000;

export class VisitorLane {
  readonly #config: VisitorLaneConfig;
  /** By visitor: the call on its way, then those that wait for it. */
  readonly #turns = new Map<string, Turn[]>();
  readonly #held = new LRUCache<string, Held>({ max: MAX_HELD });
  /** The code of the DCS by visitor: an error with its stack would take ten times the memory. */
  readonly #denylisted = new LRUCache<string, number>({ max: MAX_DENYLISTED });

  constructor(config: VisitorLaneConfig) {
    this.#config = config;
  }

  /** Calls on their way or waiting for their turn. */
  get size(): number {
    let size = 0;
    for (const turns of this.#turns.values()) size += turns.length;
    return size;
  }

  sizeOf(key: string): number {
    return this.#turns.get(key)?.length ?? 0;
  }

  /** Why no call would be made for this visitor right now: the failure of the last one. */
  unavailableReason(key: string): DcsError | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined) return new DcsError('denylisted', `the DCS answered error ${code}`, { dcsCode: code });
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    if (this.#config.nowMs() < held.untilMs) return held.error;
    this.#held.delete(key);
    return undefined;
  }

  /** For how long no call is made for this visitor because the last one failed. */
  cooldownMs(key: string): number {
    const held = this.#held.get(key);
    return held === undefined ? 0 : Math.max(0, held.untilMs - this.#config.nowMs());
  }

  /**
   * Joins the lookup that is on its way for this visitor and variant, or makes one when those before it have ended, or
   * rejects with the {@link unavailableReason}.
   */
  lookup(key: string, variant: string, call: Call): Promise<DcsReply> {
    const lookups = (this.#turns.get(key) ?? []).filter((turn) => turn.variant !== undefined);
    const same = lookups.find((turn) => turn.variant === variant && !turn.controller.signal.aborted);
    if (same !== undefined) return same.reply;
    const unavailable = this.unavailableReason(key) ?? (lookups.length < MAX_LOOKUPS ? undefined : TOO_MANY_TURNS);
    if (unavailable !== undefined) return Promise.reject(unavailable);
    return this.#append(key, variant, (controller) => {
      const unavailableByNow = this.unavailableReason(key);
      return unavailableByNow === undefined ? call(controller) : Promise.reject(unavailableByNow);
    }).reply;
  }

  /** Makes a call of its own when all those before it have ended. It may be {@link cancel}led. */
  event(key: string, call: Call): Turn {
    return this.#append(key, undefined, call);
  }

  /** Ends a call that is on its way; one that waits for its turn never comes to be. */
  cancel(key: string, turn: Turn, reason: AamError): void {
    turn.controller.abort(reason);
    const turns = this.#turns.get(key) ?? [];
    const at = turns.indexOf(turn);
    if (at <= 0) return;
    turns.splice(at, 1);
    turn.reject(reason);
  }

  /** Ends all calls about a visitor, those that wait for their turn too. */
  abandon(key: string, reason: DcsError): void {
    for (const turn of [...(this.#turns.get(key) ?? [])].reverse()) this.cancel(key, turn, reason);
  }

  abandonLookups(reason: DcsError): void {
    for (const [key, turns] of this.#turns) {
      for (const turn of [...turns].reverse()) if (turn.variant !== undefined) this.cancel(key, turn, reason);
    }
  }

  abandonAll(reason: DcsError): void {
    for (const key of this.#turns.keys()) this.abandon(key, reason);
  }

  #append(key: string, variant: string | undefined, call: Call): Turn {
    let resolve: Turn['resolve'] = () => {};
    let reject: Turn['reject'] = () => {};
    const reply = new Promise<DcsReply>((...settlers) => {
      [resolve, reject] = settlers;
    });
    const turn: Turn = { variant, controller: new AbortController(), call, reply, resolve, reject };
    const turns = this.#turns.get(key);
    if (turns !== undefined) turns.push(turn);
    else {
      this.#turns.set(key, [turn]);
      this.#run(key, turn);
    }
    return turn;
  }

  #run(key: string, turn: Turn): void {
    turn.call(turn.controller).then(
      (reply) => {
        this.#next(key);
        turn.resolve(reply);
      },
      (error: unknown) => {
        // What was never sent says nothing.
        if (error instanceof DcsError) this.#note(key, error);
        this.#next(key);
        turn.reject(error);
      },
    );
  }

  #next(key: string): void {
    const turns = this.#turns.get(key) as Turn[];
    turns.shift();
    const [next] = turns;
    if (next === undefined) this.#turns.delete(key);
    else this.#run(key, next);
  }

  #note(key: string, error: DcsError): void {
    switch (error.reason) {
      case 'denylisted':
        this.#denylisted.set(key, error.dcsCode as number);
        return;
      case 'opted-out':
      case 'invalid-id':
      case 'refused':
        // An answer, not a failure: whoever asked remembers it for as long as it holds. It is the answer to those who
        // wait for their turn as well.
        this.abandon(key, error);
        return;
      case 'no-consent':
      case 'closed':
        // It was us who ended it.
        return;
      case 'circuit-open':
      case 'overloaded':
        // No call was made.
        return;
      default: {
        const { nowMs, failureCooldownMs, noDataIntervalMs } = this.#config;
        const untilMs = nowMs() + (error.noData ? noDataIntervalMs : failureCooldownMs);
        this.#dropWhatIsOver();
        this.#held.set(key, { error, untilMs });
      }
    }
  }

  /** Errors are large. Those of visitors who do not come again would stay until others push them out. */
  #dropWhatIsOver(): void {
    for (;;) {
      const { value: oldest } = this.#held.rkeys().next();
      const held = oldest === undefined ? undefined : this.#held.peek(oldest);
      if (oldest === undefined || held === undefined || this.#config.nowMs() < held.untilMs) return;
      this.#held.delete(oldest);
    }
  }
}

const TOO_MANY_TURNS = new DcsError('overloaded', 'no call was made: too many are waiting for this visitor');

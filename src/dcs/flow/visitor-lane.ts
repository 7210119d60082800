/**
 * Owns: Adobe's rule for calls about one visitor: never two at a time, never in rapid succession (Audience Manager docs,
 * "DCS API race conditions"). Every call about a visitor goes through here. Ids that break the rule are denylisted
 * permanently.
 */
import { LRUCache } from 'lru-cache';
import type { AamError } from '../../errors';
import { DcsError } from '../protocol/dcs-error';
import type { DcsReply } from '../protocol/reply';

export interface VisitorLaneConfig {
  /** How long no call is made about a visitor after a failed one, in milliseconds from its end. */
  readonly failureCooldownMs: number;
  /** The same after an answer without data. */
  readonly noDataIntervalMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** Makes a call. Must settle when its controller's signal aborts. */
export type Call = (controller: AbortController) => Promise<DcsReply>;

/** A call about a visitor, in flight or queued behind an earlier one. */
export interface Turn {
  /** Lookups of the same variant share a call; `undefined` for an event, which is never shared. */
  readonly variant: string | undefined;
  readonly controller: AbortController;
  readonly call: Call;
  readonly reply: Promise<DcsReply>;
  readonly resolve: (reply: DcsReply) => void;
  readonly reject: (error: unknown) => void;
}

interface Cooldown {
  readonly error: DcsError;
  readonly untilMs: number;
}

const MAX_COOLDOWNS = 10_000;
/** The most different lookups in flight or queued for one visitor; a real one never needs as many. */
const MAX_LOOKUPS = 8;
const MAX_DENYLISTED = 100_000;

export class VisitorLane {
  readonly #config: VisitorLaneConfig;
  /** By visitor: the call in flight, then the queued ones. */
  readonly #turns = new Map<string, Turn[]>();
  readonly #cooldowns = new LRUCache<string, Cooldown>({ max: MAX_COOLDOWNS });
  /** The DCS error code by visitor: an error object with its stack would take ten times the memory. */
  readonly #denylisted = new LRUCache<string, number>({ max: MAX_DENYLISTED });

  constructor(config: VisitorLaneConfig) {
    this.#config = config;
  }

  /** Calls in flight or queued. */
  get size(): number {
    let size = 0;
    for (const turns of this.#turns.values()) size += turns.length;
    return size;
  }

  sizeOf(key: string): number {
    return this.#turns.get(key)?.length ?? 0;
  }

  /** Why no call about this visitor would be made now: the failure of the last one. */
  unavailableReason(key: string): DcsError | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined)
      return new DcsError('denylisted', `The DCS answered with error ${code}.`, { dcsCode: code });
    const cooldown = this.#cooldowns.get(key);
    if (cooldown === undefined) return undefined;
    if (this.#config.nowMs() < cooldown.untilMs) return cooldown.error;
    this.#cooldowns.delete(key);
    return undefined;
  }

  /** Milliseconds for which no call about this visitor is made because the last one failed. */
  cooldownMs(key: string): number {
    const cooldown = this.#cooldowns.get(key);
    return cooldown === undefined ? 0 : Math.max(0, cooldown.untilMs - this.#config.nowMs());
  }

  /**
   * Joins the pending lookup of this visitor and variant, or makes one after the earlier calls have ended, or rejects with
   * the {@link unavailableReason}.
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

  /** Makes a separate call after the earlier ones have ended. Can be {@link cancel}led. */
  event(key: string, call: Call): Turn {
    return this.#append(key, undefined, call);
  }

  /** Aborts a call in flight; a queued one is never made. */
  cancel(key: string, turn: Turn, reason: AamError): void {
    turn.controller.abort(reason);
    const turns = this.#turns.get(key) ?? [];
    const at = turns.indexOf(turn);
    if (at <= 0) return;
    turns.splice(at, 1);
    turn.reject(reason);
  }

  /** Aborts the visitor's calls, in flight and queued. */
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
        // Other errors are of calls that were never sent.
        if (error instanceof DcsError) this.#onFailure(key, error);
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

  #onFailure(key: string, error: DcsError): void {
    switch (error.reason) {
      case 'denylisted':
        this.#denylisted.set(key, error.dcsCode as number);
        return;
      case 'opted-out':
      case 'invalid-id':
      case 'refused':
        // An answer rather than a failure, and the caller caches it. It applies to the queued calls as well.
        this.abandon(key, error);
        return;
      case 'no-consent':
      case 'closed':
        // Aborted by us.
        return;
      case 'circuit-open':
      case 'overloaded':
        // The call was not made.
        return;
      default: {
        const { nowMs, failureCooldownMs, noDataIntervalMs } = this.#config;
        const untilMs = nowMs() + (error.noData ? noDataIntervalMs : failureCooldownMs);
        this.#dropExpiredCooldowns();
        this.#cooldowns.set(key, { error, untilMs });
      }
    }
  }

  /** Errors are large; those of visitors who do not return would otherwise stay until the map is full. */
  #dropExpiredCooldowns(): void {
    for (;;) {
      const { value: oldest } = this.#cooldowns.rkeys().next();
      const cooldown = oldest === undefined ? undefined : this.#cooldowns.peek(oldest);
      if (oldest === undefined || cooldown === undefined || this.#config.nowMs() < cooldown.untilMs) return;
      this.#cooldowns.delete(oldest);
    }
  }
}

const TOO_MANY_TURNS = new DcsError('overloaded', 'Call not made: too many calls are queued for this visitor.');

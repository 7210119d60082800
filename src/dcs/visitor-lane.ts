/**
 * Owns: the rule that Adobe gives for calls about one visitor: never two at once, never in rapid succession (Audience
 * Manager docs, "DCS API race conditions"). Every call for a visitor goes through here. Ids that break the rule are
 * denylisted for good, with no way back.
 */
import { LRUCache } from 'lru-cache';
import { DcsError } from './dcs-error';
import type { DcsReply } from './reply';

export interface VisitorLaneConfig {
  /** How long no call is made for a visitor after one that failed, in milliseconds from its end. */
  readonly minIntervalMs: number;
  /** The same after a call that the DCS answered without data. */
  readonly noDataIntervalMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** A call about a visitor, on its way or waiting for the one before it. */
interface Turn {
  /** What is asked: only those who ask the same share a call. */
  readonly variant: string;
  readonly controller: AbortController;
  readonly reply: Promise<DcsReply>;
}

interface Held {
  readonly error: DcsError;
  readonly untilMs: number;
}

/** Failures are remembered for seconds only, denylisted ids as long as the process lives: both within bounds. */
const MAX_HELD = 10_000;
/** So many different questions about one visitor are no visitor any more. */
const MAX_TURNS = 8;
const MAX_DENYLISTED = 100_000;

export class VisitorLane {
  readonly #config: VisitorLaneConfig;
  readonly #turns = new Map<string, readonly Turn[]>();
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

  /** Why no call would be made for this visitor right now: the failure of the last one. */
  refusal(key: string): DcsError | undefined {
    const code = this.#denylisted.get(key);
    if (code !== undefined) return new DcsError('denylisted', `the DCS answered error ${code}`, { dcsCode: code });
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    if (this.#config.nowMs() < held.untilMs) return held.error;
    this.#held.delete(key);
    return undefined;
  }

  /**
   * Joins the lookup that is on its way for this visitor and variant, or makes one when those before it have ended, or
   * rejects with the {@link refusal}.
   * @param call must end when its controller's signal aborts
   */
  lookup(key: string, variant: string, call: (controller: AbortController) => Promise<DcsReply>): Promise<DcsReply> {
    const turns = this.#turns.get(key) ?? [];
    const same = turns.find((turn) => turn.variant === variant && !turn.controller.signal.aborted);
    if (same !== undefined) return same.reply;
    const refusal = this.refusal(key) ?? (turns.length < MAX_TURNS ? undefined : TOO_MANY_TURNS);
    if (refusal !== undefined) return Promise.reject(refusal);

    const controller = new AbortController();
    const before = turns.at(-1)?.reply;
    const reply = (before === undefined ? call(controller) : this.#after(before, key, call, controller)).then(
      (answer) => {
        this.#end(key, turn);
        return answer;
      },
      (error: DcsError) => {
        this.#end(key, turn);
        this.#note(key, error);
        throw error;
      },
    );
    const turn: Turn = { variant, controller, reply };
    this.#turns.set(key, [...turns, turn]);
    return reply;
  }

  /** Ends all calls about a visitor, those that wait for their turn too. */
  abandon(key: string, reason: DcsError): void {
    for (const { controller } of this.#turns.get(key) ?? []) controller.abort(reason);
  }

  abandonAll(reason: DcsError): void {
    for (const key of this.#turns.keys()) this.abandon(key, reason);
  }

  async #after(
    before: Promise<unknown>,
    key: string,
    call: (controller: AbortController) => Promise<DcsReply>,
    controller: AbortController,
  ): Promise<DcsReply> {
    await before.catch(() => {});
    controller.signal.throwIfAborted();
    const refusal = this.refusal(key);
    if (refusal !== undefined) throw refusal;
    return call(controller);
  }

  #end(key: string, turn: Turn): void {
    const left = (this.#turns.get(key) ?? []).filter((each) => each !== turn);
    if (left.length === 0) this.#turns.delete(key);
    else this.#turns.set(key, left);
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
        const { nowMs, minIntervalMs, noDataIntervalMs } = this.#config;
        const untilMs = nowMs() + (error.noData ? noDataIntervalMs : minIntervalMs);
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

/**
 * Owns: the invalidations that the fleet may not have heard of: those that could not be sent, and those of the last half
 * minute, which a server that fails may have lost. The newest for each visitor is kept. Next: shared-tier.ts, which sends them.
 */
import type { FleetMessageKind } from './fleet-message';

export interface KeptInvalidation {
  readonly key: string;
  readonly kind: Extract<FleetMessageKind, 'forgotten' | 'withdrawn' | 'opted-out'>;
  readonly isCertain: boolean;
  readonly atMs: number;
  /** `sending`: what is sent later on the same connection comes after it. */
  state: 'waiting' | 'sending' | 'sent';
}

/** A server that takes over may lack so much. */
const LOST_WITH_A_SERVER_MS = 30_000;
const MAX_KEPT = 10_000;

export class UnsentInvalidations {
  readonly #nowMs: () => number;
  readonly #maxKept: number;
  /** By visitor key, the latest last. */
  readonly #kept = new Map<string, KeptInvalidation>();
  #dropped = 0;
  #droppedAtMs: number | undefined;

  constructor(nowMs: () => number, maxKept = MAX_KEPT) {
    this.#nowMs = nowMs;
    this.#maxKept = maxKept;
  }

  /** Those that were dropped unsent because there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  /** When the last one was made that was dropped unsent; `undefined` if none was. */
  get droppedAtMs(): number | undefined {
    return this.#droppedAtMs;
  }

  add(key: string, kind: KeptInvalidation['kind'], isCertain: boolean): KeptInvalidation {
    const present = this.#kept.get(key);
    // Forgetting does not take back a refusal.
    const keptKind = kind === 'forgotten' && present !== undefined ? present.kind : kind;
    const wasCertain = present?.isCertain === true && present.state !== 'sent';
    const kept: KeptInvalidation = {
      key,
      kind: keptKind,
      isCertain: isCertain || wasCertain,
      atMs: this.#nowMs(),
      state: 'waiting',
    };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    this.#dropOld();
    return kept;
  }

  /** The one about this visitor that is to be sent before anything is asked about them. */
  waitingFor(key: string): KeptInvalidation | undefined {
    const kept = this.#kept.get(key);
    return kept?.state === 'waiting' ? kept : undefined;
  }

  /** What a server must be told that may have lost its memory, the latest last. */
  toSend(): KeptInvalidation[] {
    this.#dropOld();
    return [...this.#kept.values()];
  }

  #dropOld(): void {
    const sinceMs = this.#nowMs() - LOST_WITH_A_SERVER_MS;
    for (const [key, { atMs, state }] of this.#kept) {
      const isOver = state === 'sent' && atMs < sinceMs;
      if (!isOver && this.#kept.size <= this.#maxKept) break;
      this.#kept.delete(key);
      if (state === 'sent') continue;
      this.#dropped++;
      this.#droppedAtMs = atMs;
    }
  }
}

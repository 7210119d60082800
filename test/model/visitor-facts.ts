/** What the model knows about one visitor key from what it has seen itself. */
import type { RecordedCall } from './recorded-calls';

export class VisitorFacts {
  /** Calls are on the wire from their sending until their connection is free or closed. */
  onWire: RecordedCall | undefined;
  /** When calls were sent. Opt-outs count, too, but are not held. */
  readonly sentAtMs: number[] = [];
  cooldownUntilMs = 0;
  isDenylisted = false;
  /** The moments from which on answers are up to date. */
  readonly renewals: number[] = [];
  /** When an event was answered last: what was asked before is older than that. */
  eventAt = 0;
  /** The last moment from before which requests must not ask or tell anything. */
  withdrawnAt = 0;
  /** It has been answered, and its promise is about to settle. */
  isOptOutEnding = false;
  lastEvent: RecordedCall | undefined;
  /** When the DCS answered about this visitor last; 0 if never. */
  answeredAt = 0;
  /** What the DCS has said that a withdrawal does not take away. */
  said: { readonly reason: string; readonly untilMs: number } | undefined;
  /** When the call was sent whose answer is remembered, by variant. */
  readonly rememberedFrom = new Map<string, number>();

  /** Whether any answer is remembered, however old. */
  get isRemembered(): boolean {
    return this.rememberedFrom.size > 0 || this.said !== undefined;
  }

  /** The last of them. */
  get renewedAt(): number {
    return this.renewals.at(-1) ?? 0;
  }

  budgetFreeAtMs(maxCallsPerMinute: number): number {
    const nth = this.sentAtMs.at(-maxCallsPerMinute);
    return nth === undefined ? 0 : nth + 60_000;
  }

  /** When a call may be made again as far as the past of this visitor goes. */
  freeAtMs(maxCallsPerMinute: number): number {
    if (this.isDenylisted) return Number.POSITIVE_INFINITY;
    return Math.max(this.cooldownUntilMs, this.budgetFreeAtMs(maxCallsPerMinute));
  }
}

export class AllFacts {
  readonly #byKey = new Map<string, VisitorFacts>();

  of(key: string): VisitorFacts {
    const present = this.#byKey.get(key);
    if (present !== undefined) return present;
    const facts = new VisitorFacts();
    this.#byKey.set(key, facts);
    return facts;
  }

  /** From before which calls are out of date. */
  outdatedAt(keys: readonly string[]): number {
    return Math.max(this.renewedAt(keys), ...keys.map((key) => this.of(key).eventAt));
  }

  renewedAt(keys: readonly string[]): number {
    return Math.max(...keys.map((key) => this.of(key).renewedAt));
  }

  renewals(keys: readonly string[]): readonly number[] {
    return keys.flatMap((key) => this.of(key).renewals);
  }

  withdrawnAt(keys: readonly string[]): number {
    return Math.max(...keys.map((key) => this.of(key).withdrawnAt));
  }
}

/**
 * Owns: what this process's memory has of the fleet's. It brings answers of others into memory, at their true age; has memory
 * checked after messages may have been missed; and takes out of memory what others say is out of date. Next: answer-resolver.ts,
 * which asks it before the DCS is asked.
 *
 * A gap is a time in which messages may have been missed. An entry that is as old as the last gap is doubtful until the store
 * has been read once more; while the gap lasts, all are.
 */
import type { AnswerCache } from '../cache/answer-cache';
import { isFinal, storedAtMsOf, ttlMsOf, validAtOf, withValidAt } from '../cache/stamps';
import type { VisitorKeys } from '../identity/cache-keys';
import { isPackedAnswer, packedLengthOf } from '../segments/packed-answer';
import type { FleetMessage } from '../shared-tier/fleet-message';
import type { StoredAnswer, StoreReading } from '../shared-tier/shared-store';
import type { SharedTier } from '../shared-tier/shared-tier';
import type { Generations } from './generations';

/** What a withdrawal that another process has seen ends here. */
export type Abandon = (keys: VisitorKeys, reason: 'no-consent' | 'opted-out') => void;

/** So many visitors at a time are known to have an event under way elsewhere; of more, the oldest are dropped. */
const MAX_EVENTS = 10_000;
/** And so many have been reported as withdrawn. */
const MAX_WITHDRAWN = 10_000;
/** Under a visitor's other ids stands that there is something, so that a withdrawal that shows only one of them is told. */
const LINK = 'link';

export class SharedAnswers {
  readonly #tier: SharedTier;
  readonly #cache: AnswerCache;
  readonly #generations: Generations;
  readonly #nowMs: () => number;
  readonly #abandon: Abandon;
  readonly #ttlMs: number;
  /** By key and question, the reading that is under way. */
  readonly #readings = new Map<string, Promise<boolean>>();
  /** By visitor key, until when an event may be under way in another process. */
  readonly #events = new Map<string, number>();
  /** By visitor key, when a withdrawal was last told. */
  readonly #withdrawn = new Map<string, number>();
  /** What was up to date in this generation or later was stored after the last gap had begun, and after it had ended. */
  #gapBegan = 0;
  #gapEnded = 0;

  constructor(
    tier: SharedTier,
    cache: AnswerCache,
    generations: Generations,
    nowMs: () => number,
    ttlMs: number,
    abandon: Abandon,
  ) {
    this.#tier = tier;
    this.#cache = cache;
    this.#generations = generations;
    this.#nowMs = nowMs;
    this.#ttlMs = ttlMs;
    this.#abandon = abandon;
    tier.listen({
      message: (message) => this.#heard(message),
      missed: () => {
        this.#gapEnded = this.#generations.next();
        if (!tier.isProvenAt(nowMs())) this.#gapBegan = this.#gapEnded;
      },
      unsure: (key) => cache.restamp(key, (entry) => withValidAt(entry, 0)),
    });
  }

  /** Whether the store can be asked. */
  get isUp(): boolean {
    return this.#tier.isUp;
  }

  /** Whether an entry of memory cannot be out of date without our having been told. */
  isCertain(entry: string, nowMs: number): boolean {
    return this.#tier.isProvenAt(nowMs) && validAtOf(entry) >= this.#gapEnded;
  }

  /** Whether an entry is from before the last time in which messages were missed: it is good for its ttl and no longer. */
  isFromBeforeGap(entry: string): boolean {
    return validAtOf(entry) < this.#gapBegan;
  }

  /** Whether another process is telling the DCS something about the visitor: what is known is not what will be. */
  hasEvent(key: string, nowMs: number): boolean {
    // Nearly always there is none, and every request asks.
    if (this.#events.size === 0) return false;
    const untilMs = this.#events.get(key);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#events.delete(key);
    return false;
  }

  /** Brings what the fleet knows into memory, or takes out what it knows better. @returns whether that was possible */
  look(keys: VisitorKeys, variant: string): Promise<boolean> {
    const id = `${keys[0]} ${variant}`;
    const present = this.#readings.get(id);
    if (present !== undefined) return present;
    const reading = this.#read(keys, variant).finally(() => this.#readings.delete(id));
    this.#readings.set(id, reading);
    return reading;
  }

  /** What is known about a visitor is out of date: tells the fleet. */
  invalidate(keys: VisitorKeys, kind: 'forgotten' | 'opted-out'): void {
    for (const key of keys) this.#tier.invalidate(key, kind, true);
  }

  /**
   * A visitor refuses: tells the fleet, once in a while, however often they do.
   * @param holdsSomething whether there was something to forget here, as there may be elsewhere
   */
  withdraw(keys: VisitorKeys, isOptOut: boolean, holdsSomething: boolean): void {
    for (const key of keys) {
      if (!holdsSomething && !this.#mayTellAgain(key)) continue;
      this.#tier.invalidate(key, isOptOut ? 'opted-out' : 'withdrawn', holdsSomething);
    }
  }

  /** An answer was brought about a visitor who shows several ids. */
  link([, ...others]: VisitorKeys): void {
    if (others.length === 0) return;
    const { keepMs } = this.#tier;
    for (const key of others) {
      this.#tier.readLink(key, LINK).then((reading) => {
        if (reading === undefined || reading.answer !== undefined) return;
        // Not invalidated by what came before: it says nothing.
        const storedAtMs = Math.max(reading.nowMs, reading.invalidatedAtMs + this.#tier.lockMs + 1);
        this.#tier.refill(key, { question: LINK, isFinal: false, text: '', ttlMs: 0, keepMs }, storedAtMs);
      });
    }
  }

  async #read(keys: VisitorKeys, variant: string): Promise<boolean> {
    const [key, ...others] = keys;
    const askedAt = this.#generations.now;
    const [own, ...linked] = await Promise.all([
      this.#tier.read(key, variant),
      ...others.map((other) => this.#tier.readLink(other, LINK)),
    ]);
    if (own === undefined || linked.includes(undefined)) return false;
    // Somebody here knows better since.
    if (this.#generations.isOutdated(keys, askedAt)) return true;
    const nowMs = this.#nowMs();
    if (own.eventForMs > 0) this.#eventBegan(key, own.eventForMs);
    const sinceMs = this.#invalidAgesOf(own, linked as readonly StoreReading[]);
    this.#dropInvalid(key, variant, sinceMs, nowMs);
    const known = this.#cache.get(key, variant);
    const found = own.final ?? own.answer;
    const usable = found !== undefined && this.#isUsable(found, own, sinceMs) ? found : undefined;
    if (usable !== undefined && (known === undefined || usable.ageMs <= nowMs - storedAtMsOf(known))) {
      const stamps = { variant, isFinal: own.final !== undefined, ttlMs: usable.ttlMs, validAt: askedAt };
      this.#cache.set(key, usable.text, stamps, usable.ageMs);
    } else if (known !== undefined) {
      this.#cache.replace(key, known, withValidAt(known, askedAt));
      if (usable === undefined) this.#refill(key, variant, known, own.nowMs, nowMs);
    }
    return true;
  }

  /** Since how long ago answers are valid: by the visitor's own id, and by all of them. In milliseconds. */
  #invalidAgesOf(own: StoreReading, linked: readonly StoreReading[]): { readonly own: number; readonly all: number } {
    const ageOf = ({ nowMs, invalidatedAtMs }: StoreReading) =>
      invalidatedAtMs === 0 ? Number.POSITIVE_INFINITY : nowMs - invalidatedAtMs;
    return { own: ageOf(own), all: Math.min(...[own, ...linked].map(ageOf)) };
  }

  /** What was asked for up to a lock's life before it was stored may have been asked for before the invalidation. */
  #dropInvalid(key: string, variant: string, { all }: { readonly all: number }, nowMs: number): void {
    const known = this.#cache.get(key, variant);
    if (known === undefined || isFinal(known)) return;
    if (nowMs - storedAtMsOf(known) + this.#tier.lockMs >= all) this.#cache.withdraw(key);
  }

  #isUsable(
    { text, ageMs }: StoredAnswer,
    { final }: StoreReading,
    { own, all }: { own: number; all: number },
  ): boolean {
    if (!isPackedAnswer(text)) return false;
    if (final !== undefined) return true;
    const { untoldAtMs } = this.#tier;
    if (untoldAtMs !== undefined && ageMs >= this.#nowMs() - untoldAtMs) return false;
    // By its own id the store has seen to that itself.
    return all === own || ageMs + this.#tier.lockMs < all;
  }

  #refill(key: string, question: string, known: string, storeNowMs: number, nowMs: number): void {
    const text = known.slice(0, packedLengthOf(known));
    const ttlMs = ttlMsOf(known);
    const keepMs = isFinal(known) ? ttlMs : Math.max(ttlMs, this.#tier.keepMs);
    const answer = { question, isFinal: isFinal(known), text, ttlMs, keepMs };
    this.#tier.refill(key, answer, Math.floor(storeNowMs - (nowMs - storedAtMsOf(known))));
  }

  #heard({ kind, key }: FleetMessage): void {
    switch (kind) {
      case 'withdrawn':
      case 'opted-out':
        this.#generations.withdraw(key);
        this.#cache.withdraw(key);
        this.#abandon([key], kind === 'withdrawn' ? 'no-consent' : 'opted-out');
        return;
      case 'forgotten':
        this.#generations.renew(key);
        this.#cache.forget(key);
        return;
      case 'excluded':
      case 'event-ended':
        this.#events.delete(key);
        // The next view reads what is stored.
        this.#generations.renew(key);
        this.#cache.forget(key);
        return;
      case 'event-began':
        // Who reads the store learns it there.
        if (this.#cache.has(key)) this.#eventBegan(key, this.#tier.lockMs);
        return;
      case 'ended':
        this.#events.delete(key);
    }
  }

  #eventBegan(key: string, forMs: number): void {
    this.#events.delete(key);
    this.#events.set(key, this.#nowMs() + forMs);
    dropOldest(this.#events, MAX_EVENTS);
  }

  #mayTellAgain(key: string): boolean {
    const nowMs = this.#nowMs();
    const toldAtMs = this.#withdrawn.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < this.#ttlMs) return false;
    this.#withdrawn.delete(key);
    this.#withdrawn.set(key, nowMs);
    dropOldest(this.#withdrawn, MAX_WITHDRAWN);
    return true;
  }
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  if (map.size > max) map.delete(map.keys().next().value as string);
}

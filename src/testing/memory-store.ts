/**
 * Owns: a shared store in the memory of one process, for tests. It is written from the description of the interface and not
 * from the scripts of Redis, so that each shows mistakes of the other. Next: shared-store-checks.ts.
 */
import {
  type AnswerToStore,
  type Claim,
  type Claimed,
  type Ending,
  type Invalidation,
  MAX_QUESTIONS,
  MAX_TEXT_LENGTH,
  type Refill,
  type SharedStore,
  type StoredAnswer,
  type StoreListener,
  type StoreMessage,
  type StoreReading,
  type StoreSubscription,
} from '../shared-tier/shared-store';

/** A store that several instances of one process share. */
export interface MemoryStore extends SharedStore {
  /** Set it to `false` for an outage: then everything rejects, and messages are lost. */
  isReady: boolean;
  /** Loses everything, as an engine does that is restarted without a copy on disk. */
  clear(): void;
}

interface Kept {
  readonly text: string;
  readonly stamp: number;
  readonly storedAtMs: number;
  readonly ttlMs: number;
}

interface Lock {
  readonly token: string;
  readonly kind: Claim['kind'];
  readonly untilMs: number;
  isAwaited: boolean;
}

/** All about one visitor. */
interface Entry {
  expiresAtMs: number;
  stamp: number;
  /** 0 for never. */
  invalidatedAtMs: number;
  /** 0 for never. */
  withdrawnAtMs: number;
  lock: Lock | undefined;
  pause: { readonly reason: string; readonly untilMs: number } | undefined;
  final: Kept | undefined;
  /** By question, the latest last. */
  readonly answers: Map<string, Kept>;
}

const MINUTE_MS = 60_000;

/**
 * A store for the option `cache.shared` of several instances in one process.
 * @param nowMs its clock, in milliseconds
 *
 * @example
 * const shared = createMemoryStore();
 * const web = aamSegments({ ...options, cache: { keySecret, shared } });
 * const other = aamSegments({ ...options, cache: { keySecret, shared } });
 */
export function createMemoryStore(nowMs: () => number = Date.now): MemoryStore {
  return new InMemory(nowMs);
}

class InMemory implements MemoryStore {
  readonly timeoutMs = 25;
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #calls = new Map<string, number[]>();
  readonly #subscriptions = new Set<{ readonly channels: readonly string[]; readonly listener: StoreListener }>();
  #isReady = true;
  #generation = 1;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  set isReady(isReady: boolean) {
    if (isReady === this.#isReady) return;
    this.#isReady = isReady;
    for (const { listener } of this.#subscriptions) {
      if (isReady) listener.listening();
      else listener.lost();
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#calls.clear();
    this.#generation++;
  }

  async read(key: string, question: string): Promise<StoreReading> {
    const nowMs = this.#now();
    const entry = this.#entryOf(key, nowMs);
    const { lock, final } = entry;
    const kept = entry.answers.get(question);
    return {
      nowMs,
      answer: kept && shown(kept, nowMs),
      final: final !== undefined && isFresh(final, nowMs) ? shown(final, nowMs) : undefined,
      invalidatedAtMs: entry.invalidatedAtMs,
      eventForMs: lock?.kind === 'event' ? Math.max(0, lock.untilMs - nowMs) : 0,
    };
  }

  async take(key: string, claim: Claim): Promise<Claimed> {
    const nowMs = this.#now();
    const entry = this.#entryOf(key, nowMs);
    const lock = entry.lock !== undefined && entry.lock.untilMs > nowMs ? entry.lock : undefined;
    const isOwn = lock?.token === claim.token;
    if (!isOwn) {
      const instead = this.#insteadOf(claim, key, entry, lock, nowMs);
      if (instead !== undefined) return instead;
      const recent = (this.#calls.get(key) ?? []).filter((atMs) => atMs + MINUTE_MS > nowMs);
      this.#calls.set(key, [...recent, nowMs]);
    }
    const stamp = this.#nextStamp(entry, nowMs);
    entry.lock = {
      token: claim.token,
      kind: claim.kind,
      untilMs: stamp + claim.lockMs,
      isAwaited: isOwn && lock.isAwaited,
    };
    this.#keep(key, entry, nowMs + 2 * claim.lockMs);
    if (claim.announcement !== undefined) this.#publish(claim.announcement, String(stamp));
    return { outcome: 'taken', stamp };
  }

  #insteadOf(claim: Claim, key: string, entry: Entry, lock: Lock | undefined, nowMs: number): Claimed | undefined {
    const held = (of: Lock): Claimed => {
      of.isAwaited = true;
      return { outcome: 'held', forMs: of.untilMs - nowMs };
    };
    if (claim.kind !== 'opt-out') {
      if (entry.withdrawnAtMs > 0 && nowMs - claim.consentAgoMs <= entry.withdrawnAtMs) return { outcome: 'withdrawn' };
      if (lock?.kind === 'event') return held(lock);
      const { final, pause } = entry;
      if (final !== undefined && isFresh(final, nowMs)) {
        return { outcome: 'answered', answer: shown(final, nowMs), isFinal: true };
      }
      const answer = claim.kind === 'lookup' ? entry.answers.get(claim.question) : undefined;
      if (answer !== undefined && isFresh(answer, nowMs)) {
        return { outcome: 'answered', answer: shown(answer, nowMs), isFinal: false };
      }
      if (pause !== undefined && pause.untilMs > nowMs) {
        return { outcome: 'paused', reason: pause.reason, forMs: pause.untilMs - nowMs };
      }
      const first = this.#calls.get(key)?.at(-claim.maxCallsPerMinute);
      if (first !== undefined && first + MINUTE_MS > nowMs) {
        return { outcome: 'limited', forMs: first + MINUTE_MS - nowMs };
      }
    }
    return lock && held(lock);
  }

  async end(key: string, ending: Ending): Promise<'stored' | 'outdated' | 'nothing'> {
    const nowMs = this.#now();
    const entry = this.#entryOf(key, nowMs);
    const outcome = ending.answer === undefined ? 'nothing' : this.#store(key, entry, ending, ending.answer, nowMs);
    const { lock } = entry;
    const isOwn = lock?.token === ending.token;
    if (isOwn) {
      entry.lock = undefined;
      entry.pause = ending.pause && { reason: ending.pause.reason, untilMs: nowMs + ending.pause.forMs };
      if (entry.pause !== undefined) this.#keep(key, entry, entry.pause.untilMs);
    }
    if ((isOwn && lock.isAwaited) || (ending.isNews && outcome === 'stored')) {
      this.#publish(ending.message, String(ending.stamp));
    }
    return outcome;
  }

  #store(key: string, entry: Entry, { stamp, lockMs }: Ending, answer: AnswerToStore, nowMs: number) {
    if (answer.text.length > MAX_TEXT_LENGTH) return 'nothing';
    const { question, isFinal, text, ttlMs, keepMs } = answer;
    const present = isFinal ? entry.final : entry.answers.get(question);
    const isInvalidated = !isFinal && stamp <= entry.invalidatedAtMs;
    if (nowMs >= stamp + lockMs || isInvalidated || (present !== undefined && present.stamp > stamp)) return 'outdated';
    const kept = { text, stamp, storedAtMs: nowMs, ttlMs };
    if (isFinal) {
      entry.answers.clear();
      entry.final = kept;
    } else {
      entry.final = undefined;
      entry.answers.delete(question);
      entry.answers.set(question, kept);
      if (entry.answers.size > MAX_QUESTIONS) entry.answers.delete(entry.answers.keys().next().value as string);
    }
    this.#keep(key, entry, nowMs + keepMs);
    return 'stored';
  }

  async invalidate(key: string, { isWithdrawal, isCertain, keepMs, message }: Invalidation): Promise<boolean> {
    const nowMs = this.#now();
    const entry = this.#entryOf(key, nowMs);
    const isKnown = entry.answers.size > 0 || (entry.lock !== undefined && entry.lock.untilMs > nowMs);
    if (!isKnown && !isCertain && !this.#entries.has(key)) return false;
    const stamp = this.#nextStamp(entry, nowMs);
    entry.invalidatedAtMs = stamp;
    if (isWithdrawal) entry.withdrawnAtMs = stamp;
    entry.answers.clear();
    this.#keep(key, entry, nowMs + keepMs);
    if (!isKnown && !isCertain) return false;
    this.#publish(message, String(stamp));
    return true;
  }

  async refill(key: string, refill: Refill): Promise<void> {
    const nowMs = this.#now();
    const entry = this.#entryOf(key, nowMs);
    const { question, isFinal, text, ttlMs, storedAtMs, keepMs, lockMs } = refill;
    const isInvalidated = entry.invalidatedAtMs > 0 && storedAtMs - lockMs <= entry.invalidatedAtMs;
    if (text.length > MAX_TEXT_LENGTH || isInvalidated) return;
    // What made it out of date may be forgotten by then.
    if (nowMs >= storedAtMs + keepMs) return;
    if (entry.final !== undefined) return;
    const present = entry.answers.get(question);
    if (present !== undefined && present.storedAtMs >= storedAtMs) return;
    if (present === undefined && !isFinal && entry.answers.size >= MAX_QUESTIONS) return;
    const kept = { text, stamp: storedAtMs, storedAtMs, ttlMs };
    if (isFinal) entry.final = kept;
    else entry.answers.set(question, kept);
    this.#keep(key, entry, storedAtMs + keepMs);
  }

  async beat(channel: string, text: string): Promise<string> {
    this.#now();
    const name = `memory-${this.#generation}`;
    this.#publish({ channel, text }, name);
    return name;
  }

  subscribe(channels: readonly string[], listener: StoreListener): StoreSubscription {
    const subscription = { channels, listener };
    this.#subscriptions.add(subscription);
    if (this.#isReady) queueMicrotask(() => this.#subscriptions.has(subscription) && listener.listening());
    return {
      close: async () => {
        this.#subscriptions.delete(subscription);
      },
    };
  }

  #now(): number {
    if (!this.#isReady) throw new Error('The store is down.');
    return Math.floor(this.#nowMs());
  }

  /** One that is not kept until {@link #keep}. */
  #entryOf(key: string, nowMs: number): Entry {
    const present = this.#entries.get(key);
    if (present !== undefined && present.expiresAtMs > nowMs) return present;
    this.#entries.delete(key);
    return {
      expiresAtMs: 0,
      stamp: 0,
      invalidatedAtMs: 0,
      withdrawnAtMs: 0,
      lock: undefined,
      pause: undefined,
      final: undefined,
      answers: new Map(),
    };
  }

  #keep(key: string, entry: Entry, untilMs: number): void {
    entry.expiresAtMs = Math.max(entry.expiresAtMs, untilMs);
    this.#entries.set(key, entry);
  }

  #nextStamp(entry: Entry, nowMs: number): number {
    entry.stamp = Math.max(nowMs, entry.stamp + 1);
    return entry.stamp;
  }

  /** Later, as over a network. */
  #publish({ channel, text }: StoreMessage, rest: string): void {
    for (const subscription of this.#subscriptions) {
      if (!subscription.channels.includes(channel)) continue;
      queueMicrotask(() => {
        if (this.#isReady && this.#subscriptions.has(subscription)) subscription.listener.message(`${text} ${rest}`);
      });
    }
  }
}

function isFresh({ storedAtMs, ttlMs }: Kept, nowMs: number): boolean {
  return nowMs < storedAtMs + ttlMs;
}

function shown({ text, storedAtMs, ttlMs }: Kept, nowMs: number): StoredAnswer {
  return { text, ageMs: Math.max(0, nowMs - storedAtMs), ttlMs };
}

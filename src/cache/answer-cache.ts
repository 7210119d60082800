/**
 * Owns: the cached answers of each visitor, and how fresh they are. Generic: an answer is a text, of which it knows only its
 * own stamps. Next: scan-resistant-lru.ts.
 */
import { ScanResistantLru } from './scan-resistant-lru';
import { firstSeenMsOf, isFinal, isOfVariant, type Stamps, stamped, storedAtMsOf, ttlMsOf } from './stamps';

/**
 * - `fresh`: within its ttl;
 * - `stale`: served at once, refreshed in the background;
 * - `late`: served if a refresh fails or does not finish in time;
 * - `expired`: not served.
 */
export type Freshness = 'fresh' | 'stale' | 'late' | 'expired';

export interface AnswerCacheConfig {
  readonly maxVisitors: number;
  /** Bounds the memory that the answers take, roughly. */
  readonly maxBytes: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** The answers about one visitor, the newest first. Nearly always there is one, without a list. */
type Answers = string | readonly string[];

/** Answers kept per visitor: logged in, logged out, with and without a consent string. */
const MAX_VARIANTS = 4;
/** What V8 and the store need besides the characters of a visitor's answers and their key. */
const OVERHEAD_BYTES = 120;
/** The same for each answer in a list. */
const LISTED_BYTES = 48;

export class AnswerCache {
  readonly #config: AnswerCacheConfig;
  readonly #store: ScanResistantLru<Answers>;

  constructor(config: AnswerCacheConfig) {
    const { maxVisitors, maxBytes, nowMs } = config;
    this.#config = config;
    this.#store = new ScanResistantLru({
      maxVisitors,
      maxBytes,
      nowMs,
      bytesOf: (key, answers) => key.length + OVERHEAD_BYTES + lengthOf(answers),
      firstSeenMsOf: (answers) => firstSeenMsOf(typeof answers === 'string' ? answers : (answers[0] as string)),
    });
  }

  /** Number of visitors in the cache. */
  get size(): number {
    return this.#store.size;
  }

  /** An estimate of the memory that the answers take. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** The answer with its stamps behind it. */
  get(key: string, variant: string): string | undefined {
    const answers = this.#store.get(key);
    if (answers === undefined) return undefined;
    if (typeof answers !== 'string') return answers.find((each) => isAnswerTo(each, variant));
    return isAnswerTo(answers, variant) ? answers : undefined;
  }

  /** @param entry as {@link get} returns it */
  freshness(entry: string, nowMs: number): Freshness {
    const { staleWhileRevalidateMs, staleIfErrorMs } = this.#config;
    const pastTtlMs = nowMs - storedAtMsOf(entry) - ttlMsOf(entry);
    if (pastTtlMs < 0) return 'fresh';
    if (isFinal(entry)) return 'expired';
    if (pastTtlMs < staleWhileRevalidateMs) return 'stale';
    return pastTtlMs < staleIfErrorMs ? 'late' : 'expired';
  }

  /**
   * Stores an answer in the place of the one to the same question.
   * @param key detached from the request's memory, see {@link detachedString}
   * @param text in Latin-1
   * @param ageMs since it was given
   */
  set(key: string, text: string, stamps: Stamps, ageMs = 0): void {
    const present = listOf(this.#store.peek(key));
    const nowMs = Math.floor(this.#config.nowMs());
    const firstSeenMs = present[0] === undefined ? nowMs : firstSeenMsOf(present[0]);
    const entry = stamped(text, { ...stamps, storedAtMs: nowMs - Math.floor(ageMs), firstSeenMs });
    const others = stamps.isFinal
      ? []
      : present.filter((each) => !isFinal(each) && !isOfVariant(each, stamps.variant)).slice(0, MAX_VARIANTS - 1);
    this.#put(key, [entry, ...others]);
  }

  /** Puts an answer with other text, and the same stamps, in the place of one that is stored. */
  replace(key: string, entry: string, replacement: string): void {
    const present = listOf(this.#store.peek(key));
    if (!present.includes(entry)) return;
    const answers = present.map((each) => (each === entry ? replacement : each));
    this.#put(key, answers);
  }

  /** Puts what `change` makes of them in the place of all answers about a visitor: the same texts with other stamps. */
  restamp(key: string, change: (entry: string) => string): void {
    const present = listOf(this.#store.peek(key));
    if (present.length > 0) this.#put(key, present.map(change));
  }

  /** Whether anything is stored about a visitor, without counting it as a visit. */
  has(key: string): boolean {
    return this.#store.peek(key) !== undefined;
  }

  /** Whether anything is stored about a visitor that is not final. */
  hasRevocable(key: string): boolean {
    return listOf(this.#store.peek(key)).some((each) => !isFinal(each));
  }

  /** Deletes everything about a visitor. */
  forget(key: string): void {
    this.#store.delete(key);
  }

  /** Deletes what a visitor who withdraws consent does not want stored; what is final stays. */
  withdraw(key: string): void {
    const present = listOf(this.#store.peek(key));
    const kept = present.filter(isFinal);
    if (kept.length === 0) this.#store.delete(key);
    else if (kept.length < present.length) this.#put(key, kept);
  }

  #put(key: string, answers: readonly string[]): void {
    this.#store.set(key, answers.length === 1 ? (answers[0] as string) : answers);
  }
}

function isAnswerTo(entry: string, variant: string): boolean {
  return isOfVariant(entry, variant) || isFinal(entry);
}

function listOf(answers: Answers | undefined): readonly string[] {
  if (answers === undefined) return [];
  return typeof answers === 'string' ? [answers] : answers;
}

function lengthOf(answers: Answers): number {
  if (typeof answers === 'string') return answers.length;
  return answers.reduce((sum, { length }) => sum + LISTED_BYTES + length, 0);
}

/**
 * Owns: what the package needs of an engine that a fleet of processes shares, and no more. `redisStore()` is one for Redis and
 * Valkey, `createMemoryStore()` of `express-aam-segments/testing` one for tests.
 *
 * Whoever calls whom: a page reads; a call to the DCS takes its visitor's lock, and ends by giving it back together with what
 * it has brought; a refusal invalidates; a beat proves that messages arrive. All state of a visitor is under one key, and each
 * method is one step that nothing else comes between. Time is that of the engine: nothing here compares the clocks of two
 * machines.
 */

/** A shared engine. All methods may reject; they then count as failed, and the site goes on without. */
export interface SharedStore {
  /** How long one command may take, in milliseconds. It is not waited for any longer, and what comes later is ignored. */
  readonly timeoutMs: number;
  /** Whether a command would be sent at once. Where not, none is given. Asked often: must be cheap. */
  readonly isReady: boolean;

  /** What is known about a visitor. Changes nothing. */
  read(key: string, question: string): Promise<StoreReading>;

  /**
   * Takes the lock of a visitor, unless something speaks against it. In this order, and for an `opt-out` only the last:
   * a withdrawal later than the request's consent; a lock that is held for an event; a final answer, and for a `lookup` a
   * fresh answer; a pause; too many calls within a minute; a lock that is held.
   *
   * Whoever holds the lock with this token already gets it again, without counting as another call: a client may send a
   * command twice. A lock that is found held is marked as waited for, so that its {@link end} is published.
   */
  take(key: string, claim: Claim): Promise<Claimed>;

  /**
   * Gives a lock back, if it is still held with this token, and stores what the call has brought, unless that is out of date:
   * asked for longer ago than a lock lives, or before what is stored now, or before the last invalidation. A final answer is
   * stored whatever was invalidated.
   */
  end(key: string, ending: Ending): Promise<'stored' | 'outdated' | 'nothing'>;

  /**
   * Deletes the answers about a visitor, but for a final one, and has what was asked for before now count as out of date. Where
   * there is neither an answer nor a lock, nothing is published, and nothing is written about a visitor without a key.
   * @returns whether it was published
   */
  invalidate(key: string, invalidation: Invalidation): Promise<boolean>;

  /**
   * Stores an answer again that the engine has lost, unless it has a newer one, the answer was invalidated since, or it is older
   * than it is of use: then an invalidation may have been forgotten as well.
   */
  refill(key: string, refill: Refill): Promise<void>;

  /**
   * Publishes a message to those who have subscribed to the channel, with the name of the engine's memory behind it, after a
   * space. That name changes when the memory was lost; it has no spaces.
   * @returns that name
   */
  beat(channel: string, message: string): Promise<string>;

  /** Listens to channels until it is closed, through losses of its connection. */
  subscribe(channels: readonly string[], listener: StoreListener): StoreSubscription;

  /** What it means that one of the promises has rejected. @default always `other` */
  failureOf?(error: unknown): StoreFailure;
}

/** An answer in the store. */
export interface StoredAnswer {
  /** In characters up to U+00FF. */
  readonly text: string;
  /** Since it was stored, by the engine's clock, in milliseconds. */
  readonly ageMs: number;
  /** How long it is fresh, from then on. */
  readonly ttlMs: number;
}

/** What is known about a visitor. */
export interface StoreReading {
  /** The engine's clock, in milliseconds. */
  readonly nowMs: number;
  /** The answer to the question. */
  readonly answer: StoredAnswer | undefined;
  /** What the DCS has said about the visitor whatever is asked; not one that has expired. */
  readonly final: StoredAnswer | undefined;
  /** When the visitor was last invalidated, by the engine's clock; 0 for never. */
  readonly invalidatedAtMs: number;
  /** How long a lock may still be held that was taken for an event; 0 if there is none. */
  readonly eventForMs: number;
}

/** What a process that takes a lock says. */
export interface Claim {
  /** Random; tells the holder from all others. */
  readonly token: string;
  /** How long the lock lives. */
  readonly lockMs: number;
  readonly kind: 'lookup' | 'event' | 'opt-out';
  readonly question: string;
  /** How long ago the consent was given by which the visitor is asked about. */
  readonly consentAgoMs: number;
  /** Within any minute, in the whole fleet. */
  readonly maxCallsPerMinute: number;
  /** Published when the lock is taken, with the stamp behind it. */
  readonly announcement: StoreMessage | undefined;
}

/** Whether a lock is held now, or why not. */
export type Claimed =
  /** The lock is held now. Of two stamps of a visitor the one given later is greater. */
  | { readonly outcome: 'taken'; readonly stamp: number }
  | { readonly outcome: 'answered'; readonly answer: StoredAnswer; readonly isFinal: boolean }
  /** The visitor has withdrawn since. */
  | { readonly outcome: 'withdrawn' }
  /** A call about the visitor has failed, and no other is made for so long. */
  | { readonly outcome: 'paused'; readonly reason: string; readonly forMs: number }
  /** Too many calls were made. */
  | { readonly outcome: 'limited'; readonly forMs: number }
  /** Somebody else holds the lock, for so long at most. */
  | { readonly outcome: 'held'; readonly forMs: number };

/** What a process that gives a lock back says. */
export interface Ending {
  readonly token: string;
  /** From {@link SharedStore.take}. */
  readonly stamp: number;
  readonly lockMs: number;
  readonly answer: AnswerToStore | undefined;
  /** No call is to be made for so long, because this one failed. */
  readonly pause: { readonly reason: string; readonly forMs: number } | undefined;
  /** Published if somebody waits for the lock, with the stamp behind it. */
  readonly message: StoreMessage;
  /** Whether it is also published if nobody waits, provided that the answer was stored. */
  readonly isNews: boolean;
}

/** An answer, and how long it is of use. */
export interface AnswerToStore {
  readonly question: string;
  /** Whether it answers every question about the visitor and ends with its ttl. */
  readonly isFinal: boolean;
  /** In characters up to U+00FF. */
  readonly text: string;
  readonly ttlMs: number;
  /** How long it is of use, from when it was stored first. Invalidations are remembered for as long. */
  readonly keepMs: number;
}

/** What makes the answers about a visitor out of date. */
export interface Invalidation {
  /** Whether requests whose consent was given before are not to take the lock any more. */
  readonly isWithdrawal: boolean;
  /** Whether it is written and published even where there is neither an answer nor a lock. */
  readonly isCertain: boolean;
  /** How long it is remembered. */
  readonly keepMs: number;
  /** Published with the stamp behind it. */
  readonly message: StoreMessage;
}

/** An answer that was stored before. */
export interface Refill extends AnswerToStore {
  /** When it was stored first, by the engine's clock: {@link StoreReading.nowMs} less its age then. */
  readonly storedAtMs: number;
  readonly lockMs: number;
}

/** What is published where. */
export interface StoreMessage {
  readonly channel: string;
  readonly text: string;
}

/** Told of messages and of what may have been missed. */
export interface StoreListener {
  message(text: string): void;
  /** All channels are listened to from now on. */
  listening(): void;
  /** Messages may be missed from now on, or may have been. */
  lost(): void;
}

/** What listens. */
export interface StoreSubscription {
  /** Ends it and frees its connection. */
  close(): Promise<void>;
}

/** Why a command failed, as far as it matters. */
export type StoreFailure =
  | 'timeout'
  | 'disconnected'
  | 'read-only'
  | 'loading'
  | 'cluster-down'
  | 'out-of-memory'
  | 'other';

/**
 * The format of everything that is stored and published. It stands in each key, each channel and each value, and what has
 * another one is not there: two versions of this package run side by side. To be raised with each change of a script, of a
 * message or of a packed answer.
 */
export const WIRE_VERSION = '1';

/** Larger answers are not shared. */
export const MAX_TEXT_LENGTH = 65_536;
/** The answers kept about one visitor. */
export const MAX_QUESTIONS = 4;

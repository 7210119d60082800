/**
 * Owns: the shared tier of one instance: its store behind a guard, what the processes of the fleet tell each other, and since
 * when a message may have been missed. It knows visitors by their keys, and answers as texts. Next: fleet-lane.ts, which holds
 * the locks; ../lookup/shared-answers.ts, which brings answers into memory.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../dcs/flow/clock';
import {
  beatText,
  type FleetMessage,
  type FleetMessageKind,
  messageText,
  readBeat,
  readMessage,
} from './fleet-message';
import { GuardedStore } from './guarded-store';
import type {
  AnswerToStore,
  Claim,
  Claimed,
  Ending,
  SharedStore,
  StoreFailure,
  StoreMessage,
  StoreReading,
  StoreSubscription,
} from './shared-store';
import { type KeptInvalidation, UnsentInvalidations } from './unsent-invalidations';

export interface SharedTierConfig {
  readonly store: SharedStore;
  /** Names the channel of all who share answers. In letters, digits, `-` and `_`. */
  readonly channel: string;
  /** How long a lock lives. */
  readonly lockMs: number;
  /** How long an answer is of use. */
  readonly keepMs: number;
}

/**
 * - `ready`: answers, locks and messages are shared;
 * - `connecting`: not yet;
 * - `failing`: not any more, or messages do not arrive: each process is on its own as far as that goes;
 * - `closed`: by `close()`.
 */
export type SharedStatus = 'ready' | 'connecting' | 'failing' | 'closed';

/** What became of the commands to the shared store. */
export interface SharedStats {
  readonly status: SharedStatus;
  /** Visitors found in the shared store. */
  readonly hits: number;
  readonly misses: number;
  /** Answers stored. */
  readonly writes: number;
  /** Commands that failed, by kind; `timeout` is one that took longer than `timeoutMs`. Nothing else failed with them. */
  readonly failures: Readonly<Record<StoreFailure, number>>;
  readonly invalidations: {
    readonly sent: number;
    readonly received: number;
    /** Not sent, because too many were waiting while the store was down. */
    readonly dropped: number;
  };
  /** Calls that waited for another process's call about the same visitor. */
  readonly waits: number;
}

/** Told of what other processes do. */
export interface FleetListener {
  message(message: FleetMessage): void;
  /** Messages may have been missed until now. */
  missed(): void;
  /** Messages about a visitor may be missed, since the store does not know that there is something to tell. */
  unsure?(key: string): void;
}

/** Told of each change of the status. */
export type StatusListener = (status: SharedStatus, previous: SharedStatus) => void;

/** An end, without what the tier adds. */
export type CallEnding = Pick<Ending, 'token' | 'stamp' | 'answer' | 'pause' | 'isNews'> & {
  readonly message: Extract<FleetMessageKind, 'ended' | 'event-ended' | 'excluded'>;
};

const TICK_MS = 1_000;
/** A sign of life is sent so often, and one that has come back proves for so long that messages arrive. */
const BEAT_EVERY_MS = 2_000;
const PROVEN_FOR_MS = 6_000;
/** A store that was never ready is given this long before anybody is alarmed. */
const MAX_CONNECTING_MS = 5_000;
/** A connection that is lost for less is no outage: meanwhile memory is checked against the store. */
const MAX_UNPROVEN_MS = 3_000;
/** A connection that listens and hears nothing is made anew. */
const DEAF_FOR_MS = 8_000;
/** Of one process. What is not written again now is when it is used next. */
const MAX_REFILLS_PER_SECOND = 200;

export class SharedTier {
  readonly lockMs: number;
  readonly #config: SharedTierConfig;
  readonly #clock: Clock;
  readonly #guarded: GuardedStore;
  readonly #self = randomBytes(9).toString('base64url');
  readonly #unsent: UnsentInvalidations;
  readonly #listeners: FleetListener[] = [];
  readonly #statusChanged: StatusListener;
  readonly #counts = { hits: 0, misses: 0, writes: 0, sent: 0, received: 0, waits: 0 };
  readonly #createdAtMs: number;
  #subscription: StoreSubscription | undefined;
  #cancelTick: (() => void) | undefined;
  #status: SharedStatus = 'connecting';
  #isClosed = false;
  /** Until when messages are known to arrive. */
  #provenUntilMs = Number.NEGATIVE_INFINITY;
  #isProven = false;
  #unprovenSinceMs = 0;
  #listeningSinceMs = 0;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  #memory: string | undefined;
  #refillsLeft = MAX_REFILLS_PER_SECOND;

  constructor(config: SharedTierConfig, clock: Clock, statusChanged: StatusListener = () => {}) {
    this.lockMs = config.lockMs;
    this.#config = config;
    this.#clock = clock;
    this.#guarded = new GuardedStore(config.store, clock);
    this.#unsent = new UnsentInvalidations(() => clock.nowMs());
    this.#statusChanged = statusChanged;
    this.#createdAtMs = clock.nowMs();
  }

  get keepMs(): number {
    return this.#config.keepMs;
  }

  /** Whether the store would be asked now. Starts to listen when it is asked first: a process that serves nobody does not. */
  get isUp(): boolean {
    if (this.#isClosed) return false;
    if (this.#cancelTick === undefined) this.#start();
    if (this.#guarded.isUp) return true;
    this.#tryAgain();
    return false;
  }

  /** Whether no message can have been missed lately. */
  isProvenAt(nowMs: number): boolean {
    return nowMs <= this.#provenUntilMs;
  }

  /** When the last invalidation was made of which the fleet was never told; `undefined` if there is none. */
  get untoldAtMs(): number | undefined {
    return this.#unsent.droppedAtMs;
  }

  listen(listener: FleetListener): void {
    this.#listeners.push(listener);
  }

  stats(): SharedStats {
    const { hits, misses, writes, sent, received, waits } = this.#counts;
    return {
      status: this.#status,
      hits,
      misses,
      writes,
      failures: this.#guarded.failures,
      invalidations: { sent, received, dropped: this.#unsent.dropped },
      waits,
    };
  }

  /** What is known about a visitor; `undefined` if that cannot be said now. */
  async read(key: string, question: string): Promise<StoreReading | undefined> {
    const reading = await this.readLink(key, question);
    if (reading !== undefined) {
      const isHit = reading.answer !== undefined || reading.final !== undefined;
      this.#counts[isHit ? 'hits' : 'misses']++;
    }
    return reading;
  }

  /** {@link read} of what is no visitor who views a page, which is not counted. */
  async readLink(key: string, question: string): Promise<StoreReading | undefined> {
    if (!this.isUp) return undefined;
    this.#sendWaiting(key);
    return this.#guarded.run((store) => store.read(key, question));
  }

  /**
   * Takes a visitor's lock. A lock that is had too late is given back; `undefined` for that and for a failure: the call is
   * made without.
   */
  async take(key: string, claim: Omit<Claim, 'lockMs' | 'announcement'>): Promise<Claimed | undefined> {
    if (!this.isUp) return undefined;
    this.#sendWaiting(key);
    const { lockMs } = this;
    const announcement = claim.kind === 'event' ? this.#messageOf('event-began', key) : undefined;
    const claimed = await this.#guarded.run(
      (store) => store.take(key, { ...claim, lockMs, announcement }),
      (late) => {
        if (late.outcome === 'taken') this.giveBack(key, claim.token, late.stamp);
      },
    );
    if (claimed?.outcome === 'held') this.#counts.waits++;
    if (claimed?.outcome === 'answered') this.#counts.hits++;
    return claimed;
  }

  giveBack(key: string, token: string, stamp: number): void {
    this.end(key, { token, stamp, answer: undefined, pause: undefined, isNews: false, message: 'ended' });
  }

  /** Gives a visitor's lock back with what the call has brought. Nobody waits for that. */
  end(key: string, { message, ...ending }: CallEnding): void {
    const whole = { ...ending, lockMs: this.lockMs, message: this.#messageOf(message, key) };
    this.#guarded
      .run((store) => store.end(key, whole))
      .then((outcome) => {
        if (outcome === 'stored') this.#counts.writes++;
        // Somebody has learned something newer, which is in the store.
        if (outcome === 'outdated') this.#tell({ kind: 'forgotten', key });
        // Others know nothing of what was to be stored, and say nothing when it is out of date.
        if (outcome === undefined && ending.answer !== undefined) {
          for (const listener of this.#listeners) listener.unsure?.(key);
        }
      });
  }

  /**
   * What is known about a visitor is out of date, everywhere.
   * @param isCertain whether others may know something although the store does not
   */
  invalidate(key: string, kind: KeptInvalidation['kind'], isCertain: boolean): void {
    if (this.#isClosed) return;
    const kept = this.#unsent.add(key, kind, isCertain);
    if (this.isUp) this.#sendAll([kept]);
  }

  /** Stores an answer again that the store has lost, unless too many were within this second. */
  refill(key: string, answer: AnswerToStore, storedAtMs: number): void {
    if (this.#refillsLeft <= 0) return;
    this.#refillsLeft--;
    const { lockMs } = this;
    this.#guarded.run((store) => store.refill(key, { ...answer, storedAtMs, lockMs }));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTick?.();
    this.#provenUntilMs = Number.NEGATIVE_INFINITY;
    this.#changeStatus();
    await endQuietly(this.#subscription);
  }

  #start(): void {
    this.#subscribe();
    this.#tick();
  }

  #tick(): void {
    this.#cancelTick = this.#clock.after(TICK_MS, () => this.#tick(), false);
    this.#refillsLeft = MAX_REFILLS_PER_SECOND;
    const nowMs = this.#clock.nowMs();
    if (!this.#guarded.isUp) this.#tryAgain();
    else if (nowMs - this.#lastBeatMs >= BEAT_EVERY_MS) this.#beat();
    if (this.#isProven && !this.isProvenAt(nowMs)) this.#lost();
    const isDeaf = !this.#isProven && nowMs - Math.max(this.#listeningSinceMs, this.#createdAtMs) > DEAF_FOR_MS;
    if (isDeaf && this.#guarded.isUp) this.#subscribe();
    this.#changeStatus();
  }

  #subscribe(): void {
    endQuietly(this.#subscription);
    this.#subscription = undefined;
    this.#listeningSinceMs = this.#clock.nowMs();
    const { store, channel } = this.#config;
    try {
      this.#subscription = store.subscribe([channel, this.#self], {
        message: (text) => this.#received(text),
        listening: () => {
          this.#listeningSinceMs = this.#clock.nowMs();
          if (!this.#isClosed && this.#guarded.isUp) this.#beat();
        },
        lost: () => this.#lost(),
      });
    } catch {
      // A store may be anybody's. It is tried again when nothing has been heard for a while.
    }
  }

  #received(text: string): void {
    if (this.#isClosed) return;
    const beat = readBeat(text, this.#self);
    if (beat !== undefined) {
      this.#proved(beat.atMs);
      return;
    }
    const message = readMessage(text, this.#self);
    if (message === undefined) return;
    if (message.kind !== 'ended' && message.kind !== 'event-began') this.#counts.received++;
    this.#tell(message);
  }

  #tell(message: FleetMessage): void {
    for (const listener of this.#listeners) listener.message(message);
  }

  #missed(): void {
    for (const listener of this.#listeners) listener.missed();
  }

  /** A sign of life has come back that was sent then. */
  #proved(sentAtMs: number): void {
    const nowMs = this.#clock.nowMs();
    if (sentAtMs > nowMs || sentAtMs + PROVEN_FOR_MS <= nowMs || sentAtMs + PROVEN_FOR_MS <= this.#provenUntilMs)
      return;
    // Also one that lapsed unnoticed, while the process was stopped.
    const wasProven = this.#isProven && nowMs <= this.#provenUntilMs;
    this.#provenUntilMs = sentAtMs + PROVEN_FOR_MS;
    this.#isProven = true;
    if (!wasProven) this.#missed();
    this.#changeStatus();
  }

  #lost(): void {
    this.#provenUntilMs = Number.NEGATIVE_INFINITY;
    if (!this.#isProven) return;
    this.#isProven = false;
    this.#unprovenSinceMs = this.#clock.nowMs();
    this.#missed();
    this.#changeStatus();
  }

  #beat(): void {
    const { nowMs, command } = this.#nextBeat();
    this.#lastBeatMs = nowMs;
    this.#guarded.run(command).then((memory) => memory !== undefined && this.#remembers(memory));
  }

  #tryAgain(): void {
    if (this.#isClosed || !this.#guarded.mayTry) return;
    const { nowMs, command } = this.#nextBeat();
    this.#lastBeatMs = nowMs;
    this.#guarded.try(command, (memory) => {
      // Before anybody reads.
      this.#sendAll(this.#unsent.toSend());
      this.#remembers(memory);
      this.#changeStatus();
    });
  }

  #nextBeat() {
    const nowMs = this.#clock.nowMs();
    return { nowMs, command: (store: SharedStore) => store.beat(this.#self, beatText(this.#self, nowMs)) };
  }

  /** The store has lost everything, invalidations too. */
  #remembers(memory: string): void {
    const isOther = this.#memory !== undefined && this.#memory !== memory;
    this.#memory = memory;
    if (!isOther) return;
    this.#sendAll(this.#unsent.toSend());
    this.#missed();
  }

  /** On one connection, in order: what has not been told yet is told before anything is asked. */
  #sendWaiting(key: string): void {
    const waiting = this.#unsent.waitingFor(key);
    if (waiting !== undefined) this.#sendAll([waiting]);
  }

  #sendAll(invalidations: readonly KeptInvalidation[]): void {
    const { keepMs } = this;
    for (const each of invalidations) {
      const { key, kind, isCertain } = each;
      const message = this.#messageOf(kind, key);
      each.state = 'sending';
      this.#guarded
        .run((store) => store.invalidate(key, { isWithdrawal: kind !== 'forgotten', isCertain, keepMs, message }))
        .then((isPublished) => {
          each.state = isPublished === undefined ? 'waiting' : 'sent';
          if (isPublished) this.#counts.sent++;
        });
    }
  }

  #messageOf(kind: FleetMessageKind, key: string): StoreMessage {
    return { channel: this.#config.channel, text: messageText(this.#self, { kind, key }) };
  }

  #changeStatus(): void {
    const previous = this.#status;
    this.#status = this.#statusNow();
    if (this.#status !== previous) this.#statusChanged(this.#status, previous);
  }

  #statusNow(): SharedStatus {
    if (this.#isClosed) return 'closed';
    if (this.#guarded.isUp) {
      if (this.#isProven) return 'ready';
      const isBrief = this.#clock.nowMs() - this.#unprovenSinceMs < MAX_UNPROVEN_MS;
      if (isBrief && this.#status === 'ready') return 'ready';
    }
    const isNew = this.#status === 'connecting' && this.#clock.nowMs() - this.#createdAtMs < MAX_CONNECTING_MS;
    return isNew ? 'connecting' : 'failing';
  }
}

/** Whatever the store does. */
async function endQuietly(subscription: StoreSubscription | undefined): Promise<void> {
  try {
    await subscription?.close();
  } catch {}
}

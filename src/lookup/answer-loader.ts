/**
 * Owns: the answers that are still to come. It makes the calls, lets those who ask the same share one, and remembers what
 * they bring, unless it is out of date by then. Next: answer-resolver.ts, which decides what to serve.
 */
import type { AnswerCache } from '../cache/answer-cache';
import { detachedString } from '../cache/detached-string';
import type { Dcs } from '../dcs/dcs';
import type { Call, CallResult } from '../dcs/flow/call';
import { DcsError, type DcsFailure } from '../dcs/protocol/dcs-error';
import { ADVICE, type Exclusion } from '../dcs/protocol/error-codes';
import type { Question } from '../dcs/protocol/request';
import { AamError } from '../errors';
import type { VisitorKeys } from '../identity/cache-keys';
import type { Visitor } from '../identity/visitor';
import { isPackedAnswer, type PackedAnswer, packAnswer } from '../segments/packed-answer';
import { type DestinationFormats, segmentSetOf } from '../segments/segment-set';
import { ConfigurationAdvice } from './configuration-advice';
import type { Generations } from './generations';

/** The resolved values that it needs. */
export interface AnswerLoaderConfig {
  readonly destinations: DestinationFormats;
  readonly dcs: { readonly segmentIds: unknown };
  readonly cache: {
    /** How long an answer stays fresh. */
    readonly ttlMs: number;
    /** The same for an answer without segments. */
    readonly emptyTtlMs: number;
  };
}

/** Why a call brought no answer. */
export type NoAnswer = Extract<CallResult, { readonly failure: DcsFailure } | { readonly isDropped: true }>;

/** An answer that is still to come. Everybody who asks the same shares it, each with a deadline of their own. */
export interface Flight {
  /**
   * Settles after the answer was remembered. Rejects with a {@link NoAnswer}, which is no error yet; a rejection that nobody
   * waits for is not reported as unhandled.
   */
  readonly promise: Promise<PackedAnswer>;
  /** Whether the call probes a server whose breaker is open: nobody should be held for it. */
  readonly isProbe: boolean;
  /** The age of the answer if another process had asked for it; `undefined` if the DCS gave it to this one. */
  readonly sharedAgeMs: number | undefined;
}

const MINUTE_MS = 60_000;

/**
 * How long an exclusion holds where the DCS does not say: hours for an id or a country that will not become valid, and
 * 30 days for a denylisted id. (This process makes no call about that one anyway, for as long as it lives.)
 */
const EXCLUSION_TTL_MS: Readonly<Record<Exclusion, number>> = {
  'opted-out': 120 * MINUTE_MS,
  'no-consent': 0, // not what the DCS says, but the request
  'invalid-id': 360 * MINUTE_MS,
  refused: 60 * MINUTE_MS,
  denylisted: 43_200 * MINUTE_MS,
};

const NOTHING = {
  ids: [],
  values: undefined,
  destinations: undefined,
  region: undefined,
  transactionId: undefined,
};

/** What a call has brought, and for how long it holds. */
interface Answer {
  readonly text: PackedAnswer;
  readonly ttlMs: number;
  readonly isFinal: boolean;
  /** Since it was given, if another process had asked for it. */
  readonly sharedAgeMs: number | undefined;
}

export class AnswerLoader {
  readonly #config: AnswerLoaderConfig;
  readonly #dcs: Dcs;
  readonly #cache: AnswerCache;
  readonly #generations: Generations;
  readonly #advice: ConfigurationAdvice;
  readonly #stored: (keys: VisitorKeys) => void;
  /** By the first of the visitor's keys, oldest first. */
  readonly #flights = new Map<string, OwnFlight[]>();
  /** By the others, for a visitor who shows only one of those. */
  readonly #byOtherKey = new Map<string, Set<OwnFlight>>();
  #events = 0;

  /** @param stored told of visitors about whom the DCS has said something */
  constructor(
    config: AnswerLoaderConfig,
    dcs: Dcs,
    cache: AnswerCache,
    generations: Generations,
    stored: (keys: VisitorKeys) => void = () => {},
  ) {
    this.#stored = stored;
    this.#config = config;
    this.#dcs = dcs;
    this.#cache = cache;
    this.#generations = generations;
    this.#advice = new ConfigurationAdvice({
      adviceOnCode: ADVICE,
      wantsSegmentIds: config.dcs.segmentIds !== false,
    });
  }

  /** What is wrong with the configuration, as far as the answers show it. */
  get advice(): readonly string[] {
    return this.#advice.given;
  }

  /** The lookup that is in flight for this question and not out of date. */
  lookupOf(key: string, variant: string): Flight | undefined {
    return this.#flights.get(key)?.findLast((flight) => {
      return flight.call?.kind === 'lookup' && flight.variant === variant && !this.#isOutdated(flight);
    });
  }

  /** The newest event about the visitor whose answer is worth waiting for: it is running or next, and nothing holds it. */
  imminentEventOf(key: string, variant: string): Flight | undefined {
    // Nearly always there is none, and every request asks.
    if (this.#events === 0) return undefined;
    return this.#flights.get(key)?.findLast((flight) => {
      const { call, isAwaited } = flight;
      if (call?.kind !== 'event' || !isAwaited || flight.variant !== variant) return false;
      return !this.#isOutdated(flight) && this.#dcs.isImminent(call);
    });
  }

  /** Asks the DCS. */
  lookup(keys: VisitorKeys, question: Question): Flight {
    return this.#start(keys, question, true, (key, flight) => this.#dcs.lookup(key, question, flight));
  }

  /**
   * Tells the DCS what the question's signals say.
   * @param isAwaited whether the visitor's next page waits for the answer
   * @throws {AamError} `ERR_AAM_EVENT_TOO_LARGE`
   */
  sendEvent(keys: VisitorKeys, question: Question, isAwaited: boolean): Flight {
    const isStranger = !this.#cache.has(keys[0]);
    return this.#start(keys, question, isAwaited, (key, flight) => {
      return this.#dcs.sendEvent(key, question, isStranger, flight);
    });
  }

  /** Whether a call names a visitor by this key. */
  isAsking(key: string): boolean {
    return this.#flights.has(key) || this.#byOtherKey.has(key);
  }

  /** Ends all calls that name a visitor by one of these keys, but for opt-outs: nothing more is asked or told. */
  abandon(keys: VisitorKeys, reason: Exclusion): void {
    this.#dcs.abandon(this.#callsNaming(keys), reason);
  }

  /** Has the DCS opt the visitor out. Settles when that is done. */
  optOut(keys: VisitorKeys, visitor: Visitor): Promise<void> {
    const [key] = keys;
    // One about the same visitor that is under way is waited for.
    const calls = this.#callsNaming(keys).filter((call) => call.key !== key || call.phase !== 'running');
    this.#dcs.abandon(calls, 'opted-out');
    return new Promise((resolve, reject) => {
      this.#dcs.optOut(key, visitor, {
        began: () => {},
        ended: (result) => ('reply' in result ? resolve() : reject(errorOf(noAnswerIn(result)))),
      });
    });
  }

  /** Those that are running or waiting. */
  #callsNaming(keys: VisitorKeys): Call[] {
    const flights = new Set(
      keys.flatMap((key) => [...(this.#flights.get(key) ?? []), ...(this.#byOtherKey.get(key) ?? [])]),
    );
    return [...flights].map(({ call }) => call as Call);
  }

  #start(
    [key, ...others]: VisitorKeys,
    { variant, visitor }: Question,
    isAwaited: boolean,
    call: (key: string, flight: OwnFlight) => Call,
  ): Flight {
    const ownKey = detachedString(key);
    const flight = new OwnFlight([ownKey, ...others], variant, isAwaited, {
      now: () => this.#generations.now,
      ended: (result) => this.#ended(flight, visitor, result),
    });
    flight.call = call(ownKey, flight);
    if (flight.call.hasEnded) return flight;
    const flights = this.#flights.get(ownKey);
    if (flights === undefined) this.#flights.set(ownKey, [flight]);
    else flights.push(flight);
    for (const other of others) {
      const naming = this.#byOtherKey.get(other);
      if (naming === undefined) this.#byOtherKey.set(other, new Set([flight]));
      else naming.add(flight);
    }
    if (flight.call.kind === 'event') this.#events++;
    flight.isListed = true;
    return flight;
  }

  #ended(flight: OwnFlight, visitor: Visitor, result: CallResult): void {
    this.#unlist(flight);
    const answer = this.#answerIn(result, visitor);
    if (answer === undefined) {
      flight.reject(noAnswerIn(result));
      return;
    }
    if (!this.#isOutdated(flight)) {
      // What was asked before the event, in another process too, is older than its answer. One that was still waiting, or
      // again, was ended by what another call has brought, and has changed nothing.
      if (flight.call?.kind === 'event' && flight.call.phase === 'running') this.#generations.renew(flight.keys[0]);
      const { text, ttlMs, isFinal, sharedAgeMs } = answer;
      const stamps = { variant: flight.variant, isFinal, ttlMs, validAt: this.#generations.now };
      this.#cache.set(flight.keys[0], text, stamps, sharedAgeMs);
      if (sharedAgeMs === undefined && flight.call !== undefined) {
        flight.call.brought = { text, ttlMs, isFinal };
        this.#stored(flight.keys);
      }
    }
    flight.sharedAgeMs = answer.sharedAgeMs;
    flight.resolve(answer.text);
  }

  #unlist(flight: OwnFlight): void {
    if (!flight.isListed) return;
    const [key, ...others] = flight.keys;
    for (const other of others) {
      const naming = this.#byOtherKey.get(other);
      naming?.delete(flight);
      if (naming?.size === 0) this.#byOtherKey.delete(other);
    }
    const left = this.#flights.get(key)?.filter((each) => each !== flight) ?? [];
    if (left.length === 0) this.#flights.delete(key);
    else this.#flights.set(key, left);
    if (flight.call?.kind === 'event') this.#events--;
  }

  /** What is still waiting will be asked under the generation of then. */
  #isOutdated({ keys, beganAt }: OwnFlight): boolean {
    return beganAt !== undefined && this.#generations.isOutdated(keys, beganAt);
  }

  /** The visitor's segments, or that the DCS does not serve them; `undefined` for a failure. */
  #answerIn(result: CallResult, { region: cookieRegion }: Visitor): Answer | undefined {
    if ('reply' in result) {
      const { reply } = result;
      const { cache, destinations } = this.#config;
      this.#advice.onReply(reply);
      const set = segmentSetOf(reply, destinations);
      const isEmpty = set.ids.length === 0 && set.values === undefined;
      const { region, transactionId } = reply;
      return {
        text: packAnswer({ ...set, region, transactionId, cookieRegion, excluded: undefined }),
        ttlMs: isEmpty ? cache.emptyTtlMs : cache.ttlMs,
        isFinal: false,
        sharedAgeMs: undefined,
      };
    }
    if ('found' in result) {
      const { text, ttlMs, isFinal, ageMs } = result.found;
      return isPackedAnswer(text) ? { text, ttlMs, isFinal, sharedAgeMs: ageMs } : undefined;
    }
    if (!('failure' in result)) return undefined;
    const { reason, dcsCode, optOutTtlMs } = result.failure;
    if (dcsCode !== undefined) this.#advice.onCode(dcsCode);
    // Without either it was not the DCS who said so, but the visitor.
    const isOfDcs = dcsCode !== undefined || optOutTtlMs !== undefined;
    if (!isOfDcs || !isExclusion(reason)) return undefined;
    return {
      text: packAnswer({ ...NOTHING, cookieRegion, excluded: reason }),
      ttlMs: optOutTtlMs ?? EXCLUSION_TTL_MS[reason],
      // It answers whatever is asked. It outlives a withdrawal: else a refusal would have the visitor asked about again. And
      // it ends with its ttl, so that nobody is kept out on old news.
      isFinal: true,
      sharedAgeMs: undefined,
    };
  }
}

class OwnFlight implements Flight {
  readonly keys: VisitorKeys;
  readonly variant: string;
  readonly isAwaited: boolean;
  readonly promise: Promise<PackedAnswer>;
  call: Call | undefined;
  /** The generation under which the call was sent; `undefined` while it waits. */
  beganAt: number | undefined;
  isListed = false;
  sharedAgeMs: number | undefined;
  resolve!: (answer: PackedAnswer) => void;
  reject!: (why: NoAnswer) => void;
  readonly #host: { now(): number; ended(result: CallResult): void };

  constructor(
    keys: VisitorKeys,
    variant: string,
    isAwaited: boolean,
    host: { now(): number; ended(result: CallResult): void },
  ) {
    this.keys = keys;
    this.variant = variant;
    this.isAwaited = isAwaited;
    this.#host = host;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }

  get isProbe(): boolean {
    return this.call?.isProbe ?? false;
  }

  began(): void {
    this.beganAt = this.#host.now();
  }

  ended(result: CallResult): void {
    this.#host.ended(result);
  }
}

/** Why a result holds no answer that can be used. */
function noAnswerIn(result: CallResult): NoAnswer {
  if ('failure' in result || 'isDropped' in result) return result;
  return { failure: UNUSABLE };
}

/** What the fleet has is not what is stored there. */
const UNUSABLE: DcsFailure = { reason: 'bad-reply', message: 'The shared store has an answer that could not be used.' };

/** Whether the DCS does not serve the visitor: an answer, and no failure. */
export function isExclusion(reason: string): reason is Exclusion {
  return Object.hasOwn(EXCLUSION_TTL_MS, reason);
}

/** For a caller who gets it thrown: each an error of its own. */
export function errorOf(why: NoAnswer): AamError {
  if ('failure' in why) return DcsError.from(why.failure);
  return new AamError('ERR_AAM_EVENT_DROPPED', 'Event not sent: too many events are waiting (dcs.maxQueuedEvents).');
}

/**
 * Owns: looking up many visitors from a source that may be endless: how many at a time and per second, and which failures
 * are waited out. Next: ordered-window.ts, which bounds how far the source is read ahead and keeps the order.
 */
import { Semaphore } from '../dcs/flow/semaphore';
import { DcsError, type DcsFailure } from '../dcs/protocol/dcs-error';
import { OPTIONS } from '../diagnosis/option-names';
import type { AamError } from '../errors';
import type { Visitor, VisitorId } from '../identity/visitor';
import { checkedVisitor } from '../identity/visitor';
import { assert, count, group, optional } from '../option-checks';
import type { ServedAnswer } from '../segments/served-answer';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import { isAbortSignal, onAbort } from './abort-signal';
import { type AnswerResolver, WITHOUT_REQUEST } from './answer-resolver';
import { OrderedWindow } from './ordered-window';

/** Options of `lookupMany()`. */
export interface LookupManyOptions {
  /** The most visitors looked up at a time. @default 16 */
  readonly concurrency?: number | undefined;
  /** The most calls per second; may be a fraction. @default no limit */
  readonly ratePerSecond?: number | undefined;
  /** Ends the iteration; `next()` rejects with the signal's reason. Calls in flight continue, their results are discarded. */
  readonly signal?: AbortSignal | undefined;
}

/** The result for one visitor: segments, or the error of the lookup. `visitor` is the same object that was given. */
export type LookupResult<V, Name extends string = string> =
  | { readonly visitor: V; readonly segments: VisitorSegments<Name>; readonly error: undefined }
  | { readonly visitor: V; readonly segments: undefined; readonly error: AamError };

/** Takes results down before they are lost. Internal, for the journal of the command line. */
export interface ResultRecorder<V, Name extends string = string> {
  /** Called with each result as soon as it is available. If it throws, the iteration ends with that error. */
  record(result: LookupResult<V, Name>): void;
  /** Called before other calls are made in the place of those whose results were recorded. */
  flush(): void;
}

const TAKER = 'lookupMany()';
/** Places in the window per concurrent call: room for results that are ready before their turn. */
const WINDOW_PER_CALL = 8;
/** How long an open breaker is waited out. After that its visitors get the error until the DCS answers again. */
const MAX_OUTAGE_MS = 60_000;
/** Bounds each wait, so that the end of {@link MAX_OUTAGE_MS} is noticed. */
const MAX_SLEEP_MS = 1_000;
/** Timers fire late. The rate makes up for delays up to this long. */
const CATCH_UP_MS = 20;

/**
 * The segments of many visitors, in the order in which they were given: what `client.lookupMany()` does.
 * @param recorder told of results out of order
 */
export async function* lookupMany<V extends VisitorId, Name extends string>(
  resolver: AnswerResolver,
  instance: Instance,
  visitors: AsyncIterable<V> | Iterable<V>,
  options: LookupManyOptions,
  recorder?: ResultRecorder<V, Name>,
): AsyncGenerator<LookupResult<V, Name>, void, undefined> {
  const { concurrency, ratePerSecond, signal } = checked(options);
  const pool = new LookupPool<Name>(resolver, instance, concurrency, ratePerSecond, () => {
    try {
      recorder?.flush();
    } catch (reason) {
      window.fail(reason);
    }
  });
  const window = new OrderedWindow<V, LookupResult<V, Name>>(
    visitors,
    concurrency * WINDOW_PER_CALL,
    (visitor, done) => pool.start(visitor, (answer) => done({ visitor, ...answer })),
    recorder && ((result) => recorder.record(result)),
  );
  const forgetSignal = signal && onAbort(signal, (reason) => window.fail(reason));
  try {
    signal?.throwIfAborted();
    for (;;) {
      const next = await window.next();
      if (next === undefined) return;
      // Without this a source without an end would bring an error for ever.
      if (next.error?.code === 'ERR_AAM_CLOSED') throw next.error;
      yield next;
    }
  } finally {
    forgetSignal?.();
    pool.end();
    await window.close();
  }
}

function checked(options: LookupManyOptions) {
  const given = group<LookupManyOptions>('options', options, OPTIONS[TAKER], TAKER);
  const { ratePerSecond } = given;
  const rule = 'a number above 0';
  assert(
    ratePerSecond === undefined || (typeof ratePerSecond === 'number' && ratePerSecond > 0),
    'options.ratePerSecond',
    rule,
    ratePerSecond,
  );
  return {
    concurrency: count('options.concurrency', given.concurrency, 16),
    ratePerSecond,
    signal: optional('options.signal', given.signal, 'an AbortSignal', isAbortSignal),
  };
}

type Answer<Name extends string> =
  | { readonly segments: VisitorSegments<Name>; readonly error: undefined }
  | { readonly segments: undefined; readonly error: AamError };

/** Looks up visitors within the concurrency and the rate, and retries while the DCS is temporarily unavailable. */
class LookupPool<Name extends string> {
  readonly #resolver: AnswerResolver;
  readonly #instance: Instance;
  readonly #semaphore: Semaphore;
  readonly #msPerCall: number;
  readonly #beforeNextCalls: () => void;
  /** By lookup: a visitor who occurs twice in the window is looked up once. */
  readonly #lookups = new Map<string, SharedLookup<Name>>();
  /** By region: when its circuit breaker was first found open. */
  readonly #outageSinceMs = new Map<number | undefined, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #nextCallAtMs = Number.NEGATIVE_INFINITY;
  /** Permits to be given back. */
  #freed = 0;
  #isEnded = false;

  constructor(
    resolver: AnswerResolver,
    instance: Instance,
    concurrency: number,
    ratePerSecond: number | undefined,
    beforeNextCalls: () => void,
  ) {
    this.#resolver = resolver;
    this.#instance = instance;
    this.#semaphore = new Semaphore(concurrency);
    this.#beforeNextCalls = beforeNextCalls;
    this.#msPerCall = ratePerSecond === undefined ? 0 : 1_000 / ratePerSecond;
  }

  /**
   * Looks up a visitor. `done` is called before another visitor is looked up in this one's place.
   * @returns to be called when the result is not needed for later occurrences of the same visitor any more
   */
  start(visitorId: VisitorId, done: (answer: Answer<Name>) => void): () => void {
    let visitor: Visitor;
    try {
      visitor = checkedVisitor(visitorId);
    } catch (error) {
      done({ segments: undefined, error: error as AamError });
      return () => {};
    }
    const key = this.#resolver.lookupKeyOf(visitor);
    const present = this.#lookups.get(key);
    if (present !== undefined) {
      if (present.answer === undefined) present.waiting.push(done);
      else done(present.answer());
      return () => {};
    }
    const lookup: SharedLookup<Name> = { waiting: [done], answer: undefined };
    this.#lookups.set(key, lookup);
    this.#semaphore.acquire(() => this.#atRate(() => this.#lookUp(visitor, lookup)));
    return () => this.#lookups.delete(key);
  }

  /** Nothing more is looked up. */
  end(): void {
    this.#isEnded = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #lookUp(visitor: Visitor, lookup: SharedLookup<Name>): void {
    if (this.#isEnded) return;
    const nowMs = this.#resolver.nowMs();
    const answer = this.#resolver.begin(visitor, undefined, WITHOUT_REQUEST, nowMs);
    if ('status' in answer) this.#finish(visitor, lookup, answer);
    else this.#resolver.settled(answer).then((served) => this.#finish(visitor, lookup, served));
  }

  #finish(visitor: Visitor, lookup: SharedLookup<Name>, served: ServedAnswer): void {
    const { failure } = served;
    if (served.status !== 'unknown' || failure === undefined) {
      this.#outageSinceMs.delete(visitor.region);
      const segments = new VisitorSegments<Name>(this.#instance, visitor, served);
      this.#report(lookup, () => ({ segments, error: undefined }));
    } else if (this.#isTemporary(failure, visitor)) {
      const waitMs = Math.min(Math.ceil(this.#resolver.retryInMs(visitor)), MAX_SLEEP_MS);
      this.#after(waitMs, () => this.#atRate(() => this.#lookUp(visitor, lookup)));
    } else {
      this.#report(lookup, () => ({ segments: undefined, error: DcsError.from(failure) }));
    }
  }

  #report(lookup: SharedLookup<Name>, answer: () => Answer<Name>): void {
    lookup.answer = answer;
    for (const done of lookup.waiting) done(answer());
    this.#freed++;
    if (this.#freed === 1) setImmediate(() => this.#release());
  }

  /**
   * Once per turn of the event loop: calls that begin together are written, sent and answered together, which takes half
   * the CPU time of as many calls one by one.
   */
  #release(): void {
    if (this.#isEnded) return;
    this.#beforeNextCalls();
    for (; this.#freed > 0; this.#freed--) this.#semaphore.release();
  }

  /** Calls back when the rate allows the next call. */
  #atRate(callback: () => void): void {
    if (this.#msPerCall === 0) {
      callback();
      return;
    }
    const nowMs = this.#resolver.nowMs();
    const atMs = Math.max(this.#nextCallAtMs, nowMs - CATCH_UP_MS);
    this.#nextCallAtMs = atMs + this.#msPerCall;
    this.#after(atMs - nowMs, callback);
  }

  #after(ms: number, callback: () => void): void {
    if (this.#isEnded) return;
    if (ms <= 0) {
      callback();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, ms);
    this.#timers.add(timer);
  }

  /** Whether to wait and retry: the call was not made, or the DCS turned it away unread. */
  #isTemporary({ reason }: DcsFailure, { region }: Visitor): boolean {
    switch (reason) {
      case 'rate-limited':
      case 'overloaded':
        return true;
      case 'circuit-open': {
        const nowMs = this.#resolver.nowMs();
        const sinceMs = this.#outageSinceMs.get(region) ?? nowMs;
        this.#outageSinceMs.set(region, sinceMs);
        return nowMs - sinceMs < MAX_OUTAGE_MS;
      }
      default:
        return false;
    }
  }
}

/** The lookup of one visitor, for each occurrence of the visitor in the window. */
interface SharedLookup<Name extends string> {
  readonly waiting: ((answer: Answer<Name>) => void)[];
  /** Makes one for each of them: an error belongs to one. `undefined` while the lookup is in progress. */
  answer: (() => Answer<Name>) | undefined;
}

/**
 * Owns: looking up many visitors from a source that may be endless: how many at a time and per second, and which failures
 * are waited out. Next: ordered-window.ts, which bounds how far the source is read ahead and keeps the order.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { bulkhead } from 'cockatiel';
import { DcsError } from '../dcs/protocol/dcs-error';
import type { AamError } from '../errors';
import type { Visitor, VisitorId } from '../identity/visitor';
import { checkedVisitor } from '../identity/visitor';
import { assert, count, group, optional } from '../option-checks';
import type { Instance, VisitorSegments } from '../segments/visitor-segments';
import type { AnswerResolver } from './answer-resolver';
import { lookupVisitor } from './lookup-visitor';
import { OrderedWindow, type StartedWork } from './ordered-window';

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
 * @param onResult called with each result as soon as it is available, before its turn in the order and before another call
 * is made in its place; if it throws, the iteration ends with that error
 */
export async function* lookupMany<V extends VisitorId, Name extends string>(
  resolver: AnswerResolver,
  instance: Instance,
  visitors: AsyncIterable<V> | Iterable<V>,
  options: LookupManyOptions,
  onResult?: (result: LookupResult<V, Name>) => void,
): AsyncGenerator<LookupResult<V, Name>, void, undefined> {
  const { concurrency, ratePerSecond, signal } = checked(options);
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const pool = new LookupPool<Name>(resolver, instance, concurrency, ratePerSecond, ended.signal);
  const window = new OrderedWindow(
    visitors,
    concurrency * WINDOW_PER_CALL,
    (visitor, report) => pool.start(visitor, report),
    onResult,
  );
  const onAbort = () => window.fail(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    for (;;) {
      const next = await window.next();
      if (next === undefined) return;
      yield next;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    const closing = window.close();
    ended.abort(new DcsError('closed', 'lookupMany() was ended.'));
    await closing;
  }
}

function checked(options: LookupManyOptions) {
  const given = group<LookupManyOptions>('options', options, { concurrency: true, ratePerSecond: true, signal: true });
  const { ratePerSecond } = given;
  const rule = 'a number above 0';
  assert(ratePerSecond === undefined || ratePerSecond > 0, 'options.ratePerSecond', rule, ratePerSecond);
  const isSignal = (value: unknown) => value instanceof AbortSignal;
  return {
    concurrency: count('options.concurrency', given.concurrency, 16),
    ratePerSecond,
    signal: optional('options.signal', given.signal, 'an AbortSignal', isSignal),
  };
}

type Answer<Name extends string> =
  | { readonly segments: VisitorSegments<Name>; readonly error: undefined }
  | { readonly segments: undefined; readonly error: AamError };

/** Looks up visitors within the concurrency and the rate, and retries while the DCS is temporarily unavailable. */
class LookupPool<Name extends string> {
  readonly #resolver: AnswerResolver;
  readonly #instance: Instance;
  readonly #ended: AbortSignal;
  readonly #bulkhead;
  readonly #msPerCall: number;
  /** By lookup: a visitor who occurs twice in the window is looked up once. */
  readonly #answers = new Map<string, Promise<Answer<Name>>>();
  /** By region: when its circuit breaker was first found open. */
  readonly #outageSinceMs = new Map<number | undefined, number>();
  #nextCallAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    resolver: AnswerResolver,
    instance: Instance,
    concurrency: number,
    ratePerSecond: number | undefined,
    ended: AbortSignal,
  ) {
    this.#resolver = resolver;
    this.#instance = instance;
    this.#ended = ended;
    this.#bulkhead = bulkhead(concurrency, Number.POSITIVE_INFINITY);
    this.#msPerCall = ratePerSecond === undefined ? 0 : 1_000 / ratePerSecond;
  }

  /**
   * Starts the lookup of a visitor; its result never rejects. `report` is called before another visitor is looked up in
   * this one's place, so that a caller who records results has recorded this one by then.
   */
  start<V extends VisitorId>(
    visitorId: V,
    report: (result: LookupResult<V, Name>) => void,
  ): StartedWork<LookupResult<V, Name>> {
    const resultOf = (answer: Answer<Name>): LookupResult<V, Name> => ({ visitor: visitorId, ...answer });
    let visitor: Visitor;
    try {
      visitor = checkedVisitor(visitorId);
    } catch (error) {
      const result = resultOf({ segments: undefined, error: error as AamError });
      report(result);
      return { result: Promise.resolve(result), release: () => {} };
    }
    const key = this.#resolver.lookupKeyOf(visitor);
    const pending = this.#answers.get(key);
    if (pending !== undefined) {
      const result = pending.then((answer) => {
        report(resultOf(answer));
        return resultOf(answer);
      });
      return { result, release: () => {} };
    }
    const lookup = this.#bulkhead.execute(async () => {
      const answer = await this.#lookUp(visitor);
      report(resultOf(answer));
      return answer;
    }, this.#ended);
    // Rejected when lookupMany() was ended while it was queued.
    const answer = lookup.catch((error: AamError): Answer<Name> => ({ segments: undefined, error }));
    this.#answers.set(key, answer);
    return { result: answer.then(resultOf), release: () => this.#answers.delete(key) };
  }

  async #lookUp(visitor: Visitor): Promise<Answer<Name>> {
    for (;;) {
      if (this.#msPerCall > 0) await this.#awaitRate();
      try {
        this.#ended.throwIfAborted();
        const segments = await lookupVisitor<Name>(this.#resolver, this.#instance, visitor as VisitorId, {});
        this.#outageSinceMs.delete(visitor.region);
        return { segments, error: undefined };
      } catch (error) {
        if (!this.#isTemporary(error, visitor)) return { segments: undefined, error: error as AamError };
        await this.#sleep(Math.min(Math.ceil(this.#resolver.retryInMs(visitor)), MAX_SLEEP_MS));
      }
    }
  }

  /** Resolves when the rate allows the next call. */
  async #awaitRate(): Promise<void> {
    const nowMs = this.#resolver.nowMs();
    const atMs = Math.max(this.#nextCallAtMs, nowMs - CATCH_UP_MS);
    this.#nextCallAtMs = atMs + this.#msPerCall;
    if (atMs > nowMs) await this.#sleep(atMs - nowMs);
  }

  /** Sleeps, at the longest until lookupMany() is ended. */
  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ended }).catch(() => {});
  }

  /** Whether to wait and retry: the call was not made, or the DCS turned it away unread. */
  #isTemporary(error: unknown, { region }: Visitor): boolean {
    if (!(error instanceof DcsError)) return false;
    switch (error.reason) {
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

/**
 * Owns: asking about many visitors, one after the other from a source that may be endless: how many at a time and per
 * second, and what is waited for instead of failing. Next: ordered-window.ts, which keeps their order and a window of them.
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
import { OrderedWindow, type Started } from './ordered-window';

/** How fast to ask about many. */
export interface LookupManyOptions<V = VisitorId, Name extends string = string> {
  /** Visitors who are asked about at a time. @default 16 */
  readonly concurrency?: number | undefined;
  /** Calls per second, at most. @default as many as the DCS answers */
  readonly ratePerSecond?: number | undefined;
  /** Told of each result as soon as it is there, before it is its turn and before another call is made. What it throws ends it. */
  readonly onResult?: ((result: LookupResult<V, Name>) => void) | undefined;
  /** Ends it with its own reason. Calls that are on their way are let go of. */
  readonly signal?: AbortSignal | undefined;
}

/** What became of one visitor: segments, or why there are none. `visitor` is the very object that was given. */
export type LookupResult<V, Name extends string = string> =
  | { readonly visitor: V; readonly segments: VisitorSegments<Name>; readonly error: undefined }
  | { readonly visitor: V; readonly segments: undefined; readonly error: AamError };

/** Beside those who are asked about now, so many others may wait for the answer of one who came before them. */
const WINDOW_PER_CALL = 8;
/** A DCS that fails is waited for. When it has failed for so long, its visitors fail until it answers again. */
const OUTAGE_PATIENCE_MS = 60_000;
/** So that a patience that is over is noticed. */
const LONGEST_NAP_MS = 1_000;
/** Timers are late. So much of it is made up for. */
const CATCH_UP_MS = 20;

/** The segments of many visitors, in the order in which they were given: what `client.lookupMany()` does. */
export async function* lookupMany<V extends VisitorId, Name extends string>(
  lookup: AnswerResolver,
  instance: Instance,
  visitors: AsyncIterable<V> | Iterable<V>,
  options: LookupManyOptions<V, Name>,
): AsyncGenerator<LookupResult<V, Name>, void, undefined> {
  const { concurrency, ratePerSecond, onResult, signal } = checked(options);
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const asking = new Asking<Name>(lookup, instance, concurrency, ratePerSecond, ended.signal);
  const window = new OrderedWindow(
    visitors,
    concurrency * WINDOW_PER_CALL,
    (visitor, tell) => asking.ask(visitor, tell),
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
    ended.abort(new DcsError('closed', 'nobody wants to know any more'));
    await closing;
  }
}

function checked<V, Name extends string>(options: LookupManyOptions<V, Name>) {
  const given = group<LookupManyOptions<V, Name>>('options', options, {
    concurrency: true,
    ratePerSecond: true,
    onResult: true,
    signal: true,
  });
  const { ratePerSecond } = given;
  const rule = 'a number above 0';
  assert(ratePerSecond === undefined || ratePerSecond > 0, 'options.ratePerSecond', rule, ratePerSecond);
  const isSignal = (value: unknown) => value instanceof AbortSignal;
  return {
    concurrency: count('options.concurrency', given.concurrency, 16),
    ratePerSecond,
    onResult: optional('options.onResult', given.onResult, 'a function', (value) => typeof value === 'function'),
    signal: optional('options.signal', given.signal, 'an AbortSignal', isSignal),
  };
}

type Answer<Name extends string> =
  | { readonly segments: VisitorSegments<Name>; readonly error: undefined }
  | { readonly segments: undefined; readonly error: AamError };

/** Asks about visitors, whoever they are, as fast as it may. */
class Asking<Name extends string> {
  readonly #lookup: AnswerResolver;
  readonly #instance: Instance;
  readonly #ended: AbortSignal;
  readonly #room;
  readonly #msPerCall: number;
  /** Who is in the window twice is asked about once. */
  readonly #answers = new Map<string, Promise<Answer<Name>>>();
  /** By region, since when no call was made because too many had failed. */
  readonly #outages = new Map<number | undefined, number>();
  #nextCallAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    lookup: AnswerResolver,
    instance: Instance,
    concurrency: number,
    ratePerSecond: number | undefined,
    ended: AbortSignal,
  ) {
    this.#lookup = lookup;
    this.#instance = instance;
    this.#ended = ended;
    this.#room = bulkhead(concurrency, Number.POSITIVE_INFINITY);
    this.#msPerCall = ratePerSecond === undefined ? 0 : 1_000 / ratePerSecond;
  }

  /**
   * Never rejects. `tell` is called before another visitor is asked about in this one's place, so that who writes results
   * down has written this one; `leave` is to be called when the answer has left the window.
   */
  ask<V extends VisitorId>(
    visitorId: V,
    tell: (result: LookupResult<V, Name>) => void,
  ): Started<LookupResult<V, Name>> {
    const resultOf = (answer: Answer<Name>): LookupResult<V, Name> => ({ visitor: visitorId, ...answer });
    let visitor: Visitor;
    try {
      visitor = checkedVisitor(visitorId);
    } catch (error) {
      const result = resultOf({ segments: undefined, error: error as AamError });
      tell(result);
      return { result: Promise.resolve(result), leave: () => {} };
    }
    const question = this.#lookup.questionKeyOf(visitor);
    const onItsWay = this.#answers.get(question);
    if (onItsWay !== undefined) {
      const result = onItsWay.then((answer) => {
        tell(resultOf(answer));
        return resultOf(answer);
      });
      return { result, leave: () => {} };
    }
    const asked = this.#room.execute(async () => {
      const answer = await this.#ask(visitor);
      tell(resultOf(answer));
      return answer;
    }, this.#ended);
    // Ended while it waited for its turn.
    const answer = asked.catch((error: AamError): Answer<Name> => ({ segments: undefined, error }));
    this.#answers.set(question, answer);
    return { result: answer.then(resultOf), leave: () => this.#answers.delete(question) };
  }

  async #ask(visitor: Visitor): Promise<Answer<Name>> {
    for (;;) {
      if (this.#msPerCall > 0) await this.#turn();
      try {
        this.#ended.throwIfAborted();
        const segments = await lookupVisitor<Name>(this.#lookup, this.#instance, visitor as VisitorId, {});
        this.#outages.delete(visitor.region);
        return { segments, error: undefined };
      } catch (error) {
        if (!this.#isWorthWaitingFor(error, visitor)) return { segments: undefined, error: error as AamError };
        const waitMs = this.#lookup.retryInMs(visitor);
        await sleep(Math.min(Math.ceil(waitMs), LONGEST_NAP_MS), undefined, { signal: this.#ended }).catch(() => {});
      }
    }
  }

  /** When the rate allows the next call. */
  async #turn(): Promise<void> {
    const nowMs = this.#lookup.nowMs();
    const atMs = Math.max(this.#nextCallAtMs, nowMs - CATCH_UP_MS);
    this.#nextCallAtMs = atMs + this.#msPerCall;
    if (atMs > nowMs) await sleep(atMs - nowMs, undefined, { signal: this.#ended }).catch(() => {});
  }

  #isWorthWaitingFor(error: unknown, { region }: Visitor): boolean {
    if (!(error instanceof DcsError)) return false;
    switch (error.reason) {
      case 'rate-limited':
      case 'overloaded':
        return true;
      case 'circuit-open': {
        const nowMs = this.#lookup.nowMs();
        const sinceMs = this.#outages.get(region) ?? nowMs;
        this.#outages.set(region, sinceMs);
        return nowMs - sinceMs < OUTAGE_PATIENCE_MS;
      }
      default:
        return false;
    }
  }
}

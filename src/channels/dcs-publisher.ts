/**
 * Owns: publishing what becomes of one instance's calls, events, breakers and shared store. They change in the middle of other changes, and
 * a subscriber may call back into the instance: so messages are published in a microtask, when all is consistent again. Only
 * the start of a call is published at once, since stores bound to it apply while the call is sent.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { breakerChannel, dcsCallChannel, eventChannel, sharedStoreChannel } from './channels';
import type { BreakerMessage, DcsCallMessage, EventMessage, SharedStoreMessage } from './messages';

type Unpublished<Message> = Omit<Message, 'instance'>;

export class DcsPublisher {
  readonly #instance: () => object;
  /** What becomes of a call is not the business of the request that happened to start it. */
  readonly #outsideOfRequests = AsyncLocalStorage.snapshot();
  #waiting: (() => void)[] = [];

  /** @param instance what the messages are about: it may be made later than its publisher */
  constructor(instance: () => object) {
    this.#instance = instance;
  }

  event(outcome: EventMessage['outcome']): void {
    if (!eventChannel.hasSubscribers) return;
    const message: EventMessage = { instance: this.#instance(), outcome };
    this.#later(() => eventChannel.publish(message));
  }

  /** @param details asked only if somebody has subscribed */
  breaker(details: () => Unpublished<BreakerMessage>): void {
    if (!breakerChannel.hasSubscribers) return;
    const message: BreakerMessage = { instance: this.#instance(), ...details() };
    this.#later(() => breakerChannel.publish(message));
  }

  sharedStore(status: SharedStoreMessage['status'], previous: SharedStoreMessage['previous']): void {
    if (!sharedStoreChannel.hasSubscribers) return;
    const message: SharedStoreMessage = { instance: this.#instance(), status, previous };
    this.#later(() => sharedStoreChannel.publish(message));
  }

  /** A call is about to be sent. `undefined` if nobody has subscribed: then nobody hears of its end either. */
  call(kind: DcsCallMessage['kind'], region: number | undefined, origin: URL, nowMs: () => number) {
    if (!dcsCallChannel.hasSubscribers) return undefined;
    const call = { instance: this.#instance(), kind, region, origin: origin.origin };
    return new CallTrace(call, nowMs, this.#outsideOfRequests, (publish) => this.#later(publish));
  }

  #later(publish: () => void): void {
    if (this.#waiting.push(publish) > 1) return;
    queueMicrotask(() => {
      const due = this.#waiting;
      this.#waiting = [];
      this.#outsideOfRequests(() => {
        // None of them throws: Node reports what a subscriber throws in the next tick.
        for (const each of due) each();
      });
    });
  }
}

/** The messages about one call, in the order of Node's own `tracePromise()`. */
export class CallTrace {
  readonly #message: { -readonly [Key in keyof DcsCallMessage]: DcsCallMessage[Key] };
  readonly #nowMs: () => number;
  readonly #startedAtMs: number;
  readonly #outsideOfRequests: ReturnType<typeof AsyncLocalStorage.snapshot>;
  readonly #later: (publish: () => void) => void;

  constructor(
    call: Pick<DcsCallMessage, 'instance' | 'kind' | 'region' | 'origin'>,
    nowMs: () => number,
    outsideOfRequests: ReturnType<typeof AsyncLocalStorage.snapshot>,
    later: (publish: () => void) => void,
  ) {
    const notYet = { outcome: undefined, reason: undefined, durationMs: undefined, error: undefined };
    this.#message = { ...call, attempts: 0, ...notYet };
    this.#nowMs = nowMs;
    this.#startedAtMs = nowMs();
    this.#outsideOfRequests = outsideOfRequests;
    this.#later = later;
  }

  send<T>(send: () => T): T {
    const { start, end } = dcsCallChannel;
    return this.#outsideOfRequests(() =>
      start.runStores(this.#message, () => {
        try {
          return send();
        } finally {
          end.publish(this.#message);
        }
      }),
    );
  }

  attempted(): void {
    this.#message.attempts++;
  }

  /** How it has ended; the first time counts. */
  settled(outcome: DcsCallMessage['outcome'], reason?: string, error?: () => Error): void {
    const message = this.#message;
    if (message.outcome !== undefined) return;
    message.outcome = outcome;
    message.reason = reason;
    message.durationMs = Math.round(this.#nowMs() - this.#startedAtMs);
    message.error = outcome === 'failure' ? error?.() : undefined;
  }

  released(): void {
    this.#later(() => {
      const { error, asyncStart, asyncEnd } = dcsCallChannel;
      if (this.#message.outcome === 'failure') error.publish(this.#message);
      asyncStart.publish(this.#message);
      asyncEnd.publish(this.#message);
    });
  }
}

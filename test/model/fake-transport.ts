/**
 * A transport without a network: the model answers, and says when sockets close. It keeps the contract of the real one:
 * the deadline settles a call with `timeout` and closes its socket; an aborted call is not settled; each is released once,
 * and last.
 */
import type { Exchange, ExchangeObserver, HttpAnswer, Outgoing, Transport } from '../../src/dcs/http-exchange';
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import { must } from './broken-rule';
import type { FakeClock } from './fake-clock';

export type WireResult = HttpAnswer | DcsFailure;

/** `open`, then `answered` while the rest of the answer is read, or `closing`; then `released`. */
export type ExchangePhase = 'open' | 'answered' | 'closing' | 'released';

/** What the model wants to know of the wire. */
export interface WireListener {
  sending(exchange: FakeExchange): void;
  /** For the first time, or again. */
  attempting(exchange: FakeExchange): void;
  /** Its result is about to be told. */
  settling(exchange: FakeExchange, result: WireResult): void;
  settled(exchange: FakeExchange): void;
  releasing(exchange: FakeExchange): void;
  /** A rule was broken where nobody would see it. */
  broken(error: unknown): void;
}

export interface FakeTransportConfig {
  readonly timeoutMs: number;
  /** Whether sockets that are being closed are closed at once, and not when the model says so. */
  readonly closesAtOnce: boolean;
}

export class FakeTransport implements Transport {
  readonly config: FakeTransportConfig;
  readonly clock: FakeClock;
  readonly listener: WireListener;
  /** The calls on the wire, in the order in which they were sent. */
  readonly onWire = new Set<FakeExchange>();
  /** The next call fails before `send()` returns. */
  isNextBroken = false;
  attempts = 0;
  #sent = 0;
  #allReleased: (() => void) | undefined;

  constructor(config: FakeTransportConfig, clock: FakeClock, listener: WireListener) {
    this.config = config;
    this.clock = clock;
    this.listener = listener;
  }

  send(outgoing: Outgoing, observer: ExchangeObserver): Exchange {
    const exchange = new FakeExchange(this, ++this.#sent, outgoing, observer);
    this.onWire.add(exchange);
    this.listener.sending(exchange);
    exchange.attempt();
    if (this.isNextBroken) {
      this.isNextBroken = false;
      exchange.fail(NETWORK);
    }
    return exchange;
  }

  destroy(failure: DcsFailure): Promise<void> {
    for (const exchange of [...this.onWire]) exchange.fail(failure);
    if (this.onWire.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#allReleased = resolve;
    });
  }

  released(exchange: FakeExchange): void {
    this.onWire.delete(exchange);
    if (this.onWire.size === 0) this.#allReleased?.();
  }
}

export class FakeExchange implements Exchange {
  readonly id: number;
  readonly outgoing: Outgoing;
  readonly sentAtMs: number;
  phase: ExchangePhase = 'open';
  isSettled = false;
  readonly #transport: FakeTransport;
  readonly #observer: ExchangeObserver;
  readonly #cancelDeadline: () => void;

  constructor(transport: FakeTransport, id: number, outgoing: Outgoing, observer: ExchangeObserver) {
    this.id = id;
    this.outgoing = outgoing;
    this.#transport = transport;
    this.#observer = observer;
    this.sentAtMs = transport.clock.nowMs();
    this.#cancelDeadline = transport.clock.after(transport.config.timeoutMs, () => this.fail(TIMEOUT));
  }

  get origin(): string {
    return this.outgoing.origin.origin;
  }

  /** It is sent, or sent again because the server was closing the connection. */
  attempt(): void {
    this.#transport.attempts++;
    this.#transport.listener.attempting(this);
    this.#observer.attempted();
  }

  /** @param isAll whether the answer has been read to its end, so that the connection is free again */
  answer(result: WireResult, isAll: boolean): void {
    this.phase = 'answered';
    this.#settle(result);
    if (isAll) this.release();
  }

  /** It fails, unless it has been answered, and its socket closes. */
  fail(failure: DcsFailure): void {
    this.#settle(failure);
    this.#close();
  }

  abort(): void {
    this.isSettled = true;
    this.#close();
  }

  /** Its connection is free, or closed. */
  release(): void {
    must(this.phase !== 'released', 'a connection is released once');
    this.phase = 'released';
    this.#cancelDeadline();
    this.#transport.released(this);
    this.#transport.listener.releasing(this);
    this.#observer.released();
  }

  #settle(result: WireResult): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#transport.listener.settling(this, result);
    this.#observer.settled(result);
    this.#transport.listener.settled(this);
  }

  #closed(): void {
    try {
      if (this.phase === 'closing') this.release();
    } catch (error) {
      this.#transport.listener.broken(error);
    }
  }

  #close(): void {
    if (this.phase === 'closing' || this.phase === 'released') return;
    this.phase = 'closing';
    if (this.#transport.config.closesAtOnce) queueMicrotask(() => this.#closed());
  }
}

const TIMEOUT: DcsFailure = { reason: 'timeout', message: 'timeout' };
const NETWORK: DcsFailure = { reason: 'network', message: 'network' };

import type { Exchange, ExchangeObserver, HttpAnswer, Outgoing, Transport } from '../../src/dcs/http-exchange';
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import { ANSWER } from './dcs-server';

/** A call on a wire that is the test's. */
export interface Sent {
  readonly outgoing: Outgoing;
  isAborted: boolean;
  /** Its answer comes, and its connection is free. */
  answer(result?: HttpAnswer | DcsFailure): void;
  settle(result?: HttpAnswer | DcsFailure): void;
  release(): void;
}

/** Sends nothing: the test answers. */
export class FakeTransport implements Transport {
  /** All calls so far. */
  readonly sent: Sent[] = [];
  /** Those that are on the wire. */
  readonly running = new Set<Sent>();

  send(outgoing: Outgoing, observer: ExchangeObserver): Exchange {
    observer.attempted();
    const sent: Sent = {
      outgoing,
      isAborted: false,
      answer(result) {
        this.settle(result);
        this.release();
      },
      settle: (result = { body: ANSWER, errorHeader: undefined }) => {
        if (!sent.isAborted) observer.settled(result);
      },
      release: () => {
        this.running.delete(sent);
        observer.released();
      },
    };
    this.sent.push(sent);
    this.running.add(sent);
    return {
      abort: () => {
        sent.isAborted = true;
      },
    };
  }

  async destroy(): Promise<void> {}
}

/**
 * Owns: the connections to the servers. Each carries one call at a time and is kept for the next one. Next:
 * http-exchange.ts, which sends calls through them.
 */
import { Client, type Dispatcher } from 'undici';
import type { Connector } from './connector';

/** What carries one call at a time. */
export interface Connection {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): unknown;
  /** Whether the connection has carried a call before: then the server may just be closing it. */
  readonly isKept: boolean;
  /** The call is over and the connection can carry another one. */
  release(): void;
  /** Closes the connection, whatever it is doing. Calls back when it is closed. */
  destroy(closed: () => void): void;
}

/** Where connections come from. */
export interface Connections {
  /** A kept connection to this origin, or a new one. */
  take(origin: URL): Connection;
  /** One that carries its first call. */
  takeNew(origin: URL): Connection;
  /** Closes all that are kept. */
  destroy(): Promise<void>;
}

/** Well under the minute after which load balancers commonly close; a server that says less is believed. */
const KEEP_ALIVE_MS = 20_000;

export class OwnConnections implements Connections {
  readonly #connector: Connector;
  readonly #maxKept: number;
  /** By origin; the one that was used last is used first, so that surplus ones grow old and close. */
  readonly #kept = new Map<string, OwnConnection[]>();
  readonly #open = new Set<OwnConnection>();
  #isDestroyed = false;

  /** @param maxKept connections that are kept for one origin while they carry no call */
  constructor(connector: Connector, maxKept: number) {
    this.#connector = connector;
    this.#maxKept = maxKept;
  }

  take(origin: URL): Connection {
    return this.#kept.get(origin.origin)?.pop() ?? this.takeNew(origin);
  }

  takeNew(origin: URL): Connection {
    const kept = this.#keptFor(origin.origin);
    const connection: OwnConnection = new OwnConnection(origin, this.#connector, {
      released: () => {
        if (this.#isDestroyed || kept.length >= this.#maxKept) connection.destroy(() => {});
        else kept.push(connection);
      },
      gone: () => {
        this.#open.delete(connection);
        const at = kept.indexOf(connection);
        if (at !== -1) kept.splice(at, 1);
      },
    });
    this.#open.add(connection);
    return connection;
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    await Promise.all([...this.#open].map((each) => new Promise<void>((closed) => each.destroy(closed))));
  }

  #keptFor(origin: string): OwnConnection[] {
    const present = this.#kept.get(origin);
    if (present !== undefined) return present;
    const kept: OwnConnection[] = [];
    this.#kept.set(origin, kept);
    return kept;
  }
}

interface ConnectionHost {
  released(): void;
  /** It carries no more calls. */
  gone(): void;
}

class OwnConnection implements Connection {
  readonly #host: ConnectionHost;
  readonly #client: Client;
  #cancelOpening: () => void = () => {};
  #isBusy = true;
  #isGone = false;
  isKept = false;

  constructor(origin: URL, connector: Connector, host: ConnectionHost) {
    this.#host = host;
    this.#client = new Client(origin, {
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The call's own deadline covers all of these; the client's timers have a resolution of half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        // A kept connection that has been closed is opened anew: that one is fresh.
        this.isKept = false;
        this.#cancelOpening = connector.open(options, callback);
      },
    });
    this.#client.on('disconnect', () => {
      if (!this.#isBusy) this.destroy(() => {});
    });
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#isBusy = true;
    this.#client.dispatch(options, handler);
  }

  release(): void {
    if (this.#isGone) return;
    this.#isBusy = false;
    this.isKept = true;
    this.#host.released();
  }

  destroy(closed: () => void): void {
    if (!this.#isGone) {
      this.#isGone = true;
      this.#host.gone();
      this.#cancelOpening();
    }
    this.#client.destroy(new Error('closed'), closed);
  }
}

/** What sends requests: an `Agent`, `ProxyAgent` or other dispatcher of undici 7 or later. */
export type DcsDispatcher = Pick<Dispatcher, 'dispatch'>;

/** Through a dispatcher of the site's own, which keeps its own connections. It is never closed here. */
export class ForeignConnections implements Connections {
  readonly #dispatcher: DcsDispatcher;

  constructor(dispatcher: DcsDispatcher) {
    this.#dispatcher = dispatcher;
  }

  take(origin: URL): Connection {
    return new ForeignConnection(this.#dispatcher, origin);
  }

  takeNew(origin: URL): Connection {
    return this.take(origin);
  }

  async destroy(): Promise<void> {}
}

class ForeignConnection implements Connection {
  readonly #dispatcher: DcsDispatcher;
  readonly #origin: URL;
  #controller: Dispatcher.DispatchController | undefined;
  #isDestroyed = false;
  /** Not known: so nothing is repeated. */
  readonly isKept = false;

  constructor(dispatcher: DcsDispatcher, origin: URL) {
    this.#dispatcher = dispatcher;
    this.#origin = origin;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#dispatcher.dispatch(
      { ...options, origin: this.#origin },
      {
        onRequestStart: (controller) => {
          this.#controller = controller;
          if (this.#isDestroyed) controller.abort(new Error('closed'));
        },
        onRequestUpgrade: (controller) => controller.abort(new Error('upgrade')),
        onResponseStart: (...args) => handler.onResponseStart?.(...args),
        onResponseData: (...args) => handler.onResponseData?.(...args),
        onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
        onResponseError: (...args) => handler.onResponseError?.(...args),
      },
    );
  }

  release(): void {}

  /** When its socket is closed is not known here. A call that waits for a connection ends when it gets one. */
  destroy(closed: () => void): void {
    this.#isDestroyed = true;
    this.#controller?.abort(new Error('closed'));
    queueMicrotask(closed);
  }
}

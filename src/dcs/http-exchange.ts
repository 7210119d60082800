/**
 * Owns: one call on the wire: its deadline, its one retry, and its answer, bounded in size and read as text. Who is called
 * about whom, when, and what the text means is not known here. Next: dcs-calls.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import {
  type Connection,
  type Connections,
  type DcsDispatcher,
  ForeignConnections,
  OwnConnections,
} from './connections';
import { Connector } from './connector';
import type { Clock } from './flow/clock';
import { Deadlines } from './flow/deadlines';
import type { DcsFailure } from './protocol/dcs-error';
import type { DcsRequest } from './protocol/request';

/** The resolved values that it needs. */
export interface HttpExchangeConfig {
  /** The site's own; never closed by us. */
  readonly dispatcher: DcsDispatcher | undefined;
  /** What goes into the Host header: it tells the DCS which partner is calling. */
  readonly partnerHost: string;
  /** Deadline of one call, from asking for a connection on. */
  readonly timeoutMs: number;
  /** Connections that are kept for each origin. */
  readonly connections: number;
}

/** An answer with HTTP status 200. */
export interface HttpAnswer {
  /** Empty where only the head was asked for. */
  readonly body: string;
  /** The header `X-Error`. */
  readonly errorHeader: string | undefined;
}

/** What is to be sent. */
export interface Outgoing {
  readonly origin: URL;
  readonly request: DcsRequest;
  /** Whether it does no harm when the DCS gets it twice. */
  readonly isRepeatable: boolean;
  /** Whether the body of the answer matters. */
  readonly readsBody: boolean;
}

/** Whoever sends is told what becomes of it. None of these may throw. */
export interface ExchangeObserver {
  /** It is sent, or sent again. */
  attempted(): void;
  /** Once, unless it was aborted before. */
  settled(result: HttpAnswer | DcsFailure): void;
  /** Once, and last: its connection is free again, or closed. */
  released(): void;
}

/** A call on the wire. */
export interface Exchange {
  /** Ends it without a result. It is over when its connection has closed: until then the server may be working on it. */
  abort(): void;
}

/** What sends calls. The tests of flow control have one without a network. */
export interface Transport {
  send(outgoing: Outgoing, observer: ExchangeObserver): Exchange;
  /** Closes all connections. Calls on the wire end with `failure`. */
  destroy(failure: DcsFailure): Promise<void>;
}

const FORM = 'application/x-www-form-urlencoded';
const MAX_REPLY_BYTES = 262_144;
/** Of an answer that is not read, this much is drained to keep the connection; beyond it the connection is closed. */
const MAX_DRAINED_BYTES = 16_384;

export class HttpTransport implements Transport {
  readonly #connections: Connections;
  readonly #deadlines: Deadlines;
  readonly #timeoutMs: number;
  readonly #headers: readonly string[];
  readonly #formHeaders: readonly string[];
  readonly #running = new Set<HttpExchange>();

  constructor(config: HttpExchangeConfig, clock: Clock) {
    const { dispatcher, partnerHost, timeoutMs, connections } = config;
    this.#connections =
      dispatcher === undefined
        ? new OwnConnections(new Connector(timeoutMs), connections)
        : new ForeignConnections(dispatcher);
    this.#deadlines = new Deadlines(timeoutMs, clock);
    this.#timeoutMs = timeoutMs;
    // fetch() would silently send the host of the URL instead.
    this.#headers = ['host', partnerHost];
    this.#formHeaders = [...this.#headers, 'content-type', FORM];
  }

  send(outgoing: Outgoing, observer: ExchangeObserver): Exchange {
    const { method, path, body } = outgoing.request;
    const exchange = new HttpExchange(
      this.#connections,
      outgoing,
      {
        path,
        method,
        headers: (body === undefined ? this.#headers : this.#formHeaders) as string[],
        body: body ?? null,
      },
      {
        attempted: () => observer.attempted(),
        settled: (result) => observer.settled(result),
        released: () => {
          this.#deadlines.clear(deadline);
          this.#running.delete(exchange);
          observer.released();
        },
      },
    );
    const deadline = this.#deadlines.set(() => {
      exchange.fail({ reason: 'timeout', message: `The DCS did not answer within ${this.#timeoutMs} ms.` });
    });
    this.#running.add(exchange);
    exchange.start();
    return exchange;
  }

  async destroy(failure: DcsFailure): Promise<void> {
    for (const exchange of this.#running) exchange.fail(failure);
    await this.#connections.destroy();
  }
}

/** Handles the events of undici for one call, so that a call takes one object and no stream. */
class HttpExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #connections: Connections;
  readonly #outgoing: Outgoing;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #observer: ExchangeObserver;
  #connection: Connection | undefined;
  #hasAnswer = false;
  #isSettled = false;
  #isOver = false;
  #errorHeader: string | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    connections: Connections,
    outgoing: Outgoing,
    options: Dispatcher.DispatchOptions,
    observer: ExchangeObserver,
  ) {
    this.#connections = connections;
    this.#outgoing = outgoing;
    this.#options = options;
    this.#observer = observer;
  }

  start(): void {
    this.#attempt(this.#connections.take(this.#outgoing.origin));
  }

  abort(): void {
    this.#isSettled = true;
    this.#close();
  }

  /** Ends it with a failure, where it has no result yet. */
  fail(failure: DcsFailure): void {
    this.#settle(failure);
    this.#close();
  }

  onRequestStart(): void {}

  /** The first byte of an answer has come. */
  onResponseStarted(): void {
    this.#hasAnswer = true;
  }

  onResponseStart(_controller: unknown, statusCode: number, headers: IncomingHttpHeaders): void {
    this.#hasAnswer = true;
    // Interim answers, such as 103 Early Hints.
    if (statusCode < 200) return;
    const failure = failureOfHead(statusCode, headers);
    this.#errorHeader = single(headers['x-error']);
    if (failure !== undefined) this.#settle(failure);
    else if (!this.#outgoing.readsBody) this.#settle({ body: '', errorHeader: this.#errorHeader });
    if (this.#isSettled && Number(headers['content-length'] ?? 0) > MAX_DRAINED_BYTES) this.#close();
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#isSettled) {
      if (this.#bytes > MAX_DRAINED_BYTES) this.#close();
    } else if (this.#bytes > MAX_REPLY_BYTES) {
      this.fail({ reason: 'bad-reply', message: `The DCS answered with more than ${MAX_REPLY_BYTES} bytes.` });
    } else {
      this.#chunks.push(chunk);
    }
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    const { length } = this.#chunks;
    const body = length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#isOver = true;
    this.#connection?.release();
    this.#settle({ body: body.toString('utf8'), errorHeader: this.#errorHeader });
    this.#observer.released();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#isOver) return;
    // Nearly always the server was closing a kept connection and has not read the call. Nearly: so nothing is repeated
    // that must not arrive twice.
    const isStaleConnection = this.#connection?.isKept === true && !this.#hasAnswer && !this.#isSettled;
    if (isStaleConnection && this.#outgoing.isRepeatable) {
      this.#connection?.destroy(() => {});
      this.#attempt(this.#connections.takeNew(this.#outgoing.origin));
      return;
    }
    this.fail({ reason: 'network', message: `The call to the DCS failed: ${codeOf(error)}.` });
  }

  #attempt(connection: Connection): void {
    this.#connection = connection;
    this.#observer.attempted();
    try {
      connection.dispatch(this.#options, this);
    } catch (error) {
      this.onResponseError(undefined, error as Error);
    }
  }

  #settle(result: HttpAnswer | DcsFailure): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#chunks = [];
    this.#observer.settled(result);
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#chunks = [];
    const closed = () => this.#observer.released();
    if (this.#connection === undefined) queueMicrotask(closed);
    else this.#connection.destroy(closed);
  }
}

/** Why the body of an answer is not even looked at. */
function failureOfHead(statusCode: number, headers: IncomingHttpHeaders): DcsFailure | undefined {
  if (statusCode === 429) {
    const retryAfterMs = retryAfterMsOf(single(headers['retry-after']));
    return { reason: 'rate-limited', message: 'The DCS answered with HTTP 429.', retryAfterMs };
  }
  if (statusCode !== 200) return { reason: 'http-status', message: `The DCS answered with HTTP ${statusCode}.` };
  if (/^(?:identity)?$/i.test(single(headers['content-encoding']) ?? '')) return undefined;
  return { reason: 'bad-reply', message: 'The DCS answered with a content encoding that was not requested.' };
}

/** Seconds or a date, as HTTP has it; undefined for what is neither, or is over. */
function retryAfterMsOf(text = ''): number | undefined {
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return waitMs > 0 ? waitMs : undefined;
}

/** The parser's errors come without a code. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : (name ?? 'unknown');
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value.join(',') : value;
}

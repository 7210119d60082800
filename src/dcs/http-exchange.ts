/**
 * Owns: the sockets. One call on a kept-alive pool, its one retry, and its answer, bounded in size and read as text. Who is
 * asked about, when, and what the text means is not known here. Next: dcs-calls.ts.
 */
import { Agent, type Dispatcher } from 'undici';
import { Connector } from './connector';
import { DcsError } from './protocol/dcs-error';
import type { DcsRequest } from './protocol/request';

/** What sends requests: an Agent, ProxyAgent or other dispatcher of undici. */
export type DcsDispatcher = Pick<Dispatcher, 'request'>;

/** The resolved values that it needs. */
export interface HttpExchangeConfig {
  /** The site's own; never closed by us. */
  readonly dispatcher: DcsDispatcher | undefined;
  /** What goes into the Host header: it tells the DCS which partner is calling. */
  readonly partnerHost: string;
  /** Deadline of one call. */
  readonly timeoutMs: number;
  /** Sockets per origin. */
  readonly connections: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** What is sent, and how its answer is read. */
export interface Exchange<T> {
  readonly request: (origin: URL) => DcsRequest;
  /** Whether it does no harm when the DCS gets it twice. */
  readonly isRepeatable: boolean;
  readonly read: (response: HttpResponse) => Promise<T> | T;
}

/** An answer with HTTP status 200. */
export interface HttpResponse {
  /** The header `X-Error`. */
  readonly errorHeader: string | undefined;
  /** The body, at most 256 KB. */
  text(): Promise<string>;
  /** Instead of {@link text}, where the body does not matter. */
  discard(): void;
}

const FORM = 'application/x-www-form-urlencoded';
const MAX_REPLY_BYTES = 262_144;
/** Of an answer that will not be read: so much is drained to keep the socket, beyond it the socket goes. */
const MAX_DRAINED_BYTES = 16_384;
/** Well under the minute after which load balancers commonly close; a server that says less is believed. */
const KEEP_ALIVE_MS = 20_000;

export class HttpExchange {
  readonly #config: HttpExchangeConfig;
  readonly #connector: Connector;
  readonly #agent: Agent;
  readonly #dispatcher: DcsDispatcher;
  #calls = 0;

  constructor(config: HttpExchangeConfig) {
    this.#config = config;
    this.#connector = new Connector(config.timeoutMs, config.nowMs);
    this.#agent = new Agent({
      connections: config.connections,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The call's own deadline covers all of these; the pool's timers have a resolution of half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connector.connect,
    });
    // Whether a socket was a kept-alive one is known of our own only: with the site's dispatcher nothing is repeated.
    this.#dispatcher = config.dispatcher ?? this.#agent.compose(noting);
  }

  /** Requests sent since construction. */
  get calls(): number {
    return this.#calls;
  }

  /** Closes all sockets, those that are still opening too. */
  async destroy(reason: Error): Promise<void> {
    const destroyed = this.#agent.destroy();
    this.#connector.destroy(reason);
    await destroyed;
  }

  /**
   * One call; a second one only where the first has met a kept-alive socket that the server was closing, and no byte of
   * an answer has come: nearly always the server has not read it. Nearly: so never of what must not arrive twice. Both
   * have the one deadline.
   */
  async send<T>(origin: URL, call: Exchange<T>, signal: AbortSignal): Promise<T> {
    const startedAtMs = this.#config.nowMs();
    const attempt: Attempt = { hasAnswer: false };
    try {
      return await this.#ask(origin, call, signal, attempt);
    } catch (error) {
      const isStaleSocket = !attempt.hasAnswer && this.#connector.isOfSocketOpenBefore(error, startedAtMs);
      if (!call.isRepeatable || !isStaleSocket || signal.aborted) throw error;
      return this.#ask(origin, call, signal, attempt);
    }
  }

  async #ask<T>(origin: URL, { request, read }: Exchange<T>, signal: AbortSignal, attempt: Attempt): Promise<T> {
    this.#calls++;
    const { nowMs, partnerHost, timeoutMs } = this.#config;
    const startedAtMs = nowMs();
    const { method, path, body } = request(origin);
    const options: Noted<Dispatcher.RequestOptions> = {
      origin,
      path,
      method,
      // fetch() would silently send the host of the URL instead.
      headers: body === undefined ? { host: partnerHost } : { host: partnerHost, 'content-type': FORM },
      body: body ?? null,
      signal,
      [ATTEMPT]: attempt,
    };
    const response = await this.#dispatcher.request(options);
    const refusal = refusalOfHead(response);
    if (refusal !== undefined) {
      drain(response.body, timeoutMs - (nowMs() - startedAtMs));
      throw refusal;
    }
    const { body: answer } = response;
    return read({
      errorHeader: single(response.headers['x-error']),
      text: () => readText(answer),
      discard: () => drain(answer, timeoutMs),
    });
  }
}

interface Attempt {
  /** The first byte of an answer has come. */
  hasAnswer: boolean;
}

/** In the options of a request, where nobody else looks for it. */
const ATTEMPT = Symbol('attempt');
type Noted<Options> = Options & { readonly [ATTEMPT]?: Attempt };

/** Notes in an attempt that its answer has begun. */
const noting: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { [ATTEMPT]: attempt } = options as Noted<Dispatcher.DispatchOptions>;
  const onResponseStarted = () => {
    if (attempt !== undefined) attempt.hasAnswer = true;
  };
  return dispatch(options, Object.assign(handler, { onResponseStarted }));
};

/** Why the body of an answer is not even looked at. */
function refusalOfHead({ statusCode, headers }: Dispatcher.ResponseData): DcsError | undefined {
  if (statusCode !== 200) {
    const message = `the DCS answered HTTP ${statusCode}`;
    if (statusCode !== 429) return new DcsError('http-status', message);
    return new DcsError('rate-limited', message, { retryAfterMs: retryAfterMsOf(single(headers['retry-after'])) });
  }
  if (/^(?:identity)?$/i.test(single(headers['content-encoding']) ?? '')) return undefined;
  return new DcsError('bad-reply', 'the DCS answered with a content encoding that was not asked for');
}

/** Seconds or a date, as HTTP has it; undefined for what is neither, or is over. */
function retryAfterMsOf(text = ''): number | undefined {
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return waitMs > 0 ? waitMs : undefined;
}

/** By events: an iterator of the stream costs as much as all the rest of reading. */
function readText(body: Dispatcher.ResponseData['body']): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk);
      // And with it the socket.
      else body.destroy(new DcsError('bad-reply', `the DCS answered more than ${MAX_REPLY_BYTES} bytes`));
    });
    body.on('error', reject);
    body.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    body.once('close', () => {
      if (!body.readableEnded) reject(new DcsError('network', 'the answer of the DCS broke off'));
    });
  });
}

/**
 * In the background: what it leads to is known, nobody waits for the rest. It has what is left of the call's time.
 * (Not `body.destroy()`: for an answer that has arrived as a whole, that is an `error` event that nobody listens to.)
 */
function drain(body: Dispatcher.ResponseData['body'], leftMs: number): void {
  const signal = AbortSignal.timeout(Math.max(0, Math.ceil(leftMs)));
  body.dump({ limit: MAX_DRAINED_BYTES, signal }).catch(() => {});
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

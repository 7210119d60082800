/**
 * Owns: the sockets. One HTTP exchange on a keep-alive pool: the request, its single retry, and the answer as text of
 * bounded size. Visitors, timing and the meaning of the text are not known here. Next: dcs-calls.ts.
 */
import { Agent, type Dispatcher } from 'undici';
import { Connector } from './connector';
import { DcsError } from './protocol/dcs-error';
import type { DcsRequest } from './protocol/request';

/** What sends the requests: an `Agent`, `ProxyAgent` or other dispatcher of undici. */
export type DcsDispatcher = Pick<Dispatcher, 'request'>;

/** The resolved values that it needs. */
export interface HttpExchangeConfig {
  /** The site's own dispatcher, which we never close; `undefined` for ours. */
  readonly dispatcher: DcsDispatcher | undefined;
  /** The Host header, by which the DCS identifies the partner. */
  readonly partnerHost: string;
  /** Deadline of one call, its retry included. */
  readonly timeoutMs: number;
  /** Sockets per origin. */
  readonly connections: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** A request and the parser of its answer. */
export interface Exchange<T> {
  readonly request: (origin: URL) => DcsRequest;
  /** Whether the DCS may receive it twice without harm. */
  readonly isRepeatable: boolean;
  readonly read: (response: HttpResponse) => Promise<T> | T;
}

/** An answer with HTTP status 200. */
export interface HttpResponse {
  /** The header `X-Error`. */
  readonly errorHeader: string | undefined;
  /** The body, at most 256 KB. */
  text(): Promise<string>;
  /** Call this instead of {@link text} when the body does not matter. */
  discard(): void;
}

const FORM = 'application/x-www-form-urlencoded';
const MAX_REPLY_BYTES = 262_144;
/** Unread answers up to this size are drained to keep the socket; with longer ones the socket is closed. */
const MAX_DRAINED_BYTES = 16_384;
/** Well below the minute after which load balancers commonly close idle sockets. A shorter time from the server wins. */
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
      // Covered by the deadline of the call; the pool's timers have a resolution of half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connector.connect,
    });
    // Only our own connector knows whether a socket was a kept-alive one: with the site's dispatcher nothing is retried.
    this.#dispatcher = config.dispatcher ?? this.#agent.compose(recordAnswerStart);
  }

  /** Requests sent since construction. */
  get calls(): number {
    return this.#calls;
  }

  /** Closes all sockets, including those still opening. */
  async destroy(reason: Error): Promise<void> {
    const destroyed = this.#agent.destroy();
    this.#connector.destroy(reason);
    await destroyed;
  }

  /**
   * One call. It is retried once when it met a kept-alive socket that the server was closing and no byte of an answer had
   * arrived: the server has almost certainly not read it. Almost, so only repeatable calls are retried. The deadline covers
   * both attempts.
   */
  async send<T>(origin: URL, call: Exchange<T>, signal: AbortSignal): Promise<T> {
    const startedAtMs = this.#config.nowMs();
    const attempt: Attempt = { hasAnswerStarted: false };
    try {
      return await this.#ask(origin, call, signal, attempt);
    } catch (error) {
      const isStaleSocket = !attempt.hasAnswerStarted && this.#connector.isOfSocketOpenBefore(error, startedAtMs);
      if (!call.isRepeatable || !isStaleSocket || signal.aborted) throw error;
      return this.#ask(origin, call, signal, attempt);
    }
  }

  async #ask<T>(origin: URL, { request, read }: Exchange<T>, signal: AbortSignal, attempt: Attempt): Promise<T> {
    this.#calls++;
    const { nowMs, partnerHost, timeoutMs } = this.#config;
    const startedAtMs = nowMs();
    const { method, path, body } = request(origin);
    const options: WithAttempt<Dispatcher.RequestOptions> = {
      origin,
      path,
      method,
      // Not fetch(), which silently sends the host of the URL instead.
      headers: body === undefined ? { host: partnerHost } : { host: partnerHost, 'content-type': FORM },
      body: body ?? null,
      signal,
      [ATTEMPT]: attempt,
    };
    const response = await this.#dispatcher.request(options);
    const headError = errorOfHead(response);
    if (headError !== undefined) {
      drain(response.body, timeoutMs - (nowMs() - startedAtMs));
      throw headError;
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
  /** Whether the first byte of an answer has arrived. */
  hasAnswerStarted: boolean;
}

/** Carries the attempt through undici in the options of its request. */
const ATTEMPT = Symbol('attempt');
type WithAttempt<Options> = Options & { readonly [ATTEMPT]?: Attempt };

const recordAnswerStart: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { [ATTEMPT]: attempt } = options as WithAttempt<Dispatcher.DispatchOptions>;
  const onResponseStarted = () => {
    if (attempt !== undefined) attempt.hasAnswerStarted = true;
  };
  return dispatch(options, Object.assign(handler, { onResponseStarted }));
};

/** The error that status and headers show; the body is not read then. */
function errorOfHead({ statusCode, headers }: Dispatcher.ResponseData): DcsError | undefined {
  if (statusCode !== 200) {
    const message = `The DCS answered with HTTP ${statusCode}.`;
    if (statusCode !== 429) return new DcsError('http-status', message);
    return new DcsError('rate-limited', message, { retryAfterMs: retryAfterMsOf(single(headers['retry-after'])) });
  }
  if (/^(?:identity)?$/i.test(single(headers['content-encoding']) ?? '')) return undefined;
  return new DcsError('bad-reply', 'The DCS answered with a content encoding that was not requested.');
}

/** The header holds seconds or a date; `undefined` for anything else, and for a date in the past. */
function retryAfterMsOf(text = ''): number | undefined {
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return waitMs > 0 ? waitMs : undefined;
}

/** By events, because an async iterator would double the cost of reading. */
function readText(body: Dispatcher.ResponseData['body']): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk);
      // Destroys the socket too.
      else body.destroy(new DcsError('bad-reply', `The DCS answered with more than ${MAX_REPLY_BYTES} bytes.`));
    });
    body.on('error', reject);
    body.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    body.once('close', () => {
      if (!body.readableEnded)
        reject(new DcsError('network', 'The connection to the DCS closed before the answer was complete.'));
    });
  });
}

/**
 * Reads the rest of a body in the background, within the remaining time of the call, so that the socket can be reused.
 * (Not `body.destroy()`, which emits an unhandled `error` event when the answer has already arrived completely.)
 */
function drain(body: Dispatcher.ResponseData['body'], leftMs: number): void {
  const signal = AbortSignal.timeout(Math.max(0, Math.ceil(leftMs)));
  body.dump({ limit: MAX_DRAINED_BYTES, signal }).catch(() => {});
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

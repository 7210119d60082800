/**
 * Owns: the sockets. A lookup, an event or an opt-out is one call with one deadline on a kept-alive pool; its answer is
 * bounded in size and read by reply.ts. Whatever goes wrong becomes a {@link DcsError} with a reason. Who asks, how long they wait and what
 * is remembered is not known here.
 */
import { Agent, type Dispatcher } from 'undici';
import type { Visitor } from '../identity/visitor';
import { Connector } from './connector';
import { EventQueue, type EventQueueConfig, type EventStats } from './flow/event-queue';
import { OriginGate, type OriginGateConfig, type OriginStats } from './flow/origin-gate';
import { VisitorLane } from './flow/visitor-lane';
import { DcsError } from './protocol/dcs-error';
import type { Exclusion } from './protocol/error-codes';
import type { Regions } from './protocol/regions';
import { type DcsReply, replyFromBody, replyToOptOut } from './protocol/reply';
import { type DcsRequest, type Question, RequestWriter, type SegmentIds } from './protocol/request';

/** What sends requests: an Agent, ProxyAgent or other dispatcher of undici. */
export type DcsDispatcher = Pick<Dispatcher, 'request'>;

/** The resolved values that calling needs. */
export interface DcsCallsConfig extends OriginGateConfig, EventQueueConfig {
  /** The site's own; never closed by us. */
  readonly dispatcher: DcsDispatcher | undefined;
  readonly orgId: string;
  /** What goes into the Host header: it tells the DCS which partner is calling. */
  readonly partnerHost: string;
  readonly regions: Regions;
  readonly segmentIds: SegmentIds;
  readonly timeoutMs: number;
  /** Whether visitors of a region whose breaker is not closed are asked about at the default origin. */
  readonly failover: boolean;
  readonly failureCooldownMs: number;
  readonly noDataIntervalMs: number;
}

/** What may be different from call to call. */
interface Call<T> {
  /** Whose region is asked; of nobody: the default origin. */
  readonly visitor: Visitor;
  readonly request: (origin: URL) => DcsRequest;
  /** Whether it does no harm when the DCS gets it twice. */
  readonly isRepeatable: boolean;
  readonly read: (response: Dispatcher.ResponseData) => Promise<T>;
}

const FORM = 'application/x-www-form-urlencoded';
const MAX_REPLY_BYTES = 262_144;
/** Of an answer that will not be read: so much is drained to keep the socket, beyond it the socket goes. */
const MAX_DRAINED_BYTES = 16_384;
/** Well under the minute after which load balancers commonly close; a server that says less is believed. */
const KEEP_ALIVE_MS = 20_000;

/** What became of the calls, and how the servers are. No identifiers. */
export interface DcsStats {
  /** Calls made to the DCS. */
  readonly calls: number;
  /** Calls that are running or waiting for their turn. */
  readonly inFlight: number;
  /** The state of each server that was asked, by origin. */
  readonly origins: Readonly<Record<string, OriginStats>>;
  /** What became of the events. */
  readonly events: EventStats;
}

/** All that anybody needs of the DCS. Visitors are told apart by their cache key. */
export interface Dcs {
  /**
   * Asks the DCS of the visitor's region, or joins the call that asks the same and is already running.
   * @throws {DcsError} by rejection
   */
  lookup(key: string, question: Question): Promise<DcsReply>;
  /**
   * Tells the DCS of the visitor's region something, after all that was asked and told before.
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  sendEvent(key: string, question: Question): Promise<DcsReply>;
  /**
   * Has the DCS opt the visitor out, for good. Events that wait to be sent for this visitor are dropped.
   * @throws {DcsError} by rejection
   */
  optOut(key: string, visitor: Visitor): Promise<void>;
  /** Ends all calls about a visitor with this reason: nothing more is sent, and connections in use are closed. */
  abandon(key: string, reason: Exclusion): void;
  /** Why a lookup of this visitor would fail at once, without a call. */
  unavailableReason(key: string, visitor: Visitor): DcsError | undefined;
  /** Whether a lookup of this visitor would probe a server that was failing: not something to wait for. */
  isProbe(visitor: Visitor): boolean;
  /** Milliseconds until a call about this visitor may be made; 0 if one may be made now. */
  retryInMs(key: string, visitor: Visitor): number;
  stats(): DcsStats;
  /**
   * Ends running lookups with `closed` and frees sockets and timers. Waiting events have as long as one call may take to
   * be sent. Can be called twice.
   */
  close(): Promise<void>;
}

export class DcsCalls implements Dcs {
  readonly #config: DcsCallsConfig;
  readonly #lane: VisitorLane;
  readonly #gates = new Map<string, OriginGate>();
  /** The same, without writing out the origin: that takes longer than all the rest of finding it. */
  readonly #gateByUrl = new WeakMap<URL, OriginGate>();
  readonly #connector: Connector;
  readonly #agent: Agent;
  readonly #dispatcher: DcsDispatcher;
  readonly #writer: RequestWriter;
  readonly #events: EventQueue;
  #calls = 0;
  #closing: Promise<void> | undefined;

  constructor(config: DcsCallsConfig) {
    this.#config = config;
    this.#lane = new VisitorLane(config);
    this.#events = new EventQueue(config, this.#lane);
    this.#writer = new RequestWriter(config.orgId, config.segmentIds);
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

  stats(): DcsStats {
    return {
      calls: this.#calls,
      inFlight: this.#lane.size,
      origins: Object.fromEntries([...this.#gates].map(([origin, gate]) => [origin, gate.stats()])),
      events: this.#events.stats(),
    };
  }

  unavailableReason(key: string, visitor: Visitor): DcsError | undefined {
    if (this.#closing !== undefined) return closedError();
    return this.#lane.unavailableReason(key) ?? this.#gateOf(this.#originFor(visitor)).unavailableReason();
  }

  isProbe(visitor: Visitor): boolean {
    return this.#gateOf(this.#originFor(visitor)).isBroken;
  }

  retryInMs(key: string, visitor: Visitor): number {
    return Math.max(this.#lane.cooldownMs(key), this.#gateOf(this.#originFor(visitor)).retryInMs());
  }

  lookup(key: string, question: Question): Promise<DcsReply> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    return this.#lane.lookup(key, question.variant, (controller) => this.#call(this.#callFor(question), controller));
  }

  async sendEvent(key: string, question: Question): Promise<DcsReply> {
    if (this.#closing !== undefined) throw closedError();
    const call = this.#callFor(question);
    // Too large, it is refused before it waits for its turn.
    call.request(this.#originFor(question.visitor));
    return this.#events.send(
      key,
      (controller) => this.#call(call, controller),
      () => this.#gateOf(this.#originFor(question.visitor)).retryInMs(),
    );
  }

  async optOut(key: string, visitor: Visitor): Promise<void> {
    if (this.#closing !== undefined) throw closedError();
    this.abandon(key, 'opted-out');
    await this.#lane.event(key, (controller) =>
      this.#call(
        {
          visitor: {},
          request: () => this.#writer.optOutRequest(visitor),
          isRepeatable: true,
          read: async ({ headers, body }) => {
            drain(body, this.#config.timeoutMs);
            return replyToOptOut(single(headers['x-error']));
          },
        },
        controller,
      ),
    ).reply;
  }

  abandon(key: string, reason: Exclusion): void {
    this.#lane.abandon(key, new DcsError(reason, 'the visitor does not agree any more'));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#lane.abandonLookups(closedError());
    await this.#events.settled(this.#config.timeoutMs);
    this.#lane.abandonAll(closedError());
    const destroyed = this.#agent.destroy();
    this.#connector.destroy(closedError());
    await destroyed;
  }

  /**
   * Where to ask about a visitor. The DCS of any region answers for any visitor, only more slowly: so the default origin
   * stands in for a region, but only as long as the region's breaker lets nobody through.
   */
  #originFor(visitor: Visitor): URL {
    const { regions, failover } = this.#config;
    const origin = regions.originOf(visitor.region);
    const standIn = regions.originOf(undefined);
    const isNeeded = failover && this.#gateOf(origin).unavailableReason()?.reason === 'circuit-open';
    return isNeeded && this.#gateOf(standIn).unavailableReason() === undefined ? standIn : origin;
  }

  #gateOf(url: URL): OriginGate {
    const present = this.#gateByUrl.get(url);
    if (present !== undefined) return present;
    const gate = this.#gates.get(url.origin) ?? new OriginGate(this.#config);
    this.#gates.set(url.origin, gate);
    this.#gateByUrl.set(url, gate);
    return gate;
  }

  #callFor(question: Question): Call<DcsReply> {
    return {
      visitor: question.visitor,
      request: ({ origin }) => this.#writer.eventRequest(question, origin),
      isRepeatable: question.signals === '',
      read: async ({ headers, body }) => replyFromBody(await readText(body), single(headers['x-error'])),
    };
  }

  async #call<T>(call: Call<T>, controller: AbortController): Promise<T> {
    const { timeoutMs } = this.#config;
    const origin = this.#originFor(call.visitor);
    const { signal } = controller;
    // undici does not look at the signal while it waits for a connection.
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const timer = setTimeout(() => {
      controller.abort(new DcsError('timeout', `the DCS did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const run = () => Promise.race([ended, this.#exchange(origin, call, signal)]);
      return await Promise.race([ended, this.#gateOf(origin).run(run, signal)]);
    } catch (error) {
      if (error instanceof DcsError) throw error;
      throw new DcsError('network', `the call to the DCS failed: ${codeOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * One call; a second one only where the first has met a kept-alive socket that the server was closing, and no byte of
   * an answer has come: nearly always the server has not read it. Nearly: so never of what must not arrive twice. Both
   * have the one deadline.
   */
  async #exchange<T>(origin: URL, call: Call<T>, signal: AbortSignal): Promise<T> {
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

  async #ask<T>(origin: URL, { request, read }: Call<T>, signal: AbortSignal, attempt: Attempt): Promise<T> {
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
    return read(response);
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

function closedError(): DcsError {
  return new DcsError('closed', 'close() was called');
}

/** The parser's errors come without a code. */
function codeOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : name;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

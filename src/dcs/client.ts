/**
 * Owns: the sockets. One lookup is one call with one deadline on a kept-alive pool; its answer is bounded in size and
 * read by reply.ts. Whatever goes wrong becomes a {@link DcsError} with a reason. Who asks, how long they wait and what
 * is remembered is not known here.
 */
import { Agent, type Dispatcher } from 'undici';
import type { Visitor } from '../identity/visitor';
import { Connector } from './connector';
import { DcsError } from './dcs-error';
import type { Exclusion } from './error-codes';
import { OriginGate, type OriginGateConfig, type OriginStats } from './origin-gate';
import type { Regions } from './regions';
import { type DcsReply, replyFromBody } from './reply';
import { lookupTarget, type SegmentIds } from './request';
import { VisitorLane } from './visitor-lane';

/** What sends requests: an Agent, ProxyAgent or other dispatcher of undici. */
export type DcsDispatcher = Pick<Dispatcher, 'request'>;

/** The resolved values that calling needs. */
export interface DcsClientConfig extends OriginGateConfig {
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
  readonly minIntervalMs: number;
  readonly noDataIntervalMs: number;
}

/** What is asked about a visitor. */
export interface Question {
  readonly visitor: Visitor;
  /** The TC string by which the visitor consents. */
  readonly tcString: string | undefined;
  /** Tells it from other questions about the same visitor. */
  readonly variant: string;
}

const MAX_REPLY_BYTES = 262_144;
/** Of an answer that will not be read: so much is drained to keep the socket, beyond it the socket goes. */
const MAX_DRAINED_BYTES = 16_384;
/** Well under the minute after which load balancers commonly close; a server that says less is believed. */
const KEEP_ALIVE_MS = 20_000;

export class DcsClient {
  readonly #config: DcsClientConfig;
  readonly #lane: VisitorLane;
  readonly #gates = new Map<string, OriginGate>();
  readonly #connector: Connector;
  readonly #agent: Agent;
  readonly #target: (visitor: Visitor, tcString: string | undefined) => string;
  #calls = 0;
  #closing: Promise<void> | undefined;

  constructor(config: DcsClientConfig) {
    this.#config = config;
    this.#lane = new VisitorLane(config);
    this.#target = lookupTarget(config.orgId, config.segmentIds);
    this.#connector = new Connector(config.timeoutMs, config.nowMs);
    this.#agent = new Agent({
      connections: config.connections,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The call's own deadline covers all of these; the pool's timers have a resolution of half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connector.connect,
    });
  }

  /** Calls made since construction. */
  get calls(): number {
    return this.#calls;
  }

  /** Calls in flight, or waiting for their turn. */
  get inFlight(): number {
    return this.#lane.size;
  }

  /** How it stands with each origin that has been asked, by origin. */
  get origins(): Readonly<Record<string, OriginStats>> {
    return Object.fromEntries([...this.#gates].map(([origin, gate]) => [origin, gate.stats()]));
  }

  /** Why a lookup of this visitor would fail at once, without a call. */
  refusal(key: string, visitor: Visitor): DcsError | undefined {
    if (this.#closing !== undefined) return closedError();
    return this.#lane.refusal(key) ?? this.#gateOf(this.#originFor(visitor)).refusal();
  }

  /** Whether a lookup of this visitor would try an origin that was not well: not something to wait for. */
  isProbe(visitor: Visitor): boolean {
    return this.#gateOf(this.#originFor(visitor)).isBroken;
  }

  /**
   * Asks the DCS of the visitor's region, or joins the call that asks the same and is already on its way.
   * @throws {DcsError} by rejection
   */
  lookup(key: string, question: Question): Promise<DcsReply> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    return this.#lane.lookup(key, question.variant, (controller) => this.#call(question, controller));
  }

  /**
   * Ends all calls about a visitor, with this reason: nothing more is sent. (Of what is in a socket's hands already, the
   * connection is closed.)
   */
  abandon(key: string, reason: Exclusion): void {
    this.#lane.abandon(key, new DcsError(reason, 'the visitor does not agree any more'));
  }

  /** Ends calls in flight with `closed` and frees sockets and timers. Can be called twice. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#lane.abandonAll(closedError());
      this.#closing = this.#agent.destroy();
      this.#connector.destroy(closedError());
    }
    return this.#closing;
  }

  /**
   * Where to ask about a visitor. The DCS of any region answers for any visitor, only more slowly: so the default origin
   * stands in for a region, but only as long as the region's breaker lets nobody through.
   */
  #originFor(visitor: Visitor): URL {
    const { regions, failover } = this.#config;
    const origin = regions.originOf(visitor.region);
    const standIn = regions.originOf(undefined);
    const isNeeded = failover && this.#gateOf(origin).refusal()?.reason === 'circuit-open';
    return isNeeded && this.#gateOf(standIn).refusal() === undefined ? standIn : origin;
  }

  #gateOf({ origin }: URL): OriginGate {
    const present = this.#gates.get(origin);
    if (present !== undefined) return present;
    const gate = new OriginGate(this.#config);
    this.#gates.set(origin, gate);
    return gate;
  }

  async #call({ visitor, tcString }: Question, controller: AbortController): Promise<DcsReply> {
    const { timeoutMs } = this.#config;
    const origin = this.#originFor(visitor);
    const { signal } = controller;
    // undici does not look at the signal while it waits for a connection.
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const timer = setTimeout(() => {
      controller.abort(new DcsError('timeout', `the DCS did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const call = () => Promise.race([ended, this.#exchange(origin, this.#target(visitor, tcString), signal)]);
      return await Promise.race([ended, this.#gateOf(origin).run(call, signal)]);
    } catch (error) {
      if (error instanceof DcsError) throw error;
      throw new DcsError('network', `the call to the DCS failed: ${codeOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * One call; a second one only where the first has met a kept-alive socket that the server was closing, and no byte of
   * an answer has come: nearly always the server has not read it. Both have the one deadline.
   */
  async #exchange(origin: URL, path: string, signal: AbortSignal): Promise<DcsReply> {
    const startedAtMs = this.#config.nowMs();
    const attempt: Attempt = { hasAnswer: false };
    try {
      return await this.#ask(origin, path, signal, attempt);
    } catch (error) {
      const isStaleSocket = !attempt.hasAnswer && this.#connector.isOfSocketOpenBefore(error, startedAtMs);
      if (!isStaleSocket || signal.aborted) throw error;
      return this.#ask(origin, path, signal, attempt);
    }
  }

  /** Whether a socket was a kept-alive one is known of our own only: with the site's dispatcher nothing is repeated. */
  #dispatcherFor(attempt: Attempt): DcsDispatcher {
    return this.#config.dispatcher ?? this.#agent.compose(noting(attempt));
  }

  async #ask(origin: URL, path: string, signal: AbortSignal, attempt: Attempt): Promise<DcsReply> {
    this.#calls++;
    const { nowMs, partnerHost, timeoutMs } = this.#config;
    const startedAtMs = nowMs();
    const { statusCode, headers, body } = await this.#dispatcherFor(attempt).request({
      origin,
      path,
      method: 'GET',
      // fetch() would silently send the host of the URL instead.
      headers: { host: partnerHost },
      signal,
    });
    const refusal = refusalOfHead(statusCode, headers);
    if (refusal !== undefined) {
      drain(body, timeoutMs - (nowMs() - startedAtMs));
      throw refusal;
    }
    return replyFromBody(await readText(body), single(headers['x-error']));
  }
}

interface Attempt {
  /** The first byte of an answer has come. */
  hasAnswer: boolean;
}

function noting(attempt: Attempt): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const onResponseStarted = () => {
      attempt.hasAnswer = true;
    };
    return dispatch(options, Object.assign(handler, { onResponseStarted }));
  };
}

/** Why the body of an answer is not even looked at. */
function refusalOfHead(statusCode: number, headers: Dispatcher.ResponseData['headers']): DcsError | undefined {
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

async function readText(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop by a throw destroys the body and with it the socket.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES) {
      throw new DcsError('bad-reply', `the DCS answered more than ${MAX_REPLY_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
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

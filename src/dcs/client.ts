/**
 * Owns: the sockets. One lookup is one call with one deadline on a kept-alive pool; its answer is bounded in size and
 * read by reply.ts. Whatever goes wrong becomes a {@link DcsError} with a reason. Who asks, how long they wait and what
 * is remembered is not known here.
 */
import { Agent, type Dispatcher } from 'undici';
import type { Visitor } from '../identity/visitor';
import { Connector } from './connector';
import { DcsError } from './dcs-error';
import type { Regions } from './regions';
import { type DcsReply, replyFromBody } from './reply';
import { lookupTarget, type SegmentIds } from './request';
import { VisitorLane } from './visitor-lane';

/** The resolved values that calling needs. */
export interface DcsClientConfig {
  readonly orgId: string;
  /** What goes into the Host header: it tells the DCS which partner is calling. */
  readonly partnerHost: string;
  readonly regions: Regions;
  readonly segmentIds: SegmentIds;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly minIntervalMs: number;
  readonly noDataIntervalMs: number;
  readonly nowMs: () => number;
}

const MAX_REPLY_BYTES = 262_144;
/** Of an answer that will not be read: so much is drained to keep the socket, beyond it the socket goes. */
const MAX_DRAINED_BYTES = 16_384;
/** Well under the minute after which load balancers commonly close; a server that says less is believed. */
const KEEP_ALIVE_MS = 20_000;

export class DcsClient {
  readonly #config: DcsClientConfig;
  readonly #lane: VisitorLane;
  readonly #connector: Connector;
  readonly #agent: Agent;
  readonly #target: (visitor: Visitor) => string;
  readonly #running = new Set<AbortController>();
  #calls = 0;
  #closing: Promise<void> | undefined;

  constructor(config: DcsClientConfig) {
    this.#config = config;
    this.#lane = new VisitorLane(config);
    this.#target = lookupTarget(config.orgId, config.segmentIds);
    this.#connector = new Connector(config.timeoutMs);
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

  /** Calls in flight. */
  get inFlight(): number {
    return this.#lane.size;
  }

  /** Why a lookup of this visitor would fail at once, without a call. */
  refusal(key: string): DcsError | undefined {
    return this.#closing === undefined ? this.#lane.refusal(key) : closedError();
  }

  /**
   * Asks the DCS of the visitor's region, or joins the call that is already on its way for this visitor.
   * @throws {DcsError} by rejection
   */
  lookup(key: string, visitor: Visitor): Promise<DcsReply> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    return this.#lane.lookup(key, () => this.#call(visitor));
  }

  /** Ends calls in flight with `closed` and frees sockets and timers. Can be called twice. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      for (const controller of this.#running) controller.abort(closedError());
      this.#closing = this.#agent.destroy();
      this.#connector.destroy(closedError());
    }
    return this.#closing;
  }

  async #call(visitor: Visitor): Promise<DcsReply> {
    this.#calls++;
    const { timeoutMs, regions } = this.#config;
    const controller = new AbortController();
    const { signal } = controller;
    // undici does not look at the signal while it waits for a connection.
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const timer = setTimeout(() => {
      controller.abort(new DcsError('timeout', `the DCS did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#running.add(controller);
    try {
      const exchange = this.#exchange(regions.originOf(visitor.region), this.#target(visitor), signal);
      return await Promise.race([ended, exchange]);
    } catch (error) {
      if (error instanceof DcsError) throw error;
      throw new DcsError('network', `the call to the DCS failed: ${codeOf(error)}`);
    } finally {
      clearTimeout(timer);
      this.#running.delete(controller);
    }
  }

  async #exchange(origin: URL, path: string, signal: AbortSignal): Promise<DcsReply> {
    const { nowMs, partnerHost, timeoutMs } = this.#config;
    const startedAtMs = nowMs();
    const { statusCode, headers, body } = await this.#agent.request({
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

/** Why the body of an answer is not even looked at. */
function refusalOfHead(statusCode: number, headers: Dispatcher.ResponseData['headers']): DcsError | undefined {
  if (statusCode !== 200) {
    const reason = statusCode === 429 ? 'rate-limited' : 'http-status';
    return new DcsError(reason, `the DCS answered HTTP ${statusCode}`);
  }
  if (/^(?:identity)?$/i.test(single(headers['content-encoding']) ?? '')) return undefined;
  return new DcsError('bad-reply', 'the DCS answered with a content encoding that was not asked for');
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

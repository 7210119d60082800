/**
 * Owns: the calls. A lookup, an event or an opt-out is one call with one deadline, sent to the origin that answers for the
 * visitor when the visitor's lane and the origin's gate let it through. Whatever goes wrong becomes a {@link DcsError} with
 * a reason. Who asks, how long they wait and what is remembered is not known here.
 */
import type { Visitor } from '../identity/visitor';
import { EventQueue, type EventQueueConfig, type EventStats } from './flow/event-queue';
import { OriginGate, type OriginGateConfig, type OriginStats } from './flow/origin-gate';
import { VisitorLane } from './flow/visitor-lane';
import { type Exchange, HttpExchange, type HttpExchangeConfig } from './http-exchange';
import { DcsError } from './protocol/dcs-error';
import type { Exclusion } from './protocol/error-codes';
import type { Regions } from './protocol/regions';
import { type DcsReply, replyFromBody, replyToOptOut } from './protocol/reply';
import { type Question, RequestWriter, type SegmentIds } from './protocol/request';

/** The resolved values that calling needs. */
export interface DcsCallsConfig extends OriginGateConfig, EventQueueConfig, HttpExchangeConfig {
  readonly orgId: string;
  readonly regions: Regions;
  readonly segmentIds: SegmentIds;
  /** Whether visitors of a region whose breaker is not closed are asked about at the default origin. */
  readonly failover: boolean;
  readonly failureCooldownMs: number;
  readonly noDataIntervalMs: number;
}

/** One call: whose region is asked (of nobody: the default origin), and what is sent. */
interface Call<T> extends Exchange<T> {
  readonly visitor: Visitor;
}

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
  readonly #http: HttpExchange;
  readonly #writer: RequestWriter;
  readonly #events: EventQueue;
  #closing: Promise<void> | undefined;

  constructor(config: DcsCallsConfig) {
    this.#config = config;
    this.#lane = new VisitorLane(config);
    this.#events = new EventQueue(config, this.#lane);
    this.#writer = new RequestWriter(config.orgId, config.segmentIds);
    this.#http = new HttpExchange(config);
  }

  stats(): DcsStats {
    return {
      calls: this.#http.calls,
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
          read: (response) => {
            response.discard();
            return replyToOptOut(response.errorHeader);
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
    await this.#http.destroy(closedError());
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
      read: async (response) => replyFromBody(await response.text(), response.errorHeader),
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
      const run = () => Promise.race([ended, this.#http.send(origin, call, signal)]);
      return await Promise.race([ended, this.#gateOf(origin).run(run, signal)]);
    } catch (error) {
      if (error instanceof DcsError) throw error;
      throw new DcsError('network', `the call to the DCS failed: ${codeOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

function closedError(): DcsError {
  return new DcsError('closed', 'close() was called');
}

/** The parser's errors come without a code. */
function codeOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : name;
}

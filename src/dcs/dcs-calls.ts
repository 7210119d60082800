/**
 * Owns: the calls. A lookup, an event or an opt-out is one call with one deadline, sent to the origin for the visitor's
 * region once the visitor's lane and the origin's gate admit it. Every failure becomes a {@link DcsError} with a reason.
 * Requests, their waiting and the cache are not known here.
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

/** The resolved values that calls need. */
export interface DcsCallsConfig extends OriginGateConfig, EventQueueConfig, HttpExchangeConfig {
  readonly orgId: string;
  readonly regions: Regions;
  readonly segmentIds: SegmentIds;
  /** Whether the default origin stands in for a region whose circuit breaker is open. */
  readonly failover: boolean;
  readonly failureCooldownMs: number;
  readonly noDataIntervalMs: number;
}

/** One call. The visitor's region decides the origin; without a region it is the default one. */
interface Call<T> extends Exchange<T> {
  readonly visitor: Visitor;
}

/** Counts of calls and events, and the state of each origin. Contains no identifiers. */
export interface DcsStats {
  /** Calls made to the DCS since construction. */
  readonly calls: number;
  /** Calls in flight or queued. */
  readonly inFlight: number;
  /** The state of each origin that was called. */
  readonly origins: Readonly<Record<string, OriginStats>>;
  readonly events: EventStats;
}

/** What the rest of the package needs of the DCS. A visitor is identified by their cache key. */
export interface Dcs {
  /**
   * Looks the visitor up in the DCS of their region, or joins the same lookup if it is already in flight.
   * @throws {DcsError} by rejection
   */
  lookup(key: string, question: Question): Promise<DcsReply>;
  /**
   * Sends an event to the DCS of the visitor's region, after all earlier calls about the visitor.
   * @throws {AamError} by rejection: a {@link DcsError}, `ERR_AAM_EVENT_TOO_LARGE` or `ERR_AAM_EVENT_DROPPED`
   */
  sendEvent(key: string, question: Question): Promise<DcsReply>;
  /**
   * Opts the visitor out, irreversibly. Their other calls, in flight and queued, are aborted.
   * @throws {DcsError} by rejection
   */
  optOut(key: string, visitor: Visitor): Promise<void>;
  /** Aborts the visitor's calls, in flight and queued; they reject with this reason. */
  abandon(key: string, reason: Exclusion): void;
  /** Why a lookup of this visitor would fail at once, without a call; `undefined` if it would not. */
  unavailableReason(key: string, visitor: Visitor): DcsError | undefined;
  /** Whether a lookup of this visitor would be the probe of a circuit breaker; no request should wait for one. */
  isProbe(visitor: Visitor): boolean;
  /** Milliseconds until a call about this visitor can be made; 0 for now. */
  retryInMs(key: string, visitor: Visitor): number;
  stats(): DcsStats;
  /**
   * Aborts lookups with the reason `closed` and frees sockets and timers. Queued events are sent first, within the time of
   * one call. Idempotent.
   */
  close(): Promise<void>;
}

export class DcsCalls implements Dcs {
  readonly #config: DcsCallsConfig;
  readonly #lane: VisitorLane;
  readonly #gates = new Map<string, OriginGate>();
  /** A cache in front of it: serializing `origin` costs more than the rest of the search. */
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
    // Throws now, rather than in its turn, if the event is too large.
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
    this.#lane.abandon(key, new DcsError(reason, 'The visitor opted out or withdrew consent.'));
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
   * The origin to call for a visitor. Any region answers for any visitor, only more slowly, so the default origin stands in
   * while the breaker of the visitor's region is open.
   */
  #originFor(visitor: Visitor): URL {
    const { regions, failover } = this.#config;
    const origin = regions.originOf(visitor.region);
    const fallback = regions.originOf(undefined);
    const isBroken = failover && this.#gateOf(origin).unavailableReason()?.reason === 'circuit-open';
    return isBroken && this.#gateOf(fallback).unavailableReason() === undefined ? fallback : origin;
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
    // undici ignores the signal while it waits for a connection.
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const timer = setTimeout(() => {
      controller.abort(new DcsError('timeout', `The DCS did not answer within ${timeoutMs} ms.`));
    }, timeoutMs);
    try {
      const run = () => Promise.race([aborted, this.#http.send(origin, call, signal)]);
      return await Promise.race([aborted, this.#gateOf(origin).run(run, signal)]);
    } catch (error) {
      if (error instanceof DcsError) throw error;
      throw new DcsError('network', `The call to the DCS failed: ${codeOf(error)}.`);
    } finally {
      clearTimeout(timer);
    }
  }
}

function closedError(): DcsError {
  return new DcsError('closed', 'close() was called.');
}

/** Errors of the HTTP parser have no code. */
function codeOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : name;
}

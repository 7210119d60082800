import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';
import { assertInteger, assertKnownKeys, MAX_MS } from './assertions';
import type { CustomerId } from './customer-ids';
import type { DcsCall } from './dcs-call';
import type { DcsParams } from './dcs-params';
import type { Fault } from './faults';
import type { OriginName } from './simulator-options';

/** A request in the simulator's log. It is added when it has arrived completely, and updated when it ends. */
export interface DcsRequest {
  /** When its head arrived, by `performance.now()`. */
  readonly at: number;
  /** When its answer was sent or its connection closed; `undefined` while in flight. */
  readonly endedAt?: number;
  readonly method: string;
  readonly path: string;
  /** The request target as sent, still encoded. */
  readonly url: string;
  /** The `Host` header as sent. */
  readonly host: string | undefined;
  readonly region: OriginName;
  /** Decoded query and form parameters; a repeated name has an array. Empty if one of them is malformed. */
  readonly params: DcsParams;
  /** The well-formed `d_cid` and `d_cid_ic` parameters, parsed. */
  readonly customerIds: readonly CustomerId[];
  /** The headers, with names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body?: string;
  /** The id by which the visitor was first named; `undefined` without a valid id. */
  readonly visitor?: string;
  /** Whether another call for this visitor was in flight on arrival (AAM docs, Race Conditions). */
  readonly overlapped: boolean;
  /** The HTTP status sent; `undefined` if none was. */
  readonly answeredStatus?: number;
  /** The fault that the request met. */
  readonly fault?: Fault['kind'];
}

/** A log entry that can still be updated. */
export type OpenDcsRequest = { -readonly [Key in keyof DcsRequest]: DcsRequest[Key] };

/** Options of `received()`. */
export interface ReceivedOptions {
  /**
   * How long to wait, in milliseconds.
   * @default 5000
   */
  readonly timeoutMs?: number | undefined;
}

interface Waiter {
  readonly count: number;
  settle(error?: Error): void;
}

/** Requests in order of arrival. */
export class RequestLog {
  #entries: DcsRequest[] = [];
  readonly #inFlight = new Set<DcsRequest>();
  readonly #waiters = new Set<Waiter>();

  get entries(): readonly DcsRequest[] {
    return this.#entries;
  }

  of(visitor: string): readonly DcsRequest[] {
    return this.#entries.filter((entry) => entry.visitor === visitor);
  }

  add(call: DcsCall, region: OriginName, visitor: string | undefined): OpenDcsRequest {
    const { at, method, path, url, host, params, customerIds, headers, body } = call;
    const overlapped = visitor !== undefined && [...this.#inFlight].some((other) => other.visitor === visitor);
    const entry: OpenDcsRequest = {
      at,
      method,
      path,
      url,
      host,
      region,
      params,
      customerIds,
      headers,
      ...(body !== undefined && { body }),
      ...(visitor !== undefined && { visitor }),
      overlapped,
    };
    this.#entries.push(entry);
    this.#inFlight.add(entry);
    for (const waiter of this.#waiters) if (this.#entries.length >= waiter.count) waiter.settle();
    return entry;
  }

  /** The first call counts: an answer that was sent is followed by the close of its connection. */
  end(entry: OpenDcsRequest): void {
    if (this.#inFlight.delete(entry)) entry.endedAt = performance.now();
  }

  clear(): void {
    this.#entries = [];
  }

  async received(count: number, options: ReceivedOptions): Promise<void> {
    assertKnownKeys('options', options, ['timeoutMs']);
    const { timeoutMs = 5_000 } = options;
    assertInteger('count', count, 0, MAX_MS);
    assertInteger('options.timeoutMs', timeoutMs, 0, MAX_MS);
    if (this.#entries.length >= count) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        if (error) reject(error);
        else resolve();
      };
      const waiter: Waiter = { count, settle };
      const timer = setTimeout(() => settle(this.#missing(count, `within ${timeoutMs} ms`)), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Rejects all pending `received()`. */
  close(): void {
    for (const { count, settle } of this.#waiters) settle(this.#missing(count, 'before the simulator was closed'));
  }

  #missing(count: number, when: string): Error {
    return new Error(`expected ${count} requests ${when}, received ${this.#entries.length}`);
  }
}

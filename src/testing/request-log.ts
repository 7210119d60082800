import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';
import { assertInteger, assertKnownKeys, MAX_MS } from './assertions';
import type { CustomerId } from './customer-ids';
import type { DcsCall } from './dcs-call';
import type { DcsParams } from './dcs-params';
import type { Fault } from './faults';
import type { OriginName } from './simulator-options';

/** One request in the simulator's log. It is written when the request has arrived whole, and completed when it ends. */
export interface DcsRequest {
  /** When its head arrived, by `performance.now()`. */
  readonly at: number;
  /** When its answer was handed over, or its connection closed; `undefined` while it is in flight. */
  readonly endedAt?: number;
  readonly method: string;
  readonly path: string;
  /** The request target as sent, still encoded. */
  readonly url: string;
  /** The `Host` header as sent. */
  readonly host: string | undefined;
  readonly region: OriginName;
  /** Query and form parameters, decoded; a name sent more than once has an array. Empty when badly encoded. */
  readonly params: DcsParams;
  /** The well-formed `d_cid` and `d_cid_ic` among the parameters, taken apart. */
  readonly customerIds: readonly CustomerId[];
  /** The headers, with names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body?: string;
  /** The visitor's id, as the visitor was first named; `undefined` without a valid `d_mid` or `d_uuid`. */
  readonly visitor?: string;
  /** Whether another call for this visitor was in flight when this one arrived (AAM docs, Race Conditions). */
  readonly overlapped: boolean;
  /** The HTTP status sent; `undefined` when none was. */
  readonly answeredStatus?: number;
  /** The fault that this request met. */
  readonly fault?: Fault['kind'];
}

/** A log entry as the simulator sees it: these fields come later than the rest. */
export type OpenDcsRequest = { -readonly [Key in keyof DcsRequest]: DcsRequest[Key] };

/** How long to wait for requests. */
export interface ReceivedOptions {
  /** @default 5_000 */
  readonly timeoutMs?: number | undefined;
}

interface Waiter {
  readonly count: number;
  settle(error?: Error): void;
}

/** What arrived, in order of arrival. */
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

  /** The first end counts: an answer handed over is followed by its connection's. */
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

  /** Fails everyone who still waits for requests. */
  close(): void {
    for (const { count, settle } of this.#waiters) settle(this.#missing(count, 'before the simulator was closed'));
  }

  #missing(count: number, when: string): Error {
    return new Error(`${count} requests expected ${when}, ${this.#entries.length} received`);
  }
}

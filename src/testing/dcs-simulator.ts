/**
 * Owns: the DCS simulator, `express-aam-segments/testing`: servers that behave as the Audience Manager documentation says. It must
 * not import the rest of the package, since a double that shares the client's parser repeats its mistakes. Next:
 * call-handling.ts, then dcs-answer.ts.
 */
import { inspect } from 'node:util';
import { assertDeviceId, assertKnownKeys, assertRule } from './assertions';
import { handlerOf } from './call-handling';
import { customerKey } from './customer-ids';
import { FaultBoard } from './fault-board';
import type { Fault, FaultHandle, FaultScope } from './faults';
import { type DcsOrigins, startOrigins } from './origins';
import { type DcsRequest, type ReceivedOptions, RequestLog } from './request-log';
import { type SimulatedVisitor, simulatedVisitor } from './simulated-visitor';
import { type DcsSimulatorOptions, resolveSimulatorOptions } from './simulator-options';
import { VisitorBook } from './visitors';

/**
 * A simulated DCS: HTTP servers on 127.0.0.1, one per region and one for the alias. They answer `/event`, `/id` and `/demoptout`
 * as the Audience Manager documentation says, have the visitors that a test adds, fail on demand, and log requests.
 */
export interface DcsSimulator {
  /** The origins, in the shape of the `dcs` option. */
  readonly dcs: DcsOrigins;
  /**
   * What to put into the options of `aamSegments()` or `createDcsClient()`, beside `orgId` and `segments`.
   *
   * @example aamSegments({ orgId, segments, ...simulator.options })
   */
  readonly options: { readonly partner: string; readonly dcs: DcsOrigins };
  /**
   * The visitor with this ECID or Audience Manager UUID, the same one each time. Visitors that were never added exist, too,
   * and are in no segment.
   *
   * @throws TypeError when the id is not 38 digits
   */
  visitor(id: string): SimulatedVisitor;
  /**
   * The customer with this id in a data source, which is named by its id (a number, `d_cid`) or by its integration code (a
   * string, `d_cid_ic`). Calls with the customer's id, unless logged out, get the customer's segments along with those of the
   * device; a call without a device id is the customer's own.
   *
   * @throws TypeError when the data source is neither, or the id is not a non-empty string
   */
  customer(dataSource: number | string, id: string): SimulatedVisitor;
  /**
   * Makes calls fail: all, or those that match `where`. Latencies add up, and combine with another fault; among other faults
   * the newest wins. The call still takes effect, as at a DCS whose answer is lost on the way.
   *
   * @throws TypeError for a fault or a scope that breaks its rules
   */
  fault(fault: Fault, where?: FaultScope): FaultHandle;
  /** The requests since the log was last cleared, in order of arrival. */
  readonly requests: readonly DcsRequest[];
  /** The requests of one visitor, by ECID or Audience Manager UUID. */
  requestsOf(id: string): readonly DcsRequest[];
  /** Requests that arrived while another one for the same visitor was in flight, which Adobe forbids. */
  readonly overlaps: readonly DcsRequest[];
  /**
   * Resolves as soon as the log holds `count` requests.
   *
   * @throws Error on a timeout, and when the simulator is closed before
   */
  received(count: number, options?: ReceivedOptions): Promise<void>;
  /** Clears the log and all faults. Visitors stay as they are. */
  clear(): void;
  /**
   * Ends all connections, also those with a call in flight, and frees the ports. Calling it again has no effect.
   *
   * @throws Error, after closing, when a fault was set that no call met, so that the test did not test it.
   * `unusedFaults: 'ignore'` accepts that.
   */
  close(options?: { readonly unusedFaults?: 'report' | 'ignore' | undefined }): Promise<void>;
  /** {@link options} as two lines of code, to be pasted. */
  toString(): string;
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a DCS simulator.
 *
 * ```ts
 * const simulator = await createDcsSimulator({ partner: 'acme', segmentIds: true });
 * simulator.visitor('20265673158980419722735089753036633573').in(984263);
 * const aam = aamSegments({ orgId, ...simulator.options });
 * simulator.fault({ kind: 'latency', latencyMs: 300 }, { region: 9 });
 * // ... requests to the application ...
 * await aam.close();
 * await simulator.close();
 * ```
 *
 * The HTTP status is 404 for other paths, 405 for methods other than GET and POST, 414 for a GET of more than 8 K and 413 for a
 * POST of more than 32 K, head and body together, 421 for a `Host` of another site; otherwise it is 200, with Adobe's error codes in `errors` and `X-Error`.
 * `/id`, and opt-outs by `d_mid`, need a `d_orgid`. With `segmentIds`, both `d_cts=1` and `d_cts=2` return segment ids, in
 * `traits`, too.
 *
 * @throws TypeError for an unknown option or a value that breaks its rule; the system's error for a `port` that is taken
 */
export async function createDcsSimulator(options: DcsSimulatorOptions = {}): Promise<DcsSimulator> {
  const config = resolveSimulatorOptions(options);
  const visitors = new VisitorBook(config.denylistAfter);
  const faults = new FaultBoard((id) => visitors.find(id).id);
  const log = new RequestLog();
  const servers = await startOrigins(config.port, (origin) => handlerOf(origin, { config, visitors, faults, log }));
  let closing: Promise<void> | undefined;

  const dcs: DcsOrigins = { origins: servers.origins, defaultOrigin: servers.defaultOrigin };

  const simulator: DcsSimulator = {
    dcs,
    options: { partner: config.partner, dcs },
    visitor(id) {
      assertDeviceId('visitor id', id);
      return simulatedVisitor(id, visitors, (visitorId) => log.of(visitorId));
    },
    customer(dataSource, id) {
      const isSource = typeof dataSource === 'string' ? dataSource.trim() !== '' : Number.isSafeInteger(dataSource);
      assertRule(isSource, 'data source', 'a whole number or an integration code, which is a string', dataSource);
      assertRule(typeof id === 'string' && id.trim() !== '', 'customer id', 'a non-empty string', id);
      const parameter = typeof dataSource === 'string' ? 'd_cid_ic' : 'd_cid';
      const key = customerKey({ parameter, source: String(dataSource), id });
      return simulatedVisitor(key, visitors, (visitorId) => log.of(visitorId));
    },
    fault(fault, where = {}) {
      return faults.set(fault, where);
    },
    get requests() {
      return log.entries;
    },
    requestsOf(id) {
      assertDeviceId('visitor id', id);
      return log.of(visitors.find(id).id);
    },
    get overlaps() {
      return log.entries.filter(({ overlapped }) => overlapped);
    },
    received(count, waiting = {}) {
      const arrived = log.received(count, waiting);
      // A test that ends without awaiting it must not crash the process.
      arrived.catch(() => {});
      return arrived;
    },
    clear() {
      log.clear();
      faults.clear();
    },
    async close(closeOptions = {}) {
      assertKnownKeys('options', closeOptions, ['unusedFaults']);
      const { unusedFaults = 'report' } = closeOptions;
      const isKnown = unusedFaults === 'report' || unusedFaults === 'ignore';
      assertRule(isKnown, 'options.unusedFaults', "'report' or 'ignore'", unusedFaults);
      if (closing) return closing;
      closing = servers.close();
      log.close();
      await closing;
      const unused = faults.unused();
      if (unusedFaults === 'ignore' || unused.length === 0) return;
      throw new Error(`The DCS simulator is closed. No call met these faults:\n  ${unused.join('\n  ')}`);
    },
    toString() {
      // On one line each, whatever the width of the terminal.
      const shown = inspect(dcs, { breakLength: Number.POSITIVE_INFINITY, compact: true });
      return `partner: '${config.partner}',\ndcs: ${shown},`;
    },
    [Symbol.asyncDispose]() {
      return simulator.close();
    },
  };
  return simulator;
}

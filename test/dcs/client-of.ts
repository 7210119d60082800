import { performance } from 'node:perf_hooks';
import { DcsCalls, type DcsCallsConfig } from '../../src/dcs/dcs-calls';
import { Regions } from '../../src/dcs/protocol/regions';
import type { Question } from '../../src/dcs/protocol/request';
import type { Visitor } from '../../src/identity/visitor';

export const ECID = '20265673158980419722735089753036633573';
export const OTHER_ECID = '91563127448770346027793623225009407783';

/** A lookup without consent string and signals. */
export function about(visitor: Visitor): Question {
  return { visitor, tcString: undefined, signals: '', variant: '' };
}

/** A client of one origin, without a cooldown after failures. */
export function clientOf(origin: URL, config: Partial<DcsCallsConfig> = {}): DcsCalls & AsyncDisposable {
  const client = new DcsCalls({
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partnerHost: 'acme.demdex.net',
    regions: new Regions(new Map([[9, origin]]), origin),
    segmentIds: 'sid',
    timeoutMs: 5_000,
    connections: 4,
    maxQueuedCalls: 128,
    maxQueuedEvents: 1_000,
    // Never opens, except in tests of the breaker.
    breaker: { minCalls: 1_000_000, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 },
    failover: true,
    dispatcher: undefined,
    failureCooldownMs: 0,
    noDataIntervalMs: 0,
    nowMs: () => performance.now(),
    ...config,
  });
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

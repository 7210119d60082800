import { DcsCalls, type DcsCallsConfig } from '../../src/dcs/dcs-calls';
import type { CallObserver, CallResult } from '../../src/dcs/flow/call';
import { PROCESS_CLOCK } from '../../src/dcs/flow/clock';
import { type HttpExchangeConfig, HttpTransport } from '../../src/dcs/http-exchange';
import { DcsError } from '../../src/dcs/protocol/dcs-error';
import { Regions } from '../../src/dcs/protocol/regions';
import type { DcsReply } from '../../src/dcs/protocol/reply';
import type { Question } from '../../src/dcs/protocol/request';
import { AamError } from '../../src/errors';
import type { Visitor } from '../../src/identity/visitor';

export const ECID = '20265673158980419722735089753036633573';
export const OTHER_ECID = '91563127448770346027793623225009407783';

/** The plain question about a visitor. */
export function about(visitor: Visitor): Question {
  return { visitor, tcString: undefined, signals: '', variant: '' };
}

export type Client = ReturnType<typeof clientOf>;

/** Calls to one origin, as promises. A call after a failure is taken at once. */
export function clientOf(origin: URL, config: Partial<DcsCallsConfig & HttpExchangeConfig & { nowMs(): number }> = {}) {
  const whole: DcsCallsConfig & HttpExchangeConfig = {
    orgId: '1FD6776A524453CC0A490D44@AdobeOrg',
    partnerHost: 'acme.demdex.net',
    regions: new Regions(new Map([[9, origin]]), origin),
    segmentIds: 'sid',
    timeoutMs: 5_000,
    connections: 4,
    maxQueuedCalls: 128,
    maxQueuedEvents: 1_000,
    // Never opens, unless a test is about that.
    breaker: { minCalls: 1_000_000, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 },
    failover: true,
    dispatcher: undefined,
    failureCooldownMs: 0,
    noDataCooldownMs: 0,
    maxCallsPerMinute: 1_000_000,
    ...config,
  };
  const clock = config.nowMs === undefined ? PROCESS_CLOCK : { ...PROCESS_CLOCK, nowMs: config.nowMs };
  const dcs = new DcsCalls(whole, new HttpTransport(whole, clock), clock);
  return {
    dcs,
    lookup: (key: string, question: Question) => promised((observer) => dcs.lookup(key, question, observer)),
    sendEvent: (key: string, question: Question, isStranger = false) =>
      promised((observer) => dcs.sendEvent(key, question, isStranger, observer)),
    optOut: (key: string, visitor: Visitor) => promised((observer) => dcs.optOut(key, visitor, observer)),
    abandon: dcs.abandon.bind(dcs),
    unavailable: dcs.unavailable.bind(dcs),
    stats: () => dcs.stats(),
    close: () => dcs.close(),
    [Symbol.asyncDispose]: () => dcs.close(),
  };
}

async function promised(call: (observer: CallObserver) => unknown): Promise<DcsReply> {
  const result = await new Promise<CallResult>((ended) => {
    call({ began: () => {}, ended });
  });
  if ('reply' in result) return result.reply;
  if ('failure' in result) throw DcsError.from(result.failure);
  throw new AamError('ERR_AAM_EVENT_DROPPED', 'dropped');
}

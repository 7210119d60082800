import type { Dcs } from '../../src/dcs/dcs';
import { Call, type CallKind, type CallObserver } from '../../src/dcs/flow/call';
import type { DcsFailure } from '../../src/dcs/protocol/dcs-error';
import type { Question } from '../../src/dcs/protocol/request';
import { replyTo } from '../dcs/outcome';

/** A call that the test begins and ends. */
export type FakeCall = Call & {
  readonly question: Question | undefined;
  readonly isStranger: boolean | undefined;
  begin(): void;
  answer(...segments: number[]): void;
  fail(failure: Partial<DcsFailure>): void;
};

/** A DCS that does what the test says. */
export function fakeDcs() {
  const calls: FakeCall[] = [];
  const make = (
    kind: CallKind,
    key: string,
    observer: CallObserver,
    question?: Question,
    isStranger?: boolean,
  ): FakeCall => {
    const request = { method: 'GET' as const, path: '/event', body: undefined };
    const call = new Call({ kind, key, region: undefined, request, isRepeatable: true, observer });
    const fake: FakeCall = Object.assign(call, {
      question,
      isStranger,
      begin: () => {
        call.phase = 'running';
        observer.began();
      },
      answer: (...segments: number[]) => call.end({ reply: replyTo({ segments }) }),
      fail: (failure: Partial<DcsFailure>) => call.end({ failure: { reason: 'network', message: '', ...failure } }),
    });
    calls.push(fake);
    return fake;
  };
  const dcs = {
    lookup: (key, question, observer) => make('lookup', key, observer, question),
    sendEvent: (key, question, isStranger, observer) => make('event', key, observer, question, isStranger),
    optOut: (key, _visitor, observer) => make('opt-out', key, observer),
    abandon: jest.fn(),
    unavailable: jest.fn((): DcsFailure | undefined => undefined),
    retryInMs: () => 0,
    isImminent: jest.fn(() => true),
    stats: () => ({ calls: 0, inFlight: 0, origins: {}, events: { queued: 0, sent: 0, failed: 0, dropped: 0 } }),
    close: async () => {},
  } satisfies Dcs;
  return { dcs, calls };
}

import fc from 'fast-check';
import { LRUCache } from 'lru-cache';
import { CallHistory } from '../../../src/dcs/flow/call-history';
import { DcsError, type DcsFailure } from '../../../src/dcs/protocol/dcs-error';
import { FakeClock } from './fake-clock';

const COOLDOWN_MS = 1_000;
const NO_DATA_COOLDOWN_MS = 15_000;
const MAX_CALLS = 3;
const TIMEOUT: DcsFailure = { reason: 'timeout', message: 'late' };
const NO_DATA: DcsFailure = { reason: 'dcs-error', message: 'nothing', noData: true };

function setup(maxCallsPerMinute = MAX_CALLS, maxCalledVisitors?: number) {
  const clock = new FakeClock();
  const config = {
    failureCooldownMs: COOLDOWN_MS,
    noDataCooldownMs: NO_DATA_COOLDOWN_MS,
    maxCallsPerMinute,
    maxCalledVisitors,
  };
  return { clock, history: new CallHistory(config, () => clock.nowMs()) };
}

const operation = fc.oneof(
  fc.record({ key: fc.constantFrom('a', 'b'), what: fc.constantFrom('sent', 'sent', 'timeout', 'no-data') }),
  fc.oneof(fc.nat(2_000), fc.constantFrom(999, 1_000, 14_000, 30_000, 59_999, 60_000)),
);

describe('CallHistory', () => {
  it('counts the calls of any minute and the last failure, as a list of all of them says', () => {
    // One for all runs, with visitors of their own: making room for 100 000 takes its time.
    const { clock, history } = setup();
    let run = 0;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const nameOf = (key: string) => `${key} of run ${run}`;
        run++;
        const sentAtMs: Record<string, number[]> = { a: [], b: [] };
        const failed: Record<string, { reason: string; untilMs: number }> = {};
        const seen: unknown[] = [];
        const expected: unknown[] = [];
        for (const each of operations) {
          if (typeof each === 'number') clock.advance(each);
          else if (each.what === 'sent') {
            history.sent(nameOf(each.key));
            sentAtMs[each.key]?.push(clock.nowMs());
          } else {
            const [failure, ms] = each.what === 'timeout' ? [TIMEOUT, COOLDOWN_MS] : [NO_DATA, NO_DATA_COOLDOWN_MS];
            history.failed(nameOf(each.key), failure);
            // A longer one stays.
            const cooldown = { reason: failure.reason, untilMs: clock.nowMs() + ms };
            if (cooldown.untilMs > (failed[each.key]?.untilMs ?? 0)) failed[each.key] = cooldown;
          }
          for (const key of ['a', 'b']) {
            const why = (nowMs: number) => {
              const cooldown = failed[key];
              if (cooldown !== undefined && nowMs < cooldown.untilMs) return cooldown.reason;
              const recent = (sentAtMs[key] as number[]).filter((atMs) => atMs > nowMs - 60_000);
              return recent.length >= MAX_CALLS ? 'rate-limited' : undefined;
            };
            const nowMs = clock.nowMs();
            const ends = [nowMs, failed[key]?.untilMs ?? 0, ...(sentAtMs[key] as number[]).map((ms) => ms + 60_000)];
            const free = Math.min(...ends.filter((ms) => ms >= nowMs && why(ms) === undefined));
            seen.push([history.unavailable(nameOf(key))?.reason, history.retryInMs(nameOf(key))]);
            expected.push([why(nowMs), free - nowMs]);
          }
        }
        expect(seen).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it('says what the last failure was, without the error that it came as', () => {
    const { history } = setup();
    history.failed('a', new DcsError('dcs-error', 'no data', { dcsCode: 10, noData: true }));
    const failure = history.unavailable('a');
    expect(failure).toEqual({ reason: 'dcs-error', message: 'no data', dcsCode: 10, noData: true });
    expect(failure).not.toBeInstanceOf(Error);
  });

  it('says why no further call is made within the minute', () => {
    const { history } = setup(1);
    history.sent('a');
    expect(history.unavailable('a')).toMatchObject({
      reason: 'rate-limited',
      message: expect.stringContaining('dcs.maxCallsPerMinute'),
    });
    expect([history.unavailable('b'), history.retryInMs('b')]).toEqual([undefined, 0]);
  });

  it('keeps a denylisted visitor out for good, whatever happened before', () => {
    const { history, clock } = setup();
    history.failed('a', TIMEOUT);
    history.denylist('a', 307);
    const expected = { reason: 'denylisted', message: 'The DCS answered with error 307.', dcsCode: 307 };
    expect([history.unavailable('a'), history.retryInMs('a')]).toEqual([expected, Number.POSITIVE_INFINITY]);
    clock.advance(Number.MAX_SAFE_INTEGER / 2);
    expect(history.unavailable('a')).toEqual(expected);
    expect([history.unavailable('b'), history.retryInMs('b')]).toEqual([undefined, 0]);
  });

  it('remembers 20 000 visitors who were called often, those who were called last', () => {
    const { history } = setup(1);
    history.sent('often');
    for (let n = 1; n < 20_000; n++) history.failed(String(n), TIMEOUT);
    history.sent('often');
    history.failed('another', TIMEOUT);
    const known = ['often', '1', '2', '19999', 'another'].map((key) => history.unavailable(key)?.reason);
    expect(known).toEqual(['rate-limited', undefined, 'timeout', 'timeout', 'timeout']);
  });

  it('counts anew the calls of a visitor who was called often a minute ago', () => {
    const { clock, history } = setup(2);
    for (let n = 0; n < 2; n++) history.sent('a');
    clock.advance(60_000);
    history.sent('a');
    expect(history.unavailable('a')).toBeUndefined();
    history.sent('a');
    expect(history.unavailable('a')?.reason).toBe('rate-limited');
  });

  it('does not lose sight of a visitor who is called often in a flood of those who are called once', () => {
    const { history } = setup(2);
    for (let n = 0; n < 2; n++) history.sent('often');
    for (let n = 0; n < 30_000; n++) history.sent(`once ${n}`);
    expect(history.unavailable('often')?.reason).toBe('rate-limited');
    // Of those the last 20 000 are remembered: a second call makes them visitors who are called often.
    for (const n of [29_999, 10_000, 9_999]) history.sent(`once ${n}`);
    const known = [9_999, 10_000, 29_999].map((n) => history.unavailable(`once ${n}`)?.reason);
    expect(known).toEqual([undefined, 'rate-limited', 'rate-limited']);
  });

  it('remembers 100 000 denylisted visitors, whom nobody else pushes out', () => {
    const { history } = setup();
    for (let n = 0; n <= 100_000; n++) history.denylist(String(n), 306);
    for (let n = 0; n <= 100_000; n++) history.failed(`f${n}`, TIMEOUT);
    const known = ['0', '1', '100000'].map((key) => history.unavailable(key)?.reason);
    expect(known).toEqual([undefined, 'denylisted', 'denylisted']);
  });

  it('drops visitors who have nothing that counts any more, faster than others come', () => {
    const stores = jest.spyOn(LRUCache.prototype, 'set');
    const { history, clock } = setup();
    for (let n = 0; n < 100; n++) history.sent(`old ${n}`);
    const store = stores.mock.contexts[0] as LRUCache<string, object>;
    stores.mockRestore();
    expect(store.size).toBe(100);
    clock.advance(59_999);
    history.sent('early');
    expect(store.size).toBe(101);
    clock.advance(1);
    history.sent('new');
    // One came and two went.
    expect(store.size).toBe(100);
    for (let n = 1; n < 60; n++) history.sent(`new ${n}`);
    // All but those of the last minute.
    expect(store.size).toBe(61);
  });

  it('drops visitors who were called often or in vain as soon as neither counts any more', () => {
    const stores = jest.spyOn(LRUCache.prototype, 'set');
    const { history, clock } = setup();
    for (let n = 0; n < 4; n++) history.failed(`failed ${n}`, TIMEOUT);
    const store = stores.mock.contexts[0] as LRUCache<string, object>;
    stores.mockRestore();
    const sizeAfter = (ms: number) => {
      clock.advance(ms);
      history.sent('another');
      return store.size;
    };
    clock.advance(COOLDOWN_MS - 1);
    for (let n = 0; n < 4; n++) history.sent(`often ${n % 2}`);
    expect(store.size).toBe(4 + 2);
    expect(sizeAfter(1)).toBe(2 + 2);
    expect(sizeAfter(1)).toBe(2 + 1);
    // From here on 'another' is one of them, too.
    expect(sizeAfter(59_997)).toBe(2 + 1);
    expect(sizeAfter(1)).toBe(1);
  });

  it('keeps one entry of a visitor, whatever becomes of them', () => {
    const stores = jest.spyOn(LRUCache.prototype, 'set');
    const { history } = setup();
    for (const key of ['often', 'often', 'failed', 'denylisted', 'worse', 'worse']) history.sent(key);
    const [once, often] = stores.mock.contexts as LRUCache<string, object>[];
    stores.mockRestore();
    history.failed('failed', TIMEOUT);
    history.denylist('denylisted', 306);
    history.denylist('worse', 306);
    expect([[...(once?.keys() ?? [])], [...(often?.keys() ?? [])].sort()]).toEqual([[], ['failed', 'often']]);
  });

  it('remembers as few visitors of each kind as it is told to', () => {
    const { history } = setup(1, 2);
    for (const key of ['sent 1', 'sent 2', 'sent 3']) history.sent(key);
    for (const key of ['failed 1', 'failed 2', 'failed 3']) history.failed(key, TIMEOUT);
    for (const key of ['listed 1', 'listed 2', 'listed 3']) history.denylist(key, 306);
    const forgotten = ['sent', 'failed', 'listed'].map((kind) => {
      return [1, 2, 3].filter((n) => history.unavailable(`${kind} ${n}`) === undefined);
    });
    expect(forgotten).toEqual([[1], [1], [1]]);
  });

  it('keeps of a visitor no more calls than those of the last minute', () => {
    const stores = jest.spyOn(LRUCache.prototype, 'set');
    const { history, clock } = setup();
    for (let n = 0; n < 1_000; n++) {
      history.sent('a');
      clock.advance(10_000);
    }
    const store = stores.mock.contexts.at(-1) as LRUCache<string, { sentAtMs: number[] }>;
    stores.mockRestore();
    expect(store.peek('a')?.sentAtMs).toHaveLength(6);
  });

  it('keeps what still counts: the last call, or a cooldown beyond it', () => {
    const { history, clock } = setup(1);
    history.sent('called');
    history.failed('failed', NO_DATA);
    clock.advance(14_999);
    for (let n = 0; n < 10; n++) history.sent(`other ${n}`);
    expect(['called', 'failed'].map((key) => history.unavailable(key)?.reason)).toEqual(['rate-limited', 'dcs-error']);
  });
});

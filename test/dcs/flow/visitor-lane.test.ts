import { VisitorLane } from '../../../src/dcs/flow/visitor-lane';
import { DcsError } from '../../../src/dcs/protocol/dcs-error';
import type { DcsReply } from '../../../src/dcs/protocol/reply';
import { replyTo } from '../outcome';

const MIN_INTERVAL_MS = 1_000;
const NO_DATA_INTERVAL_MS = 15_000;

/** A lane at a clock of its own, and calls that end when they are told to. */
function laneWithClock() {
  const clock = { nowMs: 5_000 };
  const lane = new VisitorLane({
    failureCooldownMs: MIN_INTERVAL_MS,
    noDataIntervalMs: NO_DATA_INTERVAL_MS,
    nowMs: () => clock.nowMs,
  });
  const calls: { answer: (reply?: DcsReply) => void; fail: (error: DcsError) => void }[] = [];
  const call = () =>
    new Promise<DcsReply>((resolve, reject) => {
      calls.push({ answer: (reply = replyTo({})) => resolve(reply), fail: reject });
    });
  /** One call that fails. */
  const fail = async (key: string, error: DcsError) => {
    const lookup = lane.lookup(key, '', () => Promise.reject(error));
    await expect(lookup).rejects.toBe(error);
  };
  return { lane, clock, calls, call, fail };
}

const failure = (reason: DcsError['reason'] = 'network') => new DcsError(reason, `failed: ${reason}`);
const noData = () => new DcsError('dcs-error', 'no data', { noData: true });

describe('VisitorLane', () => {
  it('makes one call for a visitor however many ask, and answers all of them', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = Array.from({ length: 100 }, () => lane.lookup('a', '', call));
    expect([calls.length, lane.size]).toEqual([1, 1]);
    const reply = replyTo({ segments: [1] });
    calls[0]?.answer(reply);
    for (const answered of await Promise.all(lookups)) expect(answered).toBe(reply);
    expect(lane.size).toBe(0);
  });

  it('fails all who share a call that fails', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = Array.from({ length: 100 }, () => lane.lookup('a', '', call));
    const error = failure();
    calls[0]?.fail(error);
    for (const settled of await Promise.allSettled(lookups))
      expect(settled).toEqual({ status: 'rejected', reason: error });
    expect([calls.length, lane.size]).toEqual([1, 0]);
  });

  it('makes calls for different visitors in parallel, and one failing holds no other', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = ['a', 'b', 'c'].map((key) => lane.lookup(key, '', call));
    expect([calls.length, lane.size]).toEqual([3, 3]);
    calls[1]?.fail(failure());
    await expect(lookups[1]).rejects.toMatchObject({ reason: 'network' });
    expect([lane.unavailableReason('a'), lane.unavailableReason('c'), lane.size]).toEqual([undefined, undefined, 2]);
    calls[0]?.answer();
    calls[2]?.answer();
    await Promise.all([lookups[0], lookups[2]]);
  });

  it('makes the next call after a success at once', async () => {
    const { lane, calls, call } = laneWithClock();
    for (let count = 1; count <= 3; count++) {
      const lookup = lane.lookup('a', '', call);
      expect(calls).toHaveLength(count);
      calls[count - 1]?.answer();
      await lookup;
    }
  });

  it.each(['timeout', 'network', 'http-status', 'bad-reply', 'rate-limited', 'dcs-error'] as const)(
    'makes no call for the interval after %s, counted from its end',
    async (reason) => {
      const { lane, clock, calls, call } = laneWithClock();
      const lookup = lane.lookup('a', '', call);
      clock.nowMs += 800;
      calls[0]?.fail(failure(reason));
      await expect(lookup).rejects.toMatchObject({ reason });

      clock.nowMs += MIN_INTERVAL_MS - 1;
      expect(lane.unavailableReason('a')).toMatchObject({ reason });
      await expect(lane.lookup('a', '', call)).rejects.toMatchObject({ reason });
      expect(calls).toHaveLength(1);

      clock.nowMs += 1;
      expect(lane.unavailableReason('a')).toBeUndefined();
      void lane.lookup('a', '', call);
      expect(calls).toHaveLength(2);
    },
  );

  it('is not pushed further by those who are refused', async () => {
    const { lane, clock, fail, call } = laneWithClock();
    await fail('a', failure());
    for (let step = 0; step < 10; step++) {
      await expect(lane.lookup('a', '', call)).rejects.toMatchObject({ reason: 'network' });
      clock.nowMs += MIN_INTERVAL_MS / 10;
    }
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it('waits longer after an answer without data', async () => {
    const { lane, clock, fail } = laneWithClock();
    await fail('a', noData());
    clock.nowMs += NO_DATA_INTERVAL_MS - 1;
    expect(lane.unavailableReason('a')).toMatchObject({ reason: 'dcs-error', noData: true });
    clock.nowMs += 1;
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it('goes by the last failure', async () => {
    const { lane, clock, fail } = laneWithClock();
    await fail('a', noData());
    clock.nowMs += NO_DATA_INTERVAL_MS;
    await fail('a', failure('timeout'));
    expect(lane.unavailableReason('a')).toMatchObject({ reason: 'timeout' });
    clock.nowMs += MIN_INTERVAL_MS;
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it.each(['opted-out', 'invalid-id', 'refused', 'closed'] as const)(
    'takes %s for an answer, not a failure',
    async (reason) => {
      const { lane, fail } = laneWithClock();
      await fail('a', failure(reason));
      expect(lane.unavailableReason('a')).toBeUndefined();
    },
  );

  it('refuses a denylisted visitor for good, with an error for each caller', async () => {
    const { lane, clock, fail, calls, call } = laneWithClock();
    await fail('a', new DcsError('denylisted', 'the DCS answered error 307', { dcsCode: 307 }));
    clock.nowMs = Number.MAX_SAFE_INTEGER;
    const refused = { reason: 'denylisted', code: 'ERR_AAM_DCS_REJECTED', dcsCode: 307 };
    await expect(lane.lookup('a', '', call)).rejects.toMatchObject(refused);
    expect(lane.unavailableReason('a')).toMatchObject(refused);
    expect(lane.unavailableReason('a')).not.toBe(lane.unavailableReason('a'));
    expect(lane.unavailableReason('b')).toBeUndefined();
    expect(calls).toHaveLength(0);
  });

  it('remembers so many failures and not more, the latest', async () => {
    const { lane, fail } = laneWithClock();
    const error = failure();
    for (let index = 0; index <= 10_000; index++)
      await lane.lookup(`${index}`, '', () => Promise.reject(error)).catch(() => {});
    expect([lane.unavailableReason('0'), lane.unavailableReason('1'), lane.unavailableReason('10000')]).toEqual([
      undefined,
      error,
      error,
    ]);
    await fail('another', error);
    expect(lane.size).toBe(0);
  });

  it('remembers so many denylisted visitors and not more, and failures push none out', async () => {
    const { lane } = laneWithClock();
    const error = new DcsError('denylisted', 'the DCS answered error 306', { dcsCode: 306 });
    const deny = (key: string) => lane.lookup(key, '', () => Promise.reject(error)).catch(() => {});
    for (let index = 0; index <= 100_000; index++) await deny(`${index}`);
    expect(lane.unavailableReason('0')).toBeUndefined();
    for (const key of ['1', '100000'])
      expect(lane.unavailableReason(key)).toMatchObject({ reason: 'denylisted', dcsCode: 306 });
    for (let index = 0; index <= 10_000; index++)
      await lane.lookup(`f${index}`, '', () => Promise.reject(failure())).catch(() => {});
    expect(lane.unavailableReason('2')).toMatchObject({ reason: 'denylisted' });
  });
});

describe('different questions about one visitor', () => {
  it('are asked one after the other, whatever becomes of the one before', async () => {
    const { lane, calls, call } = laneWithClock();
    const first = lane.lookup('a', '', call);
    const second = lane.lookup('a', 'in', call);
    const third = lane.lookup('a', 'out', call);
    expect(lane.lookup('a', 'in', call)).toBe(second);
    expect([calls.length, lane.size]).toEqual([1, 3]);
    calls[0]?.answer(replyTo({ segments: [1] }));
    await first;
    await new Promise(setImmediate);
    expect([calls.length, lane.size]).toEqual([2, 2]);
    calls[1]?.fail(failure('closed'));
    await expect(second).rejects.toMatchObject({ reason: 'closed' });
    await new Promise(setImmediate);
    calls[2]?.answer(replyTo({ segments: [3] }));
    expect((await third).segments).toEqual(['3']);
    expect(lane.size).toBe(0);
  });

  it('are not asked after one that failed: the visitor is left alone', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = ['', 'in'].map((variant) => lane.lookup('a', variant, call));
    calls[0]?.fail(failure());
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject({ reason: 'network' });
    expect(calls).toHaveLength(1);
  });

  it.each(['opted-out', 'invalid-id', 'refused'] as const)('are all answered by %s', async (reason) => {
    const { lane, calls, call } = laneWithClock();
    const lookups = ['', 'in', 'out'].map((variant) => lane.lookup('a', variant, call));
    calls[0]?.fail(failure(reason));
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject({ reason });
    expect([calls.length, lane.size]).toEqual([1, 0]);
  });

  it('are eight at most', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = Array.from({ length: 8 }, (_, n) => lane.lookup('a', String(n), call));
    await expect(lane.lookup('a', '8', call)).rejects.toMatchObject({ reason: 'overloaded' });
    void lane.lookup('b', '', call);
    expect(calls).toHaveLength(2);
    lane.abandonAll(failure('closed'));
    calls[0]?.fail(failure('closed'));
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject({ reason: 'closed' });
  });
});

describe('abandon()', () => {
  it('ends the call on its way and those that wait, of this visitor only, and makes room for a new one', async () => {
    const { lane, call } = laneWithClock();
    const reason = failure('no-consent');
    const signals: AbortSignal[] = [];
    const endless = ({ signal }: AbortController) => {
      signals.push(signal);
      return new Promise<DcsReply>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const ended = ['', 'in'].map((variant) => lane.lookup('a', variant, endless));
    void lane.lookup('b', '', endless);
    lane.abandon('a', reason);
    const after = jest.fn(call);
    void lane.lookup('a', '', after);
    for (const lookup of ended) await expect(lookup).rejects.toBe(reason);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    await new Promise(setImmediate);
    expect(after).toHaveBeenCalledTimes(1);
  });
});

import { VisitorLane } from '../../../src/dcs/flow/visitor-lane';
import { DcsError } from '../../../src/dcs/protocol/dcs-error';
import type { DcsReply } from '../../../src/dcs/protocol/reply';
import { replyTo } from '../outcome';

const COOLDOWN_MS = 1_000;
const NO_DATA_INTERVAL_MS = 15_000;

/** A lane with its own clock, and calls that the test settles. */
function laneWithClock() {
  const clock = { nowMs: 5_000 };
  const lane = new VisitorLane({
    failureCooldownMs: COOLDOWN_MS,
    noDataIntervalMs: NO_DATA_INTERVAL_MS,
    nowMs: () => clock.nowMs,
  });
  const calls: { answer: (reply?: DcsReply) => void; fail: (error: DcsError) => void }[] = [];
  const call = () =>
    new Promise<DcsReply>((resolve, reject) => {
      calls.push({ answer: (reply = replyTo({})) => resolve(reply), fail: reject });
    });
  /** Makes one call that fails. */
  const fail = async (key: string, error: DcsError) => {
    const lookup = lane.lookup(key, '', () => Promise.reject(error));
    await expect(lookup).rejects.toBe(error);
  };
  return { lane, clock, calls, call, fail };
}

const failure = (reason: DcsError['reason'] = 'network') => new DcsError(reason, `failed: ${reason}`);
const noData = () => new DcsError('dcs-error', 'no data', { noData: true });

describe('VisitorLane', () => {
  it('shares one call among all lookups of a visitor', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = Array.from({ length: 100 }, () => lane.lookup('a', '', call));
    expect([calls.length, lane.size]).toEqual([1, 1]);
    const reply = replyTo({ segments: [1] });
    calls[0]?.answer(reply);
    for (const answered of await Promise.all(lookups)) expect(answered).toBe(reply);
    expect(lane.size).toBe(0);
  });

  it('rejects all lookups that share a failed call', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = Array.from({ length: 100 }, () => lane.lookup('a', '', call));
    const error = failure();
    calls[0]?.fail(error);
    for (const settled of await Promise.allSettled(lookups))
      expect(settled).toEqual({ status: 'rejected', reason: error });
    expect([calls.length, lane.size]).toEqual([1, 0]);
  });

  it('makes calls about different visitors in parallel, independent of each other’s failures', async () => {
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

  it('makes the next call immediately after a success', async () => {
    const { lane, calls, call } = laneWithClock();
    for (let count = 1; count <= 3; count++) {
      const lookup = lane.lookup('a', '', call);
      expect(calls).toHaveLength(count);
      calls[count - 1]?.answer();
      await lookup;
    }
  });

  it.each(['timeout', 'network', 'http-status', 'bad-reply', 'rate-limited', 'dcs-error'] as const)(
    'makes no call during the cooldown after %s, counted from its end',
    async (reason) => {
      const { lane, clock, calls, call } = laneWithClock();
      const lookup = lane.lookup('a', '', call);
      clock.nowMs += 800;
      calls[0]?.fail(failure(reason));
      await expect(lookup).rejects.toMatchObject({ reason });

      clock.nowMs += COOLDOWN_MS - 1;
      expect(lane.unavailableReason('a')).toMatchObject({ reason });
      await expect(lane.lookup('a', '', call)).rejects.toMatchObject({ reason });
      expect(calls).toHaveLength(1);

      clock.nowMs += 1;
      expect(lane.unavailableReason('a')).toBeUndefined();
      void lane.lookup('a', '', call);
      expect(calls).toHaveLength(2);
    },
  );

  it('does not extend the cooldown by rejected lookups', async () => {
    const { lane, clock, fail, call } = laneWithClock();
    await fail('a', failure());
    for (let step = 0; step < 10; step++) {
      await expect(lane.lookup('a', '', call)).rejects.toMatchObject({ reason: 'network' });
      clock.nowMs += COOLDOWN_MS / 10;
    }
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it('has a longer cooldown after an answer without data', async () => {
    const { lane, clock, fail } = laneWithClock();
    await fail('a', noData());
    clock.nowMs += NO_DATA_INTERVAL_MS - 1;
    expect(lane.unavailableReason('a')).toMatchObject({ reason: 'dcs-error', noData: true });
    clock.nowMs += 1;
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it('applies the cooldown of the last failure', async () => {
    const { lane, clock, fail } = laneWithClock();
    await fail('a', noData());
    clock.nowMs += NO_DATA_INTERVAL_MS;
    await fail('a', failure('timeout'));
    expect(lane.unavailableReason('a')).toMatchObject({ reason: 'timeout' });
    clock.nowMs += COOLDOWN_MS;
    expect(lane.unavailableReason('a')).toBeUndefined();
  });

  it.each(['opted-out', 'invalid-id', 'refused', 'closed'] as const)(
    'has no cooldown after %s, which is an answer',
    async (reason) => {
      const { lane, fail } = laneWithClock();
      await fail('a', failure(reason));
      expect(lane.unavailableReason('a')).toBeUndefined();
    },
  );

  it('rejects lookups of a denylisted visitor for good, with a new error each', async () => {
    const { lane, clock, fail, calls, call } = laneWithClock();
    await fail('a', new DcsError('denylisted', 'The DCS answered with error 307.', { dcsCode: 307 }));
    clock.nowMs = Number.MAX_SAFE_INTEGER;
    const rejection = { reason: 'denylisted', code: 'ERR_AAM_DCS_REJECTED', dcsCode: 307 };
    await expect(lane.lookup('a', '', call)).rejects.toMatchObject(rejection);
    expect(lane.unavailableReason('a')).toMatchObject(rejection);
    expect(lane.unavailableReason('a')).not.toBe(lane.unavailableReason('a'));
    expect(lane.unavailableReason('b')).toBeUndefined();
    expect(calls).toHaveLength(0);
  });

  it('remembers a bounded number of failures, the latest ones', async () => {
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

  it('remembers a bounded number of denylisted visitors, which failures do not displace', async () => {
    const { lane } = laneWithClock();
    const error = new DcsError('denylisted', 'The DCS answered with error 306.', { dcsCode: 306 });
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

describe('different lookups of one visitor', () => {
  it('are made one after the other, whatever the outcome of the one before', async () => {
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

  it('are not made after a failed one: the cooldown applies to all', async () => {
    const { lane, calls, call } = laneWithClock();
    const lookups = ['', 'in'].map((variant) => lane.lookup('a', variant, call));
    calls[0]?.fail(failure());
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject({ reason: 'network' });
    expect(calls).toHaveLength(1);
  });

  it.each(['opted-out', 'invalid-id', 'refused'] as const)('are all settled by %s', async (reason) => {
    const { lane, calls, call } = laneWithClock();
    const lookups = ['', 'in', 'out'].map((variant) => lane.lookup('a', variant, call));
    calls[0]?.fail(failure(reason));
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject({ reason });
    expect([calls.length, lane.size]).toEqual([1, 0]);
  });

  it('are limited to eight', async () => {
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
  it('aborts this visitor’s calls in flight and queued, and no others, and admits a new one', async () => {
    const { lane, call } = laneWithClock();
    const reason = failure('no-consent');
    const signals: AbortSignal[] = [];
    const endless = ({ signal }: AbortController) => {
      signals.push(signal);
      return new Promise<DcsReply>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const aborted = ['', 'in'].map((variant) => lane.lookup('a', variant, endless));
    void lane.lookup('b', '', endless);
    lane.abandon('a', reason);
    const after = jest.fn(call);
    void lane.lookup('a', '', after);
    for (const lookup of aborted) await expect(lookup).rejects.toBe(reason);
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
    await new Promise(setImmediate);
    expect(after).toHaveBeenCalledTimes(1);
  });
});

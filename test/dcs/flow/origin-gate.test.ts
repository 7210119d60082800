import { OriginGate, type OriginGateConfig } from '../../../src/dcs/flow/origin-gate';
import { DcsError } from '../../../src/dcs/protocol/dcs-error';

const BREAKER = { minCalls: 10, windowMs: 10_000, failurePercent: 50, probeAfterMs: 5_000 };
const never = new AbortController().signal;
const failsWith = (reason: DcsError['reason'], details = {}) =>
  jest.fn(async () => Promise.reject(new DcsError(reason, `failed: ${reason}`, details)));
const succeeds = () => jest.fn(async () => 'reply');
const hangs = () => new Promise<never>(() => {});

function gateOf(config: Partial<OriginGateConfig> = {}) {
  const clock = { nowMs: 1_000_000 };
  const gate = new OriginGate({
    connections: 64,
    maxQueuedCalls: 128,
    breaker: BREAKER,
    nowMs: () => clock.nowMs,
    ...config,
  });
  /** Resolves with the reply, or with the reason of the failure. */
  const run = async (call: () => Promise<unknown>) => {
    try {
      return await gate.run(call, never);
    } catch (error) {
      return (error as DcsError).reason;
    }
  };
  const runMany = async (call: () => Promise<unknown>, times: number) => {
    for (let n = 0; n < times; n++) await run(call);
  };
  return { gate, clock, run, runMany };
}

/** A gate whose breaker has just opened. */
async function openGate(config: Partial<OriginGateConfig> = {}) {
  const scene = gateOf(config);
  await scene.runMany(failsWith('timeout'), 10);
  expect(scene.gate.stats().breaker).toBe('open');
  return scene;
}

describe('the breaker of an origin', () => {
  it.each(['timeout', 'network', 'http-status', 'bad-reply'] as const)(
    'opens on calls that fail with %s',
    async (reason) => {
      const { gate, run, runMany } = gateOf();
      await runMany(failsWith(reason), 9);
      expect(gate.unavailableReason()).toBeUndefined();
      expect(await run(failsWith(reason))).toBe(reason);
      expect(gate.unavailableReason()).toMatchObject({ reason: 'circuit-open', code: 'ERR_AAM_DCS_CIRCUIT_OPEN' });
      const call = succeeds();
      expect(await run(call)).toBe('circuit-open');
      expect(call).not.toHaveBeenCalled();
    },
  );

  it('opens on unexpected errors', async () => {
    const { gate, runMany } = gateOf();
    await runMany(async () => Promise.reject(new TypeError('unforeseen')), 10);
    expect(gate.stats().breaker).toBe('open');
  });

  it.each(['dcs-error', 'opted-out', 'denylisted', 'invalid-id', 'refused', 'closed'] as const)(
    'counts a call that ends with %s as a success',
    async (reason) => {
      const { gate, run, runMany } = gateOf();
      await runMany(failsWith(reason), 40);
      expect(gate.unavailableReason()).toBeUndefined();
      await runMany(failsWith('timeout'), 39);
      expect(gate.stats().breaker).toBe('closed');
      expect(await run(failsWith('timeout'))).toBe('timeout');
      expect(gate.stats().breaker).toBe('open');
    },
  );

  it('admits exactly one probe after probeAfterMs, and closes when it succeeds', async () => {
    const { gate, clock, run } = await openGate();
    clock.nowMs += 4_999;
    expect(gate.unavailableReason()).toMatchObject({ reason: 'circuit-open' });
    clock.nowMs += 1;
    expect([gate.unavailableReason(), gate.isBroken]).toEqual([undefined, true]);
    let answer: (reply: string) => void = () => {};
    const probe = run(() => new Promise((resolve) => (answer = resolve)));
    expect(gate.unavailableReason()).toMatchObject({ reason: 'circuit-open' });
    expect(gate.stats().breaker).toBe('half-open');
    const second = succeeds();
    expect(await run(second)).toBe('circuit-open');
    expect(second).not.toHaveBeenCalled();
    answer('back');
    expect(await probe).toBe('back');
    expect([gate.unavailableReason(), gate.isBroken, gate.stats().breaker]).toEqual([undefined, false, 'closed']);
  });

  it('stays open for as long again when the probe fails', async () => {
    const { gate, clock, run } = await openGate();
    clock.nowMs += 5_000;
    expect(await run(failsWith('network'))).toBe('network');
    clock.nowMs += 4_999;
    expect(gate.unavailableReason()).toMatchObject({ reason: 'circuit-open' });
    clock.nowMs += 1;
    expect(await run(succeeds())).toBe('reply');
    expect(gate.isBroken).toBe(false);
  });

  it('does not depend on the wall clock', async () => {
    const { gate, clock, run } = await openGate();
    const hourAgo = Date.now() - 3_600_000;
    jest.spyOn(Date, 'now').mockReturnValue(hourAgo);
    clock.nowMs += 5_000;
    expect(await run(succeeds())).toBe('reply');
    expect(gate.stats().breaker).toBe('closed');
    jest.restoreAllMocks();
  });

  it('rejects calls that were queued when it opened', async () => {
    const { run } = gateOf({ connections: 1, breaker: { ...BREAKER, minCalls: 1 } });
    let fail: (error: Error) => void = () => {};
    const first = run(() => new Promise((_, reject) => (fail = reject)));
    const waiting = succeeds();
    const second = run(waiting);
    fail(new DcsError('timeout', 'failed: timeout'));
    expect([await first, await second]).toEqual(['timeout', 'circuit-open']);
    expect(waiting).not.toHaveBeenCalled();
  });
});

describe('the bulkhead of an origin', () => {
  it('bounds the calls in flight and in the queue, and rejects the rest at once', async () => {
    const { gate, run } = gateOf({ connections: 2, maxQueuedCalls: 1 });
    const ends: ((reply: string) => void)[] = [];
    const call = jest.fn(() => new Promise<string>((resolve) => ends.push(resolve)));
    const [first, second, third] = [run(call), run(call), run(call)];
    expect([call.mock.calls.length, gate.stats()]).toEqual([2, expect.objectContaining({ running: 2, queued: 1 })]);
    expect(gate.unavailableReason()).toMatchObject({ reason: 'overloaded', code: 'ERR_AAM_DCS_OVERLOADED' });
    expect(await run(call)).toBe('overloaded');
    ends[0]?.('first');
    expect(await first).toBe('first');
    await new Promise(setImmediate);
    expect(call).toHaveBeenCalledTimes(3);
    ends[1]?.('second');
    ends[2]?.('third');
    expect([await second, await third]).toEqual(['second', 'third']);
    expect(gate.stats()).toMatchObject({ running: 0, queued: 0 });
  });

  it('does not make a call that was aborted in the queue', async () => {
    const { gate, run } = gateOf({ connections: 1, maxQueuedCalls: 1 });
    let end: (reply: string) => void = () => {};
    const first = run(() => new Promise((resolve) => (end = resolve)));
    const controller = new AbortController();
    const late = succeeds();
    const second = gate.run(late, controller.signal);
    controller.abort();
    end('first');
    await first;
    await expect(second).rejects.toThrow();
    expect(late).not.toHaveBeenCalled();
    expect(gate.unavailableReason()).toBeUndefined();
  });

  it('does not open the breaker when it is full', async () => {
    const { gate, run } = gateOf({ connections: 1, maxQueuedCalls: 1 });
    void run(hangs);
    void run(hangs);
    for (let n = 0; n < 20; n++) expect(await run(hangs)).toBe('overloaded');
    expect(gate.stats().breaker).toBe('closed');
  });
});

describe('an origin that is rate limiting', () => {
  const tooMany = (retryAfterMs?: number) => failsWith('rate-limited', { retryAfterMs });

  it('gets no calls for the time of Retry-After', async () => {
    const { gate, clock, run } = gateOf();
    expect(await run(tooMany(7_000))).toBe('rate-limited');
    expect(gate.stats()).toMatchObject({ pausedForMs: 7_000, breaker: 'closed' });
    clock.nowMs += 6_999;
    const call = succeeds();
    expect(gate.unavailableReason()).toMatchObject({ reason: 'rate-limited', code: 'ERR_AAM_DCS_RATE_LIMITED' });
    expect([await run(call), call.mock.calls.length]).toEqual(['rate-limited', 0]);
    clock.nowMs += 1;
    expect(await run(call)).toBe('reply');
  });

  it('gets no calls for ten minutes at most, whatever Retry-After says', async () => {
    const { gate, run } = gateOf();
    await run(tooMany(1e15));
    expect(gate.stats().pausedForMs).toBe(600_000);
  });

  it('gets longer pauses each time without Retry-After, with jitter', async () => {
    const { gate, clock, run } = gateOf();
    const pauses: number[] = [];
    for (let n = 0; n < 9; n++) {
      await run(tooMany());
      const { pausedForMs } = gate.stats();
      pauses.push(pausedForMs);
      clock.nowMs += pausedForMs;
    }
    pauses.forEach((pauseMs, n) => {
      const most = Math.min(60_000, 1_000 * 2 ** n);
      expect(pauseMs).toBeGreaterThanOrEqual(Math.floor(most / 2));
      expect(pauseMs).toBeLessThanOrEqual(most);
    });
  });

  it('gets a short pause again after an answer', async () => {
    const { gate, clock, run } = gateOf();
    for (let n = 0; n < 6; n++) {
      await run(tooMany());
      clock.nowMs += gate.stats().pausedForMs;
    }
    await run(succeeds());
    await run(tooMany());
    expect(gate.stats().pausedForMs).toBeLessThanOrEqual(1_000);
  });

  it('gets one pause for all calls rejected together', async () => {
    const { gate, run } = gateOf();
    await Promise.all(Array.from({ length: 50 }, () => run(tooMany())));
    expect(gate.stats().pausedForMs).toBeLessThanOrEqual(1_000);
    await run(succeeds());
    expect(gate.stats().pausedForMs).toBeGreaterThan(0);
  });
});

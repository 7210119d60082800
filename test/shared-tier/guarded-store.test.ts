import { GuardedStore } from '../../src/shared-tier/guarded-store';
import type { SharedStore } from '../../src/shared-tier/shared-store';
import { FakeClock } from '../dcs/flow/fake-clock';

const TIMEOUT_MS = 25;

/** A store whose commands the test settles. */
function guarded(failureOf?: SharedStore['failureOf']) {
  const clock = new FakeClock();
  const store = { timeoutMs: TIMEOUT_MS, isReady: true, failureOf } as unknown as SharedStore & { isReady: boolean };
  const guard = new GuardedStore(store, clock);
  const never = () => new Promise<string>(() => {});
  const late = async () => {
    const result = guard.run(never);
    clock.advance(TIMEOUT_MS + 1);
    return result;
  };
  return { clock, store, guard, never, late };
}

describe('a guarded store', () => {
  it('waits for a command for as long as it may take, and hands over what comes later', async () => {
    const { clock, guard } = guarded();
    let answer: (value: string) => void = () => {};
    const late: string[] = [];
    const result = guard.run(
      () =>
        new Promise<string>((resolve) => {
          answer = resolve;
        }),
      (value) => late.push(value),
    );
    await Promise.resolve();
    clock.advance(TIMEOUT_MS + 1);
    expect(await result).toBeUndefined();
    expect(guard.failures.timeout).toBe(1);
    answer('too late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(late).toEqual(['too late']);
    expect(clock.pending).toBe(0);
  });

  it('takes an answer that had come before the process looked at its timers', async () => {
    const { clock, guard } = guarded();
    let answer: (value: string) => void = () => {};
    const result = guard.run(
      () =>
        new Promise<string>((resolve) => {
          answer = resolve;
        }),
    );
    await Promise.resolve();
    // The deadline is noticed first, and the answer in the same turn.
    clock.advance(TIMEOUT_MS - 1);
    answer('in time');
    expect(await result).toBe('in time');
    expect(guard.failures.timeout).toBe(0);
  });

  it('gives no command while the store is not ready, and tries one when it is', async () => {
    const { store, guard } = guarded();
    store.isReady = false;
    expect(await guard.run(async () => 'sent')).toBeUndefined();
    expect([guard.isUp, guard.mayTry]).toEqual([false, false]);
    store.isReady = true;
    // It is up again when one command has succeeded.
    expect([guard.isUp, guard.mayTry]).toEqual([false, true]);
    const order: string[] = [];
    await guard.try(
      async () => 'well',
      (value) => order.push(value),
    );
    expect(order).toEqual(['well']);
    expect(await guard.run(async () => 'sent')).toBe('sent');
    expect(Object.values(guard.failures).every((count) => count === 0)).toBe(true);
  });

  it('goes down when half of at least five commands have failed, and rests for a second', async () => {
    const { clock, guard, late } = guarded();
    for (let n = 0; n < 4; n++) await late();
    expect(guard.isUp).toBe(true);
    await late();
    expect([guard.isUp, guard.mayTry]).toEqual([false, false]);
    clock.advance(1_000);
    expect(guard.mayTry).toBe(true);
    const trying = guard.try(
      () => Promise.reject(new Error('still')),
      () => {},
    );
    // One at a time.
    expect(guard.mayTry).toBe(false);
    await trying;
    expect([guard.isUp, guard.mayTry]).toEqual([false, false]);
    clock.advance(1_000);
    expect(guard.mayTry).toBe(true);
  });

  it.each([
    ['disconnected', false],
    ['read-only', false],
    ['loading', false],
    ['cluster-down', false],
    ['other', true],
    ['out-of-memory', true],
  ] as const)('after one command that failed as %s is up: %s', async (failure, isUp) => {
    const { guard } = guarded(() => failure);
    expect(await guard.run(() => Promise.reject(new Error('x')))).toBeUndefined();
    expect(guard.failures[failure]).toBe(1);
    expect(guard.isUp).toBe(isUp);
  });

  it('stays up where only writes fail, however many', async () => {
    const { guard } = guarded(() => 'out-of-memory');
    for (let n = 0; n < 50; n++) await guard.run(() => Promise.reject(new Error('x')));
    expect(guard.isUp).toBe(true);
  });

  it('takes whatever a store throws, and names it has never heard of, for a failure', async () => {
    const throwing = guarded(() => {
      throw new Error('of the store itself');
    });
    const thrown = () => {
      throw new Error('instead of rejecting');
    };
    expect(await throwing.guard.run(thrown)).toBeUndefined();
    const inventive = guarded(() => 'constructor' as never);
    expect(await inventive.guard.run(thrown)).toBeUndefined();
    const silent = guarded();
    expect(await silent.guard.run(thrown)).toBeUndefined();
    for (const { guard } of [throwing, inventive, silent]) expect(guard.failures.other).toBe(1);
  });
});

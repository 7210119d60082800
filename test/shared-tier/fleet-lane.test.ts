import type { Call } from '../../src/dcs/flow/call';
import { CallHistory } from '../../src/dcs/flow/call-history';
import { FleetLane } from '../../src/shared-tier/fleet-lane';
import { SharedTier } from '../../src/shared-tier/shared-tier';
import { createMemoryStore } from '../../src/testing/memory-store';
import { FakeClock } from '../dcs/flow/fake-clock';
import { newCall } from '../dcs/flow/new-call';

const LOCK_MS = 2_000;
const HISTORY = { failureCooldownMs: 1_000, noDataCooldownMs: 15_000, maxCallsPerMinute: 20 };
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Two processes on one store, by one clock. */
function lanes() {
  const clock = new FakeClock();
  const store = createMemoryStore(() => clock.nowMs());
  const create = () => {
    const tier = new SharedTier({ store, channel: 'fleet', lockMs: LOCK_MS, keepMs: 60_000 }, clock);
    const history = new CallHistory(HISTORY, () => clock.nowMs());
    const log: string[] = [];
    const gate = { offer: 'begin' as 'begin' | 'held' };
    const lane: FleetLane = new FleetLane(tier, HISTORY.maxCallsPerMinute, clock, history, {
      begin: (call: Call) => {
        call.phase = 'running';
        log.push(`began ${call.kind}`);
      },
      offer: () => gate.offer,
      reject: (call, { reason }) => {
        log.push(`rejected ${call.kind}: ${reason}`);
        lane.leave(call);
      },
      found: (call) => {
        log.push(`found ${call.kind}`);
        lane.leave(call);
      },
    });
    return { tier, history, log, gate, lane };
  };
  return { clock, store, one: create(), other: create() };
}

describe('the lane of a fleet', () => {
  it('gives the turn to one process after the other, by the message of the first', async () => {
    const { one, other } = lanes();
    const [first, second] = [newCall('event'), newCall('event')];
    one.lane.add(first);
    await settled();
    other.lane.add(second);
    await settled();
    expect([one.log, other.log]).toEqual([['began event'], []]);
    expect(other.lane.isNext(second)).toBe(true);
    one.lane.leave(first);
    await settled();
    expect(other.log).toEqual(['began event']);
    expect([one.lane.size, other.lane.size]).toEqual([0, 1]);
  });

  it('gives the turn when the life of a lock is over whose holder is not heard of', async () => {
    const { clock, one, other } = lanes();
    one.lane.add(newCall('lookup'));
    await settled();
    other.lane.add(newCall('lookup'));
    await settled();
    clock.advance(LOCK_MS);
    await settled();
    expect(other.log).toEqual([]);
    clock.advance(2);
    await settled();
    expect(other.log).toEqual(['began lookup']);
  });

  it('keeps no lock for a call that ends while it waits, or while it asks', async () => {
    const { clock, one, other } = lanes();
    const holder = newCall('lookup');
    one.lane.add(holder);
    await settled();
    const waiting = newCall('lookup');
    other.lane.add(waiting);
    await settled();
    other.lane.leave(waiting);
    expect(other.lane.keys()).toEqual([]);
    one.lane.leave(holder);
    await settled();
    const asking = newCall('lookup');
    other.lane.add(asking);
    // Before the store has answered.
    other.lane.leave(asking);
    await settled();
    one.lane.add(newCall('lookup'));
    await settled();
    expect([one.log, other.log]).toEqual([['began lookup', 'began lookup'], []]);
    expect(clock.keepingAlive).toBe(0);
  });

  it('turns away who consented before a withdrawal that was seen elsewhere, but for an opt-out', async () => {
    const { clock, store, one } = lanes();
    const consentedAtMs = clock.nowMs();
    clock.advance(1_000);
    await store.invalidate('a', {
      ...{ isWithdrawal: true, isCertain: true, keepMs: 60_000, message: { channel: 'x', text: 'x' } },
    });
    clock.advance(1_000);
    for (const kind of ['lookup', 'event', 'opt-out'] as const) {
      const call = Object.assign(newCall(kind), { consentedAtMs });
      one.lane.add(call);
      await settled();
      one.lane.leave(call);
    }
    expect(one.log).toEqual(['rejected lookup: no-consent', 'rejected event: no-consent', 'began opt-out']);
  });

  it('gives the lock back for an event whose server has closed meanwhile, which waits on', async () => {
    const { one, other } = lanes();
    const event = newCall('event');
    one.lane.add(event);
    one.gate.offer = 'held';
    await settled();
    expect([one.log, event.phase]).toEqual([[], 'waiting']);
    other.lane.add(newCall('lookup'));
    await settled();
    expect(other.log).toEqual(['began lookup']);
    expect(one.lane.callsAbout('a')).toEqual([event]);
    expect(one.lane.takeWaiting('a', () => true)).toEqual([event]);
  });

  it('leaves a visitor alone after a call of another process has failed: lookups are told why, events wait', async () => {
    const { clock, one, other } = lanes();
    const failing = newCall('lookup');
    one.lane.add(failing);
    await settled();
    one.history.failed('a', { reason: 'http-status', message: '' });
    one.lane.leave(failing);
    await settled();
    other.lane.add(newCall('lookup'));
    await settled();
    other.lane.add(newCall('event'));
    await settled();
    expect(other.log).toEqual(['rejected lookup: http-status']);
    clock.advance(HISTORY.failureCooldownMs);
    await settled();
    expect(other.log).toEqual(['rejected lookup: http-status', 'began event']);
  });

  it('hands over what another process has brought', async () => {
    const { one, other } = lanes();
    const call = newCall('lookup');
    one.lane.add(call);
    await settled();
    other.lane.add(newCall('lookup'));
    call.brought = { text: 'text', ttlMs: 60_000, isFinal: false };
    one.lane.leave(call);
    await settled();
    expect(other.log).toEqual(['found lookup']);
    expect(other.lane.size).toBe(0);
  });

  it('lets each process go on by itself while the store is down', async () => {
    const { store, one, other } = lanes();
    store.isReady = false;
    one.lane.add(newCall('lookup'));
    other.lane.add(newCall('lookup'));
    // At once.
    expect([one.log, other.log]).toEqual([['began lookup'], ['began lookup']]);
    await one.tier.close();
    await other.tier.close();
  });
});

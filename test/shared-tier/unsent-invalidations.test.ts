import { UnsentInvalidations } from '../../src/shared-tier/unsent-invalidations';

function invalidations(maxKept?: number) {
  const clock = { nowMs: 1_000 };
  const unsent = new UnsentInvalidations(() => clock.nowMs, maxKept);
  const keys = () => unsent.toSend().map(({ key }) => key);
  return { unsent, clock, keys };
}

describe('invalidations that others may not have heard of', () => {
  it('are kept until they are sent, and then for as long as a server that fails may lose them', () => {
    const { unsent, clock, keys } = invalidations();
    const first = unsent.add('a', 'withdrawn', true);
    expect(unsent.waitingFor('a')).toBe(first);
    first.state = 'sending';
    expect(unsent.waitingFor('a')).toBeUndefined();
    first.state = 'sent';
    clock.nowMs += 30_000;
    expect(keys()).toEqual(['a']);
    clock.nowMs += 1;
    unsent.add('b', 'forgotten', true);
    clock.nowMs += 3_600_000;
    expect(keys()).toEqual(['b']);
  });

  it('are the newest of each visitor, in which a refusal outlasts that something was forgotten', () => {
    const { unsent, keys } = invalidations();
    unsent.add('a', 'withdrawn', true);
    unsent.add('b', 'opted-out', false);
    unsent.add('a', 'forgotten', false);
    expect(keys()).toEqual(['b', 'a']);
    // Nobody has been told yet of what was certain.
    expect(unsent.toSend().at(-1)).toMatchObject({ kind: 'withdrawn', isCertain: true, state: 'waiting' });
    expect(unsent.add('b', 'withdrawn', false)).toMatchObject({ kind: 'withdrawn', isCertain: false });
  });

  it('are no more than there is room for: the oldest are dropped, and counted if nobody was told', () => {
    const { unsent, clock, keys } = invalidations(2);
    unsent.add('a', 'withdrawn', true).state = 'sent';
    unsent.add('b', 'withdrawn', true);
    clock.nowMs += 5;
    unsent.add('c', 'withdrawn', true);
    expect([keys(), unsent.dropped, unsent.droppedAtMs]).toEqual([['b', 'c'], 0, undefined]);
    unsent.add('d', 'withdrawn', true);
    expect([keys(), unsent.dropped, unsent.droppedAtMs]).toEqual([['c', 'd'], 1, 1_000]);
  });
});

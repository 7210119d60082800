import { AnswerCache, type Stamped } from '../../src/cache/answer-cache';

interface Answer extends Stamped {
  readonly text: string;
}

function answer(
  text: string,
  { ttlMs = 100, keptStale = true, answersAll = false, outlivesWithdrawal = false } = {},
): Answer {
  const stamp = { storedAtMs: 0, firstSeenMs: 0, variant: '', other: undefined };
  return { text, ttlMs, keptStale, answersAll, outlivesWithdrawal, ...stamp };
}

function setup({ maxVisitors = 10, staleWhileRevalidateMs = 1_000, staleIfErrorMs = 5_000 } = {}) {
  const clock = { nowMs: 0 };
  const cache = new AnswerCache<Answer>({
    maxVisitors,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    nowMs: () => clock.nowMs,
  });
  /** Stores an answer whose text is the variant. */
  const store = (key: string, ...variants: string[]) => {
    for (const variant of variants) cache.set(key, variant, answer(variant));
  };
  const texts = (key: string, ...variants: string[]) => variants.map((variant) => cache.get(key, variant)?.text);
  return { cache, clock, store, texts };
}

describe('AnswerCache', () => {
  it('stores an answer with the time and the question', () => {
    const { cache, clock } = setup();
    clock.nowMs = 500;
    cache.set('a', 'in', answer('one'));
    expect(cache.get('a', 'in')).toMatchObject({ text: 'one', storedAtMs: 500, variant: 'in' });
    expect([cache.size, cache.get('b', 'in')]).toEqual([1, undefined]);
  });

  it('tells the freshness of a value to the millisecond', () => {
    const { cache, clock } = setup();
    clock.nowMs = 7;
    const value = answer('one');
    cache.set('a', '', value);
    const at = [7, 106, 107, 1_106, 1_107, 5_106, 5_107];
    const states = ['fresh', 'fresh', 'stale', 'stale', 'late', 'late', 'expired'];
    expect(at.map((nowMs) => cache.freshness(value, nowMs))).toEqual(states);
  });

  it('serves stale values for the larger of both windows', () => {
    const { cache } = setup({ staleWhileRevalidateMs: 1_000, staleIfErrorMs: 10 });
    expect(cache.freshness(answer('one'), 1_099)).toBe('stale');
    expect(cache.freshness(answer('one'), 1_100)).toBe('expired');
  });

  it('expires at its ttl a value that must not be kept stale', () => {
    const { cache } = setup();
    expect(cache.freshness(answer('one', { keptStale: false }), 99)).toBe('fresh');
    expect(cache.freshness(answer('one', { keptStale: false }), 100)).toBe('expired');
  });

  it('never takes a value with a ttl of 0 for fresh', () => {
    const { cache } = setup();
    expect(cache.freshness(answer('one', { ttlMs: 0 }), 0)).toBe('stale');
  });

  it('keeps the answers to different variants apart, and replaces the one to the same', () => {
    const { cache, store, texts } = setup();
    store('a', '', 'in', 'out');
    cache.set('a', 'in', answer('in again'));
    expect(texts('a', '', 'in', 'out', 'none')).toEqual(['', 'in again', 'out', undefined]);
    expect(cache.size).toBe(1);
  });

  it('keeps the four newest variants of a visitor', () => {
    const { store, texts } = setup();
    store('a', '1', '2', '3', '4', '5', '2', '6');
    expect(texts('a', '1', '2', '3', '4', '5', '6')).toEqual([undefined, '2', undefined, '4', '5', '6']);
  });

  it('serves an answer to all variants for each of them, until the next answer', () => {
    const { cache, store, texts } = setup();
    store('a', '', 'in');
    cache.set('a', 'in', answer('away', { answersAll: true }));
    expect(texts('a', '', 'in', 'out')).toEqual(['away', 'away', 'away']);
    store('a', '');
    expect(texts('a', '', 'in')).toEqual(['', undefined]);
  });

  it('forgets all variants of a visitor, and no other visitor', () => {
    const { cache, store, texts } = setup();
    store('a', '', 'in');
    store('b', '');
    cache.forget('a');
    cache.forget('nobody');
    expect([texts('a', '', 'in'), texts('b', ''), cache.size]).toEqual([[undefined, undefined], [''], 1]);
  });

  it('on a withdrawal keeps what outlives it, and nothing else', () => {
    const { cache, store, texts } = setup();
    store('a', 'old');
    cache.set('a', 'said by the DCS', answer('away', { outlivesWithdrawal: true }));
    store('a', 'in', 'out');
    cache.withdraw('a');
    expect(texts('a', 'old', 'said by the DCS', 'in', 'out')).toEqual([undefined, 'away', undefined, undefined]);
    store('b', '', 'in');
    cache.withdraw('b');
    cache.withdraw('nobody');
    expect([cache.has('a'), cache.has('b'), cache.has('nobody'), cache.size]).toEqual([true, false, false, 1]);
  });

  it('evicts the least recently seen visitor beyond maxVisitors; asking whether there is one is no visit', () => {
    const { cache, store, texts } = setup({ maxVisitors: 2 });
    store('a', '');
    store('b', '');
    cache.get('a', '');
    expect(cache.has('b')).toBe(true);
    store('c', '');
    expect([cache.has('b'), cache.size]).toEqual([false, 2]);
    expect([texts('a', ''), texts('c', '')]).toEqual([[''], ['']]);
  });
});

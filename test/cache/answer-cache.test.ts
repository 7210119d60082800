import fc from 'fast-check';
import { AnswerCache } from '../../src/cache/answer-cache';
import { storedAtMsOf } from '../../src/cache/stamps';

function setup({
  maxVisitors = 10,
  maxBytes = 1_000_000,
  staleWhileRevalidateMs = 1_000,
  staleIfErrorMs = 5_000,
} = {}) {
  const clock = { nowMs: 0 };
  const cache = new AnswerCache({
    maxVisitors,
    maxBytes,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    nowMs: () => clock.nowMs,
  });
  const set = (key: string, variant: string, text: string, { ttlMs = 100, isFinal = false } = {}) =>
    cache.set(key, `${text}.`, { variant, isFinal, ttlMs, validAt: 0 });
  /** Stores an answer whose text is the variant. */
  const store = (key: string, ...variants: string[]) => {
    for (const variant of variants) set(key, variant, variant);
  };
  const textOf = (key: string, variant = '') => cache.get(key, variant)?.split('.', 1)[0];
  const texts = (key: string, ...variants: string[]) => variants.map((variant) => textOf(key, variant));
  /** The freshness of the only answer about a visitor at these times. */
  const freshness = (key: string, ...at: number[]) => {
    return at.map((nowMs) => cache.freshness(cache.get(key, '') as string, nowMs));
  };
  return { cache, clock, set, store, textOf, texts, freshness };
}

describe('AnswerCache', () => {
  it('stores an answer with the time', () => {
    const { cache, clock, set } = setup();
    clock.nowMs = 500.7;
    set('a', 'in', 'one');
    const entry = cache.get('a', 'in') as string;
    expect([entry.startsWith('one.'), storedAtMsOf(entry)]).toEqual([true, 500]);
    expect([cache.size, cache.get('a', 'i'), cache.get('b', 'in')]).toEqual([1, undefined, undefined]);
  });

  it('tells the freshness of an answer to the millisecond', () => {
    const { clock, set, freshness } = setup();
    clock.nowMs = 7;
    set('a', '', 'one');
    expect(freshness('a', 7, 106, 107, 1_106, 1_107, 5_106, 5_107)).toEqual([
      'fresh',
      'fresh',
      'stale',
      'stale',
      'late',
      'late',
      'expired',
    ]);
  });

  it('serves stale answers for the larger of both windows', () => {
    const { set, freshness } = setup({ staleWhileRevalidateMs: 1_000, staleIfErrorMs: 10 });
    set('a', '', 'one');
    expect(freshness('a', 1_099, 1_100)).toEqual(['stale', 'expired']);
  });

  it('ends a final answer with its ttl', () => {
    const { set, freshness } = setup();
    set('a', '', 'one', { isFinal: true });
    expect(freshness('a', 99, 100)).toEqual(['fresh', 'expired']);
  });

  it('never takes an answer with a ttl of 0 for fresh', () => {
    const { set, freshness } = setup();
    set('a', '', 'one', { ttlMs: 0 });
    expect(freshness('a', 0)).toEqual(['stale']);
  });

  it('keeps the longest ttl, and an answer of a process that has run for years', () => {
    const { clock, set, freshness } = setup({ staleWhileRevalidateMs: 0, staleIfErrorMs: 0 });
    clock.nowMs = 10 ** 12;
    set('a', '', 'one', { ttlMs: 2_147_483_647 });
    expect(freshness('a', 10 ** 12 + 2_147_483_646, 10 ** 12 + 2_147_483_647)).toEqual(['fresh', 'expired']);
  });

  it('keeps the answers to different variants apart, and replaces the one to the same', () => {
    const { cache, set, store, texts } = setup();
    store('a', '', 'in', 'out');
    set('a', 'in', 'in again');
    expect(texts('a', '', 'in', 'out', 'none')).toEqual(['', 'in again', 'out', undefined]);
    expect(cache.size).toBe(1);
  });

  it('keeps the four newest variants of a visitor', () => {
    const { store, texts } = setup();
    store('a', '1', '2', '3', '4', '5', '2', '6');
    expect(texts('a', '1', '2', '3', '4', '5', '6')).toEqual([undefined, '2', undefined, '4', '5', '6']);
  });

  it('serves a final answer whatever is asked, until the next answer', () => {
    const { set, store, texts } = setup();
    store('a', '', 'in');
    set('a', 'in', 'away', { isFinal: true });
    expect(texts('a', '', 'in', 'out')).toEqual(['away', 'away', 'away']);
    store('a', '');
    expect(texts('a', '', 'in')).toEqual(['', undefined]);
  });

  it('puts other text in the place of an answer that is still there, with its time', () => {
    const { cache, clock, store, texts, freshness } = setup();
    store('a', '', 'in');
    const entry = cache.get('a', '') as string;
    clock.nowMs = 50;
    cache.replace('a', entry, `new${entry}`);
    expect(texts('a', '', 'in')).toEqual(['new', 'in']);
    expect(freshness('a', 99, 100)).toEqual(['fresh', 'stale']);
    cache.replace('a', entry, `newer${entry}`);
    cache.replace('b', entry, entry);
    expect([texts('a', ''), cache.has('b')]).toEqual([['new'], false]);
  });

  it('forgets all variants of a visitor, and no other visitor', () => {
    const { cache, store, texts } = setup();
    store('a', '', 'in');
    store('b', '');
    cache.forget('a');
    cache.forget('nobody');
    expect([texts('a', '', 'in'), texts('b', ''), cache.size]).toEqual([[undefined, undefined], [''], 1]);
  });

  it('on a withdrawal keeps what is final, and nothing else', () => {
    const { cache, set, store, texts } = setup();
    set('a', 'in', 'away', { isFinal: true });
    cache.withdraw('a');
    expect(texts('a', 'in', 'out')).toEqual(['away', 'away']);
    store('b', '', 'in');
    cache.withdraw('b');
    cache.withdraw('nobody');
    expect([cache.has('a'), cache.has('b'), cache.has('nobody'), cache.size]).toEqual([true, false, false, 1]);
  });

  it('evicts beyond maxVisitors who has not come back; asking whether there is one is no visit', () => {
    const { cache, clock, store, texts } = setup({ maxVisitors: 2 });
    store('a', '');
    store('b', '');
    clock.nowMs = 5_000;
    cache.get('a', '');
    expect(cache.has('b')).toBe(true);
    store('c', '');
    expect([cache.has('b'), cache.size]).toEqual([false, 2]);
    expect([texts('a', ''), texts('c', '')]).toEqual([[''], ['']]);
  });

  it('never takes more than maxBytes, as far as characters tell', () => {
    const { cache, set } = setup({ maxVisitors: 1_000, maxBytes: 100_000 });
    for (let n = 0; n < 500; n++) {
      set(`visitor${n}`, String(n % 3), 'x'.repeat((n * 7_919) % 6_000));
      expect(cache.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(cache.size).toBeGreaterThan(1);
  });

  it('counts its bytes anew whatever was stored, replaced and forgotten', () => {
    const act = fc.record({
      what: fc.constantFrom('set', 'get', 'forget', 'withdraw', 'wait'),
      key: fc.constantFrom('a', 'b', 'c'),
      variant: fc.constantFrom('', 'in', 'out'),
      length: fc.nat(1_200),
      isFinal: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const { cache, clock, set } = setup({ maxVisitors: 2, maxBytes: 20_000 });
        for (const { what, key, variant, length, isFinal } of acts) {
          if (what === 'set') set(key, variant, 'x'.repeat(length), { isFinal });
          else if (what === 'wait') clock.nowMs += 3_000;
          else if (what === 'get') cache.get(key, variant);
          else cache[what](key);
          expect(cache.bytes).toBeLessThanOrEqual(20_000);
        }
        for (const key of ['a', 'b', 'c']) cache.forget(key);
        expect([cache.bytes, cache.size]).toEqual([0, 0]);
      }),
      { numRuns: 500 },
    );
  });
});

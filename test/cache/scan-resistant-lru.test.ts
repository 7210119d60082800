import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { detachedString } from '../../src/cache/detached-string';
import { ScanResistantLru } from '../../src/cache/scan-resistant-lru';

interface Value {
  readonly key: string;
  readonly firstSeenMs: number;
}

/**
 * A store, and `view`, which looks a visitor up and stores them on a miss. Between any two views so much time passes that
 * they are not of one visit. `regulars` have been viewed twice.
 */
function storeOf(maxVisitors: number, regulars: readonly string[] = []) {
  let nowMs = 0;
  const store = new ScanResistantLru<Value>({
    maxVisitors,
    maxBytes: 1_000_000_000,
    bytesOf: () => 1,
    firstSeenMsOf: ({ firstSeenMs }) => firstSeenMs,
    nowMs: () => {
      nowMs += 5_000;
      return nowMs;
    },
  });
  const view = (key: string): boolean => {
    const isHit = store.get(key) !== undefined;
    if (!isHit) store.set(key, { key, firstSeenMs: 0 });
    return isHit;
  };
  for (const key of regulars) {
    view(key);
    view(key);
  }
  return { store, view };
}

const named = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}${n}`);

describe('ScanResistantLru', () => {
  it('evicts no visitor while there is room', () => {
    const { store, view } = storeOf(100);
    for (const key of named('a', 100)) view(key);
    expect(store.size).toBe(100);
    expect(named('a', 100).map(view)).not.toContain(false);
  });

  it('makes a newcomer a regular on the second view', () => {
    const { store, view } = storeOf(20);
    expect([view('a'), view('a')]).toEqual([false, true]);
    for (const key of named('flood', 1_000)) view(key);
    expect(store.get('a')).toMatchObject({ key: 'a' });
  });

  it('does not take the second request of one page for a second visit', () => {
    let nowMs = 0;
    const store = new ScanResistantLru<Value>({
      maxVisitors: 10,
      maxBytes: 100,
      bytesOf: () => 1,
      firstSeenMsOf: ({ firstSeenMs }) => firstSeenMs,
      nowMs: () => nowMs,
    });
    for (const key of ['same-visit', 'back']) store.set(key, { key, firstSeenMs: 0 });
    nowMs = 4_999;
    for (const key of ['same-visit', 'back']) store.get(key);
    nowMs = 5_000;
    store.get('back');
    for (const key of named('flood', 100)) store.set(key, { key, firstSeenMs: nowMs });
    expect([store.get('same-visit'), store.get('back')]).toEqual([undefined, { key: 'back', firstSeenMs: 0 }]);
  });

  it('evicts newcomers before regulars, the oldest first', () => {
    const { store, view } = storeOf(100, named('regular', 90));
    for (const key of named('new', 12)) view(key);
    expect(store.size).toBe(100);
    expect([store.get('new0'), store.get('new1')]).toEqual([undefined, undefined]);
    expect(store.get('new2')).toMatchObject({ key: 'new2' });
    expect(named('regular', 90).map(view)).not.toContain(false);
  });

  it('takes a newcomer whose value is replaced for the last one', () => {
    const { store } = storeOf(3);
    for (const key of ['a', 'b', 'c', 'a', 'd']) store.set(key, { key, firstSeenMs: 0 });
    expect(['a', 'b', 'c', 'd'].map((key) => store.peek(key) !== undefined)).toEqual([true, false, true, true]);
  });

  it('evicts newcomers in their order, however often it has run out of them', () => {
    // What is there is a queue: whoever is deleted or comes back leaves it.
    type Step = { readonly do: 'come' | 'leave' | 'come back'; readonly key: number };
    const steps: fc.Arbitrary<Step[]> = fc.array(
      fc.record({ do: fc.constantFrom('come', 'come', 'come back', 'come back', 'leave'), key: fc.nat(11) }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const { store } = storeOf(6);
        let queue: string[] = [];
        const regulars = new Set<string>();
        for (const { do: what, key: n } of all) {
          const key = String(n);
          if (what === 'come') {
            store.set(key, { key, firstSeenMs: 0 });
            if (regulars.delete(key)) regulars.add(key);
            else queue = [...queue.filter((each) => each !== key), key];
            // Of six places, regulars leave one to newcomers.
            if (queue.length + regulars.size > 6) {
              if (queue.length > 1) queue.shift();
              else regulars.delete([...regulars][0] as string);
            }
          } else if (what === 'leave') {
            store.delete(key);
            queue = queue.filter((each) => each !== key);
            regulars.delete(key);
          } else if (store.get(key) !== undefined) {
            queue = queue.filter((each) => each !== key);
            // The most recently seen one is the last.
            regulars.delete(key);
            regulars.add(key);
          }
          const kept = Array.from({ length: 12 }, (_, each) => String(each)).filter((each) => store.peek(each));
          expect(kept.sort()).toEqual([...queue, ...regulars].sort());
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('reserves a twentieth for newcomers, so that they can replace regulars who have gone', () => {
    const { view } = storeOf(100, named('old', 100));
    for (const key of named('new', 95)) {
      view(key);
      expect(view(key)).toBe(true);
    }
    expect(named('new', 95).map(view)).not.toContain(false);
  });

  it('evicts the least recently seen regular', () => {
    const { store, view } = storeOf(3, ['a', 'b', 'c']);
    view('a');
    view('d');
    expect(store.get('b')).toBeUndefined();
    expect([store.get('a'), store.get('c'), store.get('d')]).not.toContain(undefined);
  });

  it('replaces the value of a visitor', () => {
    const { store } = storeOf(3, ['a']);
    store.set('a', { key: 'another', firstSeenMs: 0 });
    expect([store.get('a')?.key, store.size]).toEqual(['another', 1]);
  });

  it('deletes newcomers and regulars', () => {
    const { store, view } = storeOf(3, ['a']);
    view('b');
    store.delete('a');
    store.delete('b');
    expect([store.get('a'), store.get('b'), store.size]).toEqual([undefined, undefined, 0]);
  });

  it('never exceeds its maximum, and always keeps the last visitor', () => {
    const views = fc.array(fc.nat(30), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 25 }), views, (maxVisitors, keys) => {
        const { store, view } = storeOf(maxVisitors);
        for (const key of keys) {
          view(`${key}`);
          expect(store.size).toBeLessThanOrEqual(maxVisitors);
          expect(store.get(`${key}`)).toBeDefined();
        }
      }),
    );
  });

  it('keeps the hit rate of regulars above 90 % in a flood of ten new ids per view', () => {
    const regulars = named('regular', 10_000);
    const { store, view } = storeOf(12_000, regulars);
    let hits = 0;
    let flood = 0;
    for (let n = 0; n < 100_000; n++) {
      for (let m = 0; m < 10; m++) view(`flood${flood++}`);
      if (view(regulars[(n * 7_919) % regulars.length] as string)) hits++;
    }
    expect(hits / 100_000).toBeGreaterThan(0.9);
    expect(store.size).toBe(12_000);
  });
});

describe('the bytes of a ScanResistantLru', () => {
  const storeOfBytes = (maxBytes: number) => {
    const clock = { nowMs: 0 };
    const store = new ScanResistantLru<{ bytes: number; firstSeenMs: number }>({
      maxVisitors: 1_000,
      maxBytes,
      bytesOf: (key, { bytes }) => key.length + bytes,
      firstSeenMsOf: ({ firstSeenMs }) => firstSeenMs,
      nowMs: () => clock.nowMs,
    });
    const set = (key: string, bytes: number) => store.set(key, { bytes, firstSeenMs: clock.nowMs });
    const has = (...keys: string[]) => keys.map((key) => store.peek(key) !== undefined);
    return { store, clock, set, has };
  };

  it('are those of keys and values, counted once each', () => {
    const { store, set } = storeOfBytes(1_000);
    set('a', 10);
    set('bb', 20);
    set('a', 5);
    expect(store.bytes).toBe(1 + 5 + 2 + 20);
    store.delete('bb');
    store.delete('bb');
    expect(store.bytes).toBe(6);
  });

  it('are kept within the limit: newcomers keep a twentieth, regulars the rest, the oldest go first', () => {
    const { store, clock, set, has } = storeOfBytes(1_000);
    const old = named('old', 19).map((name) => name.padEnd(6));
    for (const key of old) set(key, 44);
    clock.nowMs = 5_000;
    for (const key of old) store.get(key);
    set('a', 24);
    set('b', 24);
    expect([has('a', 'b', old[0] as string), store.bytes]).toEqual([[true, true, true], 1_000]);
    set('c', 24);
    expect([has('a', 'b', 'c', old[0] as string), store.bytes]).toEqual([[false, true, true, true], 1_000]);
  });

  it('let new visitors replace regulars who have gone, as the number of visitors does', () => {
    const { clock, store, set } = storeOfBytes(100_000);
    const view = (key: string) => {
      const isHit = store.get(key) !== undefined;
      if (!isHit) set(key, 94);
      return isHit;
    };
    const come = (name: string, count: number) => {
      for (let wave = 0; wave < count; wave += 20) {
        for (let page = 0; page < 3; page++) {
          for (let n = wave; n < wave + 20; n++) view(`${name}${n}`.padEnd(6));
          clock.nowMs += 10_000;
        }
      }
    };
    come('old', 1_000);
    come('new', 940);
    const stays = named('new', 940).filter((name) => store.peek(name.padEnd(6)) !== undefined);
    expect(stays.length).toBeGreaterThan(930);
    expect(store.bytes).toBeLessThanOrEqual(100_000);
  });

  it('are not spent on a value that would evict all others', () => {
    const { store, set, has } = storeOfBytes(1_000);
    set('a', 49);
    set('b', 50);
    expect([has('a', 'b'), store.bytes]).toEqual([[true, false], 50]);
    set('a', 50);
    expect([has('a'), store.bytes, store.size]).toEqual([[false], 0, 0]);
  });
});

describe('the keys of a ScanResistantLru', () => {
  it('do not keep the headers alive that they were cut from', () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const { store } = storeOf(1_000);
    const headerOf = (n: number) => Buffer.alloc(100_000, `${n};`).toString('latin1');
    const keyOf = (n: number) => headerOf(n).slice(1, 60);
    const heap = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    for (let n = 100; n < 600; n++) {
      store.set(detachedString(keyOf(n)), { firstSeenMs: 0, key: 'x' });
      store.get(keyOf(n));
    }
    expect(heap() - before).toBeLessThan(5_000_000); // the headers are 50 000 000
    expect(store.size).toBe(500);
  });
});

import { AnswerCache, type Stamped } from '../../src/cache/answer-cache';

interface Answer extends Stamped {
  readonly text: string;
}

function answer(text: string, { ttlMs = 100, keptStale = true, answersAll = false } = {}): Answer {
  return { text, ttlMs, keptStale, answersAll, storedAtMs: 0, variant: '', other: undefined };
}

function setup({ maxVisitors = 10, staleWhileRevalidateMs = 1_000, staleIfErrorMs = 5_000 } = {}) {
  const clock = { nowMs: 0 };
  const cache = new AnswerCache<Answer>({
    maxVisitors,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    nowMs: () => clock.nowMs,
  });
  return { cache, clock };
}

/** A load that the test settles. */
function deferred() {
  let settle!: { resolve: (value: Answer) => void; reject: (error: Error) => void };
  const promise = new Promise<Answer>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { ...settle, loader: () => promise };
}

describe('AnswerCache', () => {
  it('stores the value of a load with the time of its arrival', async () => {
    const { cache, clock } = setup();
    clock.nowMs = 500;
    await cache.load('a', '', async () => answer('one')).promise;
    expect(cache.get('a', '')).toMatchObject({ text: 'one', storedAtMs: 500 });
    expect(cache.size).toBe(1);
  });

  it('shares a load in flight among all callers', async () => {
    const { cache } = setup();
    const first = deferred();
    const loader = jest.fn(first.loader);
    const flights = Array.from({ length: 100 }, () => cache.load('a', '', loader));
    expect(new Set(flights).size).toBe(1);
    expect(loader).toHaveBeenCalledTimes(1);
    first.resolve(answer('one'));
    await flights[0]?.promise;
    cache.load('a', '', loader);
    expect(loader).toHaveBeenCalledTimes(2);
  });

  it('has stored the value when callers resume', async () => {
    const { cache } = setup();
    await cache
      .load('a', '', async () => answer('one'))
      .promise.then((value) => expect(cache.get('a', '')).toBe(value));
    expect.assertions(1);
  });

  it('keeps the cached value when a load fails, and can load again', async () => {
    const { cache } = setup();
    await cache.load('a', '', async () => answer('one')).promise;
    const failing = cache.load('a', '', async () => Promise.reject(new Error('down')));
    await expect(failing.promise).rejects.toThrow('down');
    expect(cache.get('a', '')?.text).toBe('one');
    await cache.load('a', '', async () => answer('two')).promise;
    expect(cache.get('a', '')?.text).toBe('two');
  });

  it('tells the freshness of a value to the millisecond', async () => {
    const { cache } = setup();
    const value = answer('one');
    await cache.load('a', '', async () => value).promise;
    const at = [0, 99, 100, 1_099, 1_100, 5_099, 5_100];
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

  it('forgets a visitor, and does not store an answer that was in flight', async () => {
    const { cache } = setup();
    await cache.load('a', '', async () => answer('one')).promise;
    const late = deferred();
    const flight = cache.load('a', '', late.loader);
    cache.forget('a');
    expect(cache.get('a', '')).toBeUndefined();
    late.resolve(answer('two'));
    expect((await flight.promise).text).toBe('two');
    expect(cache.get('a', '')).toBeUndefined();
  });

  it('stores the load that began after forgetting, whichever ends last', async () => {
    const { cache } = setup();
    const [before, after] = [deferred(), deferred()];
    const old = cache.load('a', '', before.loader);
    cache.forget('a');
    const young = cache.load('a', '', after.loader);
    expect(young).not.toBe(old);
    after.resolve(answer('after'));
    await young.promise;
    before.resolve(answer('before'));
    await old.promise;
    expect(cache.get('a', '')?.text).toBe('after');
  });

  it('keeps the answers to different variants apart', async () => {
    const { cache } = setup();
    for (const variant of ['', 'in', 'out']) await cache.load('a', variant, async () => answer(variant)).promise;
    await cache.load('a', 'in', async () => answer('in again')).promise;
    expect(['', 'in', 'out', 'none'].map((variant) => cache.get('a', variant)?.text)).toEqual([
      '',
      'in again',
      'out',
      undefined,
    ]);
    expect(cache.size).toBe(1);
  });

  it('shares a load only within a variant, and stores both answers in whatever order they arrive', async () => {
    const { cache } = setup();
    const [first, second] = [deferred(), deferred()];
    const flights = [cache.load('a', '', first.loader), cache.load('a', 'in', second.loader)];
    expect(cache.load('a', 'in', second.loader)).toBe(flights[1]);
    expect(flights[0]).not.toBe(flights[1]);
    second.resolve(answer('second'));
    await flights[1]?.promise;
    first.resolve(answer('first'));
    await flights[0]?.promise;
    expect([cache.get('a', '')?.text, cache.get('a', 'in')?.text]).toEqual(['first', 'second']);
  });

  it('forgets all variants of a visitor, including those in flight', async () => {
    const { cache } = setup();
    await cache.load('a', '', async () => answer('')).promise;
    await cache.load('a', 'in', async () => answer('in')).promise;
    const late = deferred();
    const flight = cache.load('a', 'out', late.loader);
    cache.forget('a');
    late.resolve(answer('out'));
    await flight.promise;
    expect(['', 'in', 'out'].map((variant) => cache.get('a', variant))).toEqual([undefined, undefined, undefined]);
  });

  it('serves an answer to all variants for each of them, until the next answer', async () => {
    const { cache } = setup();
    await cache.load('a', '', async () => answer('')).promise;
    await cache.load('a', 'in', async () => answer('away', { answersAll: true })).promise;
    expect(['', 'in', 'out'].map((variant) => cache.get('a', variant)?.text)).toEqual(['away', 'away', 'away']);
    await cache.load('a', '', async () => answer('again')).promise;
    expect(['', 'in'].map((variant) => cache.get('a', variant)?.text)).toEqual(['again', undefined]);
  });

  it('keeps the four newest variants of a visitor', async () => {
    const { cache } = setup();
    const variants = ['1', '2', '3', '4', '5'];
    for (const variant of variants) await cache.load('a', variant, async () => answer(variant)).promise;
    const kept = variants.map((variant) => cache.get('a', variant)?.text);
    expect(kept).toEqual([undefined, '2', '3', '4', '5']);
  });

  it('evicts the least recently seen visitor beyond maxVisitors', async () => {
    const { cache } = setup({ maxVisitors: 2 });
    for (const key of ['a', 'b']) await cache.load(key, '', async () => answer(key)).promise;
    cache.get('a', '');
    await cache.load('c', '', async () => answer('c')).promise;
    expect(['a', 'b', 'c'].map((key) => cache.get(key, '')?.text)).toEqual(['a', undefined, 'c']);
    expect(cache.size).toBe(2);
  });

  it('leaves no unhandled rejection when a load without callers fails', async () => {
    const { cache } = setup();
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    cache.load('a', '', async () => Promise.reject(new Error('down')));
    await new Promise(setImmediate);
    process.removeListener('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

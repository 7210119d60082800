import { OrderedWindow } from '../../src/lookup/ordered-window';
import { withThrowing } from '../helpers/hostile';

const turns = async (count = 10) => {
  for (let n = 0; n < count; n++) await new Promise(setImmediate);
};

/** A window whose work the test finishes. */
function setup(source: AsyncIterable<number> | Iterable<number>, size = 3, onResult?: (result: string) => void) {
  const done = new Map<number, (result: string) => void>();
  const released: number[] = [];
  const window = new OrderedWindow<number, string>(
    source,
    size,
    (item, finish) => {
      done.set(item, finish);
      return () => released.push(item);
    },
    onResult,
  );
  const finish = (...items: number[]) => {
    for (const item of items) done.get(item)?.(`r${item}`);
  };
  return { window, finish, started: () => [...done.keys()], released };
}

/** A source of which every part is the test's. */
function sourceOf(parts: Partial<AsyncIterator<number>>): AsyncIterable<number> {
  return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), ...parts }) };
}

/** Unhandled rejections until the end of the test. */
function unhandledRejections() {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  return { unhandled, [Symbol.dispose]: () => process.removeListener('unhandledRejection', note) };
}

describe('OrderedWindow', () => {
  it.each([
    ['undefined', undefined],
    ['a number', 7],
    ['a getter that throws', withThrowing({ value: 1 }, ['done'])],
  ])(
    'takes %s from next() for a failure of the source, after the results of its earlier items',
    async (_what, step) => {
      using rejections = unhandledRejections();
      let reads = 0;
      const { window, finish } = setup(
        sourceOf({ next: async () => (++reads === 1 ? { done: false, value: 1 } : (step as IteratorResult<number>)) }),
      );
      const first = window.next();
      await turns();
      finish(1);
      expect(await first).toBe('r1');
      await expect(window.next()).rejects.toThrow('The next() of a source must give an object with done and value.');
      expect(rejections.unhandled).toEqual([]);
    },
  );

  it('returns results in the order of the items, whatever order they come in', async () => {
    const { window, finish, started } = setup([1, 2, 3]);
    const first = window.next();
    await turns();
    expect(started()).toEqual([1, 2, 3]);
    finish(3, 2);
    await turns();
    finish(1);
    expect([await first, await window.next(), await window.next(), await window.next()]).toEqual([
      'r1',
      'r2',
      'r3',
      undefined,
    ]);
  });

  it('starts no more than its size, results that wait for their turn included', async () => {
    const { window, finish, started, released } = setup([1, 2, 3, 4, 5], 2);
    const first = window.next();
    await turns();
    finish(2);
    await turns();
    expect([started(), released]).toEqual([[1, 2], []]);
    finish(1);
    await first;
    expect(released).toEqual([1]);
    void window.next();
    await turns();
    expect([started(), released]).toEqual([
      [1, 2, 3, 4],
      [1, 2],
    ]);
  });

  it('reads nothing before it is asked, and never twice at once', async () => {
    let reading = 0;
    let most = 0;
    const next = async () => {
      most = Math.max(most, ++reading);
      await turns(1);
      reading--;
      return { done: false as const, value: most };
    };
    const { window } = setup(sourceOf({ next }));
    await turns();
    expect(most).toBe(0);
    void window.next();
    await turns();
    expect(most).toBe(1);
  });

  it('reports each result at once, and rejects with what the report throws', async () => {
    const reported: string[] = [];
    const { window, finish, started } = setup([1, 2, 3], 2, (result) => {
      reported.push(result);
      if (result === 'r2') throw new Error('the disk is full');
    });
    const next = window.next();
    const rejected = expect(next).rejects.toThrow('the disk is full');
    await turns();
    finish(2);
    await rejected;
    await expect(window.next()).rejects.toThrow('the disk is full');
    finish(1);
    await turns();
    expect([reported, started()]).toEqual([['r2'], [1, 2]]);
  });

  it('returns the results before a failure of the source, then rejects with it', async () => {
    const { window, finish } = setup(
      (function* () {
        yield 1;
        throw new Error('the file ends here');
      })(),
    );
    const first = window.next();
    await turns();
    finish(1);
    expect(await first).toBe('r1');
    await expect(window.next()).rejects.toThrow('the file ends here');
    await expect(window.next()).rejects.toThrow('the file ends here');
  });

  it('takes a source that fails without a promise for one that rejects', async () => {
    const next = () => {
      throw new Error('no such file');
    };
    await expect(setup(sourceOf({ next })).window.next()).rejects.toThrow('no such file');
  });

  it('does not read on after the source has failed', async () => {
    const next = jest.fn(async () => Promise.reject(new Error('unreadable')));
    const { window } = setup(sourceOf({ next }));
    for (let n = 0; n < 3; n++) await expect(window.next()).rejects.toThrow('unreadable');
    await turns();
    expect(next).toHaveBeenCalledTimes(1);
  });

  it('does not start what a pending read brings after it was made to fail', async () => {
    let bring: (result: IteratorResult<number>) => void = () => {};
    const next = jest.fn(() => new Promise<IteratorResult<number>>((resolve) => (bring = resolve)));
    const { window, started } = setup(sourceOf({ next }));
    const waiting = expect(window.next()).rejects.toThrow('enough');
    await turns();
    window.fail(new Error('enough'));
    await waiting;
    bring({ done: false, value: 1 });
    await turns();
    expect([started(), next.mock.calls.length]).toEqual([[], 1]);
  });

  it('keeps the reason for which it was made to fail when a pending read fails later', async () => {
    let failRead: (reason: Error) => void = () => {};
    const next = () => new Promise<never>((_resolve, reject) => (failRead = reject));
    const { window } = setup(sourceOf({ next }));
    const waiting = expect(window.next()).rejects.toThrow('enough');
    await turns();
    window.fail(new Error('enough'));
    await waiting;
    failRead(new Error('unreadable'));
    await turns();
    await expect(window.next()).rejects.toThrow('enough');
  });

  it('can be made to fail while it waits, before the results that are there', async () => {
    const reported: string[] = [];
    const { window, finish, started } = setup([1, 2, 3, 4], 2, (result) => reported.push(result));
    const next = window.next();
    const rejected = expect(next).rejects.toThrow('enough');
    await turns();
    window.fail(new Error('enough'));
    await rejected;
    finish(1, 2);
    await expect(window.next()).rejects.toThrow('enough');
    await turns();
    expect([reported, started()]).toEqual([[], [1, 2]]);
  });

  describe('close()', () => {
    it('ends the source once and waits for that, unless it has ended by itself', async () => {
      const order: string[] = [];
      const source = (function* () {
        try {
          yield 1;
          yield 2;
        } finally {
          order.push('ended');
        }
      })();
      const { window, finish } = setup(source, 1);
      const first = window.next();
      await turns();
      finish(1);
      await first;
      await window.close();
      order.push('closed');
      expect(order).toEqual(['ended', 'closed']);
      const returned = jest.fn(async () => ({ done: true as const, value: undefined }));
      const ended = setup(sourceOf({ next: async () => ({ done: true, value: undefined }), return: returned })).window;
      await ended.next();
      await ended.close();
      expect(returned).not.toHaveBeenCalled();
    });

    it('rejects with what ending the source throws', async () => {
      let n = 0;
      const source = sourceOf({
        next: async () => ({ done: false, value: ++n }),
        return: async () => Promise.reject(new Error('not closed')),
      });
      const { window } = setup(source, 1);
      void window.next();
      await turns();
      await expect(window.close()).rejects.toThrow('not closed');
    });

    it('rejects with that also when the source has failed before', async () => {
      const source = sourceOf({
        next: async () => Promise.reject(new Error('unreadable')),
        return: async () => Promise.reject(new Error('not closed')),
      });
      const { window } = setup(source);
      await expect(window.next()).rejects.toThrow('unreadable');
      await expect(window.close()).rejects.toThrow('not closed');
    });

    it.each<[string, () => Promise<never>]>([
      ['never settles', () => new Promise(() => {})],
      ['rejects', async () => Promise.reject(new Error('not closed'))],
    ])('does not wait for a pending read when ending the source %s', async (_how, end) => {
      using seen = unhandledRejections();
      const { window } = setup(sourceOf({ return: end }));
      void window.next();
      await turns();
      await window.close();
      await turns();
      expect(seen.unhandled).toEqual([]);
    });

    it('does not start what a pending read brings, nor report or mind what comes later', async () => {
      using seen = unhandledRejections();
      let read: { resolve: (result: IteratorResult<number>) => void; reject: (reason: Error) => void } | undefined;
      const next = () => new Promise<IteratorResult<number>>((resolve, reject) => (read = { resolve, reject }));
      const reported: string[] = [];
      const { window, finish, started } = setup(sourceOf({ next }), 3, (result) => reported.push(result));
      void window.next();
      await turns();
      read?.resolve({ done: false, value: 1 });
      await turns();
      await window.close();
      read?.resolve({ done: false, value: 2 });
      await turns();
      finish(1);
      expect([started(), reported]).toEqual([[1], []]);
      const other = setup(sourceOf({ next })).window;
      void other.next().catch(() => {});
      await turns();
      await other.close();
      read?.reject(new Error('the file was closed'));
      await turns();
      expect(seen.unhandled).toEqual([]);
    });
  });
});

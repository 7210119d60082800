import { createMemoryStore } from '../../src/testing/memory-store';
import { sharedStoreChecks } from '../../src/testing/shared-store-checks';

describe('createMemoryStore()', () => {
  // At the same time: each has keys of its own.
  const store = createMemoryStore();
  it.concurrent.each(sharedStoreChecks)('$title', ({ run }) => run(store, store));

  it('rejects everything and loses messages while it is down', async () => {
    const down = createMemoryStore();
    const heard: string[] = [];
    down.subscribe(['channel'], {
      message: (text) => heard.push(text),
      listening: () => heard.push('listening'),
      lost: () => heard.push('lost'),
    });
    await down.beat('channel', 'one');
    down.isReady = false;
    await expect(down.beat('channel', 'two')).rejects.toThrow('The store is down.');
    await expect(down.read('key', '')).rejects.toThrow('The store is down.');
    down.isReady = true;
    down.clear();
    await down.beat('channel', 'three');
    expect(heard).toEqual(['listening', 'one memory-1', 'lost', 'listening', 'three memory-2']);
  });
});

import type { Instance } from '../../src/segments/visitor-segments';

/** A copy of the package in which no instance has been created. */
function freshCopy() {
  let copy!: typeof import('../../src/segments/middleware-missing');
  jest.isolateModules(() => {
    copy = require('../../src/segments/middleware-missing');
  });
  return copy;
}

const instance = (hasServed: boolean) => ({ hasServed: () => hasServed }) as Instance;

describe('a request without segments', () => {
  it('in a process without the middleware says so', () => {
    const { middlewareMissing } = freshCopy();
    const { message } = middlewareMissing('x', undefined, undefined);
    expect(message).toMatch(/^x: aamSegments\(\) was not called in this process/);
  });

  it('tells a middleware that has not run at all from one that runs for others', () => {
    const { addInstance, middlewareMissing } = freshCopy();
    const kept = [instance(false), instance(true)] as const;
    addInstance(kept[0]);
    expect(middlewareMissing('x', undefined, undefined).message).toMatch(/has not run for any request so far/);
    addInstance(kept[1]);
    expect(middlewareMissing('x', undefined, undefined).message).toMatch(/runs for other requests/);
    expect(middlewareMissing('x', undefined, kept[0]).message).toMatch(/has not run for any request so far/);
    expect(middlewareMissing('x', undefined, kept[1]).message).toMatch(/runs for other requests/);
  });

  it('and asked of a client, which serves none, says so', () => {
    const { middlewareMissing } = freshCopy();
    expect(middlewareMissing('x', undefined, {} as Instance).message).toMatch(/createDcsClient\(\) serves no requests/);
  });

  it('goes by the newest of very many instances', () => {
    const { addInstance, middlewareMissing } = freshCopy();
    const kept = [instance(true), ...Array.from({ length: 32 }, () => instance(false))];
    for (const each of kept) addInstance(each);
    expect(middlewareMissing('x', undefined, undefined).message).toMatch(/has not run for any request so far/);
  });

  it.each([null, true, {}, []])('and with %j instead says that something else was set', (shown) => {
    const { middlewareMissing } = freshCopy();
    for (const needed of [undefined, instance(true)]) {
      expect(middlewareMissing('x', shown, needed).message).toMatch(/set by something else/);
    }
  });
});

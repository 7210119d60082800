import fc from 'fast-check';
import { LinkedQueue, type QueuePlace } from '../../../src/dcs/flow/linked-queue';

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('push' as const, 'unshift' as const) },
  { weight: 1, arbitrary: fc.constant('shift' as const) },
  { weight: 2, arbitrary: fc.nat(40).map((nth) => ({ remove: nth })) },
);

describe('LinkedQueue', () => {
  it('is a list from whose ends and middle values leave, each once', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const queue = new LinkedQueue<number>();
        const places: QueuePlace<number>[] = [];
        let expected: number[] = [];
        for (const each of operations) {
          const value = places.length;
          if (each === 'push') {
            places.push(queue.push(value));
            expected.push(value);
          } else if (each === 'unshift') {
            places.push(queue.unshift(value));
            expected.unshift(value);
          } else if (each === 'shift') {
            expect(queue.shift()).toBe(expected.shift());
          } else {
            const place = places[each.remove];
            if (place === undefined) continue;
            expect(queue.remove(place)).toBe(expected.includes(place.value));
            expected = expected.filter((other) => other !== place.value);
          }
          expect([queue.size, queue.first, [...queue]]).toEqual([expected.length, expected[0], expected]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not remove what waits in another queue', () => {
    const [queue, other] = [new LinkedQueue<string>(), new LinkedQueue<string>()];
    queue.push('a');
    expect(queue.remove(other.push('b'))).toBe(false);
    expect([queue.size, other.size]).toEqual([1, 1]);
  });

  it('is not held on to, nor are its other places, by a place that has left it', () => {
    const queue = new LinkedQueue<string>();
    const [, place] = [queue.push('a'), queue.push('b'), queue.push('c')];
    queue.remove(place as QueuePlace<string>);
    expect(Object.values(place as object).filter((each) => each !== undefined)).toEqual(['b']);
  });

  it('can lose what is being visited', () => {
    const queue = new LinkedQueue<number>();
    const places = [1, 2, 3].map((value) => queue.push(value));
    const visited: number[] = [];
    for (const value of queue) {
      visited.push(value);
      queue.remove(places[value - 1] as QueuePlace<number>);
    }
    expect([visited, queue.size]).toEqual([[1, 2, 3], 0]);
  });
});

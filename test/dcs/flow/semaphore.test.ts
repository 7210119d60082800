import fc from 'fast-check';
import { Semaphore } from '../../../src/dcs/flow/semaphore';

type Place = ReturnType<Semaphore['acquire']>;

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.constant('acquire' as const) },
  { weight: 2, arbitrary: fc.constant('release' as const) },
  { weight: 1, arbitrary: fc.nat(30).map((nth) => ({ giveUp: nth })) },
);

describe('Semaphore', () => {
  it('hands permits over in the order of those who wait, and never more than it has', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(operation, { maxLength: 60 }), (permits, operations) => {
        const semaphore = new Semaphore(permits);
        const places: Place[] = [];
        const acquired: number[] = [];
        const expected: number[] = [];
        let waiting: number[] = [];
        let held = 0;
        for (const each of operations) {
          if (each === 'acquire') {
            const n = places.length;
            waiting.push(n);
            places.push(semaphore.acquire(() => acquired.push(n)));
          } else if (each === 'release') {
            if (held === 0) continue;
            held--;
            semaphore.release();
          } else {
            const place = places[each.giveUp];
            if (place === undefined) continue;
            expect(semaphore.giveUp(place)).toBe(waiting.includes(each.giveUp));
            waiting = waiting.filter((n) => n !== each.giveUp);
          }
          while (held < permits && waiting.length > 0) {
            held++;
            expected.push(waiting.shift() as number);
          }
          expect(acquired).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('serves 10 000 who give their permit back at once, one at a time and in order', () => {
    const semaphore = new Semaphore(1);
    semaphore.acquire(() => {});
    const served: number[] = [];
    let holding = 0;
    let most = 0;
    for (let n = 0; n < 10_000; n++) {
      semaphore.acquire(() => {
        most = Math.max(most, ++holding);
        served.push(n);
        holding--;
        semaphore.release();
      });
    }
    semaphore.release();
    expect(served).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
    expect(most).toBe(1);
  });
});

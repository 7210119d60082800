import * as fc from 'fast-check';
import { packedId, unpackedIds } from '../../src/segments/packed-ids';

const pack = (ids: readonly string[]) => ids.map(packedId).join('');
const unpack = (text: string) => unpackedIds(text, 0, text.length);

/** Of all lengths, many of them next to a power of 128. */
const id = fc.oneof(
  fc.nat(300).map(String),
  fc.nat().map(String),
  fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }).map(String),
  fc.tuple(fc.nat(9), fc.nat(2)).map(([power, more]) => String(128n ** BigInt(power) + BigInt(more) - 1n)),
);

describe('packed ids', () => {
  it('take four characters for today’s ids of six and seven digits', () => {
    expect(packedId('984263')).toHaveLength(4);
    expect(packedId('2097151')).toHaveLength(4);
  });

  it('are unpacked in their order, whatever their length', () => {
    fc.assert(fc.property(fc.array(id), (ids) => expect(unpack(pack(ids))).toEqual(ids)));
    expect(unpack(pack(['0', '99999999999999999999', '9007199254740993', '999999999999999']))).toEqual([
      '0',
      '99999999999999999999',
      '9007199254740993',
      '999999999999999',
    ]);
  });

  it('are found where they are, and nowhere else', () => {
    fc.assert(
      fc.property(fc.array(id), id, (ids, wanted) => {
        expect(pack(ids).includes(packedId(wanted))).toBe(ids.includes(wanted));
      }),
      { numRuns: 2_000 },
    );
  });

  it('are one byte a character', () => {
    fc.assert(fc.property(id, (each) => expect(packedId(each)).toMatch(/^[\u0080-\u008f][\0-\x7f]*$/)));
  });
});

import * as fc from 'fast-check';
import type { Exclusion } from '../../src/dcs/protocol/error-codes';
import {
  type AnswerRecord,
  includesId,
  includesValue,
  NO_ANSWER,
  packAnswer,
  packedValue,
  unpackAnswer,
  withCookieRegion,
} from '../../src/segments/packed-answer';
import { packedId } from '../../src/segments/packed-ids';
import { recordOf } from '../../src/segments/segment-set';

const EXCLUSIONS: readonly Exclusion[] = ['opted-out', 'no-consent', 'denylisted', 'invalid-id', 'refused'];

const id = fc.oneof(fc.nat(200), fc.nat(), fc.bigInt({ min: 0n, max: 10n ** 20n - 1n })).map(String);
const text = fc.string({ unit: 'binary', maxLength: 30 });
const region = fc.option(fc.oneof(fc.nat(130), fc.nat(128 ** 3 - 2)), { nil: undefined });
const record: fc.Arbitrary<AnswerRecord> = fc.record({
  ids: fc.uniqueArray(id, { maxLength: 40 }),
  values: fc.option(fc.array(text, { minLength: 1 }), { nil: undefined }),
  destinations: fc.option(
    fc.array(fc.tuple(text, text), { minLength: 1 }).map((entries) => recordOf(entries)),
    { nil: undefined },
  ),
  region,
  transactionId: fc.option(fc.stringMatching(/^[\w+/=-]{1,64}$/), { nil: undefined }),
  cookieRegion: region,
  excluded: fc.option(fc.constantFrom(...EXCLUSIONS), { nil: undefined }),
});

describe('a packed answer', () => {
  it('is the answer again when unpacked, whatever follows it', () => {
    const following = fc.array(fc.nat(127)).map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(record, following, (answer, stamps) => {
        expect(unpackAnswer(packAnswer(answer) + stamps)).toEqual(answer);
      }),
      { numRuns: 1_000 },
    );
  });

  it('has the segments that it was packed with, and no other, whatever else it says', () => {
    fc.assert(
      fc.property(record, id, (answer, wanted) => {
        const packed = packAnswer(answer);
        for (const each of answer.ids) expect(includesId(packed, packedId(each))).toBe(true);
        expect(includesId(packed, packedId(wanted))).toBe(answer.ids.includes(wanted));
      }),
      { numRuns: 1_000 },
    );
  });

  it('has the values that it was packed with, and no other', () => {
    fc.assert(
      fc.property(
        record,
        fc.oneof(text, fc.constantFrom('', '"', ',', '","', '\0', '\\', '\\u0000')),
        (answer, wanted) => {
          const packed = `${packAnswer(answer)}${packedValue(wanted)}`;
          for (const each of answer.values ?? []) expect(includesValue(packed, packedValue(each))).toBe(true);
          expect(includesValue(packed, packedValue(wanted))).toBe(answer.values?.includes(wanted) ?? false);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('holds the largest answer that is read, of bytes that are no text', () => {
    const value = '\ufffd'.repeat(262_144);
    const answer = { ...unpackAnswer(NO_ANSWER), values: [value], destinations: recordOf([['aam', `k=${value}`]]) };
    expect(unpackAnswer(packAnswer(answer))).toEqual(answer);
  });

  it('is one byte a character', () => {
    fc.assert(fc.property(record, (answer) => expect(packAnswer(answer)).toMatch(/^[\0-\xff]*$/)));
  });

  it('changes only in the region of the visitor’s cookies when that changes', () => {
    fc.assert(
      fc.property(record, fc.nat(20), (answer, cookieRegion) => {
        const moved = withCookieRegion(`${packAnswer(answer)}stamps`, cookieRegion);
        expect(unpackAnswer(moved)).toEqual({ ...answer, cookieRegion });
        expect(moved.endsWith('stamps')).toBe(true);
      }),
    );
  });

  it.each([-1, 1.5, 2 ** 31, Number.NaN])('has no region where it is %d', (each) => {
    const answer = packAnswer({ ...unpackAnswer(NO_ANSWER), region: each, cookieRegion: each });
    expect(unpackAnswer(answer)).toEqual(unpackAnswer(NO_ANSWER));
  });

  it('begins with the version of its form', () => {
    expect(NO_ANSWER.charCodeAt(0)).toBe(1);
  });

  it('has cookie destinations without a prototype, which nobody can change', () => {
    const destinations = recordOf([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
    const unpacked = unpackAnswer(packAnswer({ ...unpackAnswer(NO_ANSWER), destinations })).destinations ?? {};
    expect(Object.entries(unpacked)).toEqual(Object.entries(destinations));
    expect([Object.getPrototypeOf(unpacked), Object.isFrozen(unpacked), unpacked.toString]).toEqual([
      null,
      true,
      undefined,
    ]);
  });
});

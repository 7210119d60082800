import * as fc from 'fast-check';
import { includesId, joinIds, segmentSetOf, splitIds } from '../../src/segments/segment-set';
import { replyTo } from '../dcs/outcome';

const AAM = { keys: undefined, keySeparator: '=', pairSeparator: ',', serialSeparator: undefined };
const FORMATS = new Map([['aam', AAM]]);
const destination = (cn: string, cv: string) => ({ cn, cv });

describe('segmentSetOf', () => {
  it('has the ids that the DCS listed, joined', () => {
    expect(segmentSetOf(replyTo({ segments: [984263, '985264', 984263] }), FORMATS)).toEqual({
      ids: ',984263,985264,',
      values: undefined,
      destinations: undefined,
    });
  });

  it('is empty for an answer without segments', () => {
    expect(segmentSetOf(replyTo({}), FORMATS)).toEqual({ ids: '', values: undefined, destinations: undefined });
  });

  it('has the values of configured destinations, and canonical numbers among them as ids', () => {
    const stuff = [destination('aam', 'k=984263,k=sports,k=007,k=0,k=-1,k=1.5')];
    expect(segmentSetOf(replyTo({ segments: [5], stuff }), FORMATS)).toEqual({
      ids: ',5,984263,0,',
      values: ['984263', 'sports', '007', '0', '-1', '1.5'],
      destinations: { aam: stuff[0]?.cv },
    });
  });

  it('only has the raw value of a destination without a format', () => {
    const stuff = [destination('other', 'k=984263')];
    expect(segmentSetOf(replyTo({ stuff }), FORMATS)).toEqual({
      ids: '',
      values: undefined,
      destinations: { other: 'k=984263' },
    });
  });

  it('merges the segments of a repeated cookie, and shows its last value', () => {
    const stuff = [destination('aam', 'k=1,k=a'), destination('aam', 'k=2,k=a')];
    expect(segmentSetOf(replyTo({ segments: [2], stuff }), FORMATS)).toEqual({
      ids: ',2,1,',
      values: ['1', 'a', '2'],
      destinations: { aam: 'k=2,k=a' },
    });
  });

  it('reads a destination whose value is a number', () => {
    const formats = new Map([['aam', { ...AAM, keySeparator: '9' }]]);
    const set = segmentSetOf(replyTo({ stuff: [{ cn: 'aam', cv: 984263 }] }), formats);
    expect(set).toEqual({ ids: ',84263,', values: ['84263'], destinations: { aam: '984263' } });
  });

  it('takes values of up to 20 digits for ids', () => {
    const [most, more] = ['1'.repeat(20), '1'.repeat(21)];
    const set = segmentSetOf(replyTo({ stuff: [destination('aam', `k=${most},k=${more}`)] }), FORMATS);
    expect(set).toMatchObject({ ids: `,${most},`, values: [most, more] });
  });

  it('has frozen destinations, whatever their names', () => {
    const stuff = [destination('__proto__', 'a'), destination('constructor', 'b')];
    const { destinations } = segmentSetOf(replyTo({ stuff }), FORMATS);
    expect(Object.entries(destinations ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
    expect(Object.getPrototypeOf(destinations)).toBe(null);
    expect(Object.isFrozen(destinations)).toBe(true);
  });
});

describe('joinIds', () => {
  it.each([
    [[], ''],
    [['7'], ',7,'],
    [['984263', '985264', '0'], ',984263,985264,0,'],
  ])('joins %j to %j, and splitIds splits it', (ids, joined) => {
    expect(joinIds(ids)).toBe(joined);
    expect(splitIds(joined)).toEqual(ids);
  });
});

describe('includesId', () => {
  it('finds ids, not parts of ids', () => {
    const joined = joinIds(['984263', '985264', '7']);
    for (const id of ['984263', '985264', '7']) expect(includesId(joined, `,${id},`)).toBe(true);
    for (const id of ['98426', '84263', '4', '9842639', '984263985264', '']) {
      expect(includesId(joined, `,${id},`)).toBe(false);
    }
    expect(includesId('', ',7,')).toBe(false);
  });

  it('finds exactly the ids that were joined', () => {
    const id = fc.nat(2_000).map(String);
    fc.assert(
      fc.property(fc.uniqueArray(id), id, (ids, wanted) => {
        const joined = joinIds(ids);
        expect(includesId(joined, `,${wanted},`)).toBe(ids.includes(wanted));
        expect(splitIds(joined)).toEqual(ids);
      }),
    );
  });
});

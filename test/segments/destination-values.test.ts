import * as fc from 'fast-check';
import { destinationValues, type ResolvedDestinationFormat } from '../../src/segments/destination-values';
import { destinationRows } from '../dcs/dcs-vectors';

function format(given: Partial<Omit<ResolvedDestinationFormat, 'keys'>> & { keys?: string[] } = {}) {
  const { keys, ...separators } = given;
  return {
    keySeparator: '=',
    pairSeparator: ',',
    serialSeparator: undefined,
    ...separators,
    keys: keys === undefined ? undefined : new Set(keys),
  };
}

describe('destinationValues', () => {
  it.each(destinationRows)('reads the values of $id', ({ input, expected }) => {
    const [{ cv }] = input.body.stuff;
    const { keySeparator = '=', pairDelimiter = ',', serialSeparator } = input.format ?? {};
    const separators = { keySeparator, pairSeparator: pairDelimiter, serialSeparator };
    const keyValues: Record<string, string[]> = expected.keyValues;
    for (const [key, values] of Object.entries(keyValues)) {
      expect(destinationValues(cv, format({ ...separators, keys: [key] }))).toEqual(values);
    }
    expect(destinationValues(cv, format(separators))).toEqual(Object.values(keyValues).flat());
    expect(destinationValues(cv, format({ ...separators, keys: ['another'] }))).toEqual([]);
  });

  it('has vectors', () => expect(destinationRows.length).toBeGreaterThan(4));

  it.each([
    ['single key, standard', 'k=1&k=2', { pairSeparator: '&' }, ['1', '2']],
    ['single key, serialised', 'k=1;2;3', { pairSeparator: '&', serialSeparator: ';' }, ['1', '2', '3']],
    ['multi key, standard', 'x=1&x=2&y=3', { pairSeparator: '&' }, ['1', '2', '3']],
    ['multi key, serialised', 'x=1;2&y=3;4', { pairSeparator: '&', serialSeparator: ';' }, ['1', '2', '3', '4']],
    ['the REST samples, # within and , between', 'x=1#2,y=3', { serialSeparator: '#' }, ['1', '2', '3']],
    ['one separator for both, and one key', 'k=1,2,3', { serialSeparator: ',' }, ['1', '2', '3']],
    ['one separator for both, and more keys', 'x=1,2,y=3,4', { serialSeparator: ',' }, ['1', '2', '3', '4']],
    ['letters as separators, and no key at first', '1,ke2', { keySeparator: 'e', serialSeparator: ',' }, ['2']],
    ['one separator for both, and no key at first', '1,2,y=3', { serialSeparator: ',' }, ['3']],
    [
      'separators of several characters',
      'x::1||x::2||y::3',
      { keySeparator: '::', pairSeparator: '||' },
      ['1', '2', '3'],
    ],
    [
      'separators that mean something in a pattern',
      'x.*1|+2$y.*3',
      { keySeparator: '.*', pairSeparator: '$', serialSeparator: '|+' },
      ['1', '2', '3'],
    ],
    [
      'a separator of digits',
      'x010203',
      { keySeparator: '0', pairSeparator: '9', serialSeparator: '0' },
      ['1', '2', '3'],
    ],
  ] as const)('reads %s', (_, value, separators, values) => {
    expect(destinationValues(value, format(separators))).toEqual(values);
  });

  it.each([
    ['the values of the configured keys only', 'x=1,y=2,z=3', { keys: ['x', 'z'] }, ['1', '3']],
    ['the values of one key among serialised ones', 'x=1,2,y=3,4', { keys: ['y'], serialSeparator: ',' }, ['3', '4']],
    ['a key that is not all of it', 'xx=1,x=2,x =3', { keys: ['x'] }, ['2', '3']],
    ['keys by case', 'X=1,x=2', { keys: ['x'] }, ['2']],
    ['a key that every object has', '__proto__=1,constructor=2', { keys: ['__proto__'] }, ['1']],
    ['an encoded key', 'my%20key=1', { keys: ['my key'] }, ['1']],
    ['an encoded key in an encoded value', 'my%20key%3D1', { keys: ['my key'] }, ['1']],
    ['an empty key', '=1,x=2', { keys: ['x'] }, ['2']],
  ] as const)('takes %s', (_, value, { keys, ...separators }, values) => {
    expect(destinationValues(value, format({ ...separators, keys: [...keys] }))).toEqual(values);
  });

  it.each([
    ['splits a pair at the first key separator', 'k=a=b', ['a=b']],
    ['trims', ' k = 1 , k =2\t', ['1', '2']],
    ['drops what is empty', 'k=,k= ,,k=1,', ['1']],
    ['leaves out what has no key', '984263', []],
    ['leaves out the piece that has no key', 'k=1,2,k=3', ['1', '3']],
    ['keeps what occurs twice', 'k=1,k=1', ['1', '1']],
    ['keeps leading zeros', 'k=007,k=0', ['007', '0']],
    ['reads nothing from nothing', '', []],
    ['decodes each token of a raw value by itself', 'k=a%2Cb,k=c%3Dd,k=%2520', ['a,b', 'c=d', '%20']],
    ['decodes an encoded value once, before it splits', 'k%3D1%2Ck%3D2', ['1', '2']],
    ['leaves a plus sign alone', 'k=a+b', ['a+b']],
    ['leaves what is badly encoded as it is', 'k=100%,k=%E0%A4', ['100%', '%E0%A4']],
    ['reads nothing from a badly encoded whole', 'k%3D1%', []],
    ['decodes UTF-8', 'k=f%C3%BC%C3%9Fe', ['füße']],
  ] as const)('%s', (_, value, values) => {
    expect(destinationValues(value, format())).toEqual(values);
  });

  it('decodes each token of a raw value on its own', () => {
    expect(destinationValues('k=a%3Bb;c', format({ serialSeparator: ';' }))).toEqual(['a;b', 'c']);
  });

  it('parses a long value quickly', () => {
    const value = `k=${'1,'.repeat(130_000)}`;
    expect(destinationValues(value, format({ serialSeparator: ',' }))).toHaveLength(130_000);
    expect(destinationValues(','.repeat(262_144), format({ serialSeparator: ',' }))).toEqual([]);
  });

  it('returns trimmed, non-empty strings for any value and format', () => {
    const separator = fc.oneof(
      fc.constantFrom('=', ',', '&', ';', '%', '%3D', ' ', '0'),
      fc.string({ minLength: 1, maxLength: 3 }),
    );
    const anyFormat = fc.record({
      keys: fc.constant(undefined),
      keySeparator: separator,
      pairSeparator: separator,
      serialSeparator: fc.option(separator, { nil: undefined }),
    });
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-c0-2=,&;%3DC ]*$/));
    fc.assert(
      fc.property(value, anyFormat, (text, given) => {
        for (const each of destinationValues(text, given)) expect(each.trim()).toBe(each || 'not empty');
      }),
    );
  });

  it('reads back the values that were written', () => {
    const token = fc.stringMatching(/^[\wü% .]{1,9}$/).filter((text) => text.trim() === text);
    const pairs = fc.array(fc.tuple(token, fc.array(token, { minLength: 1, maxLength: 4 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(pairs, (given) => {
        const value = given
          .map(([key, values]) => `${encodeURIComponent(key)}=${values.map(encodeURIComponent).join(';')}`)
          .join('&');
        const read = destinationValues(value, format({ pairSeparator: '&', serialSeparator: ';' }));
        expect(read).toEqual(given.flatMap(([, values]) => values));
      }),
    );
  });
});

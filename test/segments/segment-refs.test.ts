import { AamError } from '../../src/errors';
import { packAnswer, packedValue } from '../../src/segments/packed-answer';
import { packedId } from '../../src/segments/packed-ids';
import { canonicalId, isIn, SegmentNames, type Wanted, wantedById } from '../../src/segments/segment-refs';
import { revoked, throwing, withThrowing } from '../helpers/hostile';

const answerOf = (ids: readonly string[], values?: readonly string[]) =>
  packAnswer({
    ids,
    values,
    destinations: undefined,
    region: 7,
    transactionId: 'a984263',
    cookieRegion: undefined,
    excluded: undefined,
  });
const SET = answerOf(['984263', '7'], ['sports', '007']);
const EMPTY = answerOf([]);

const byId = (id: string): Wanted => ({ id: packedId(id), value: undefined });
const byValue = (value: string): Wanted => ({ id: undefined, value: packedValue(value) });
const names = () =>
  new SegmentNames(
    new Map([
      ['golfFans', byId('984263')],
      ['highValue', byId('985264')],
      ['sporty', byValue('sports')],
    ]),
  );

describe('canonicalId', () => {
  it.each([
    [984263, '984263'],
    ['984263', '984263'],
    ['000984263', '984263'],
    [0, '0'],
    [-0, '0'],
    ['0', '0'],
    ['000', '0'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    ['18446744073709551615', '18446744073709551615'],
  ])('makes %j into %j', (id, canonical) => expect(canonicalId(id)).toBe(canonical));

  it.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    '',
    ' 7',
    '7 ',
    '-7',
    '+7',
    '7.0',
    '7e1',
    '0x7',
    '７',
    '1'.repeat(21),
    null,
    undefined,
    true,
    {},
    ['7'],
    7n,
  ])('refuses %p', (id) => expect(canonicalId(id)).toBeUndefined());
});

describe('wantedById', () => {
  it.each([
    [7, byId('7')],
    ['007', byId('7')],
    [{ value: 'sports' }, byValue('sports')],
    [{ value: '007' }, byValue('007')],
  ])('resolves %j', (ref, wanted) => expect(wantedById(ref)).toEqual(wanted));

  it.each([
    null,
    undefined,
    'name',
    {},
    [],
    { value: '' },
    { value: 7 },
    { value: null },
    { id: 7 },
    () => '7',
    Symbol('7'),
  ])('does not resolve %p', (ref) => expect(wantedById(ref)).toBeUndefined());
});

describe('isIn', () => {
  it.each([
    [byId('984263'), true],
    [byId('7'), true],
    [byId('8'), false],
    [byId('98426'), false],
    [byValue('sports'), true],
    [byValue('007'), true],
    [byValue('7'), false],
    [byValue('sport'), false],
  ])('finds %j: %p', (wanted, found) => {
    expect(isIn(SET, wanted)).toBe(found);
    expect(isIn(EMPTY, wanted)).toBe(false);
  });
});

describe('SegmentNames', () => {
  const { NODE_ENV } = process.env;
  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
    jest.restoreAllMocks();
  });

  it('names the segments that a visitor is in, in the order of their configuration', () => {
    expect(names().namesIn(SET)).toEqual(['golfFans', 'sporty']);
    expect(names().namesIn(EMPTY)).toEqual([]);
  });

  it('resolves a name, an id in any form, and a value', () => {
    expect(names().resolve('golfFans')).toEqual(byId('984263'));
    expect(names().resolve('sporty')).toEqual(byValue('sports'));
    for (const ref of [7, '7', '0007']) expect(names().resolve(ref)).toEqual(byId('7'));
    expect(names().resolve({ value: '007' })).toEqual(byValue('007'));
  });

  it.each(['development', 'test'])('throws for an unknown name, in %s', (environment) => {
    process.env.NODE_ENV = environment;
    const expected = `unknown segment name "golffans". The option 'segments' has "golfFans", "highValue", "sporty". See express-aam-segments/docs/troubleshooting.md#err_aam_unknown_segment`;
    expect(() => names().resolve('golffans')).toThrow(
      expect.objectContaining({ message: expected, code: 'ERR_AAM_UNKNOWN_SEGMENT' }),
    );
    expect(() => new SegmentNames(new Map()).resolve('x')).toThrow("The option 'segments' has none");
    expect(() => names().resolve('x')).toThrow(AamError);
  });

  it.each([
    ['constructor', /^unknown segment name "constructor"/],
    ['__proto__', /^unknown segment name "__proto__"/],
    ['', /^unknown segment name ""/],
    ['-7', /^unknown segment name "-7"/],
    [null, /got null\. See /],
    [undefined, /got undefined\. See /],
    [-7, /got number\. See /],
    [7n, /got bigint\. See /],
    [{}, /got object\. See /],
    [Symbol('golfFans'), /got symbol\. See /],
  ])('throws for %p', (ref, message) => expect(() => names().resolve(ref)).toThrow(message));

  it.each(['production', undefined])('warns once and resolves to nothing, in NODE_ENV %p', (environment) => {
    if (environment === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = environment;
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const known = names();
    for (let count = 0; count < 3; count++) expect(known.resolve('golffans')).toBeUndefined();
    expect(known.resolve(null)).toBeUndefined();
    expect(warn.mock.calls.map(([message, options]) => [message, options])).toEqual([
      [
        expect.stringMatching(/^unknown segment name "golffans".*\. No visitor is in it\.$/),
        expect.objectContaining({ code: 'WRN_AAM_UNKNOWN_SEGMENT' }),
      ],
      [
        expect.stringMatching(/got null\. No visitor is in it\.$/),
        expect.objectContaining({ code: 'WRN_AAM_UNKNOWN_SEGMENT' }),
      ],
    ]);
  });

  it('warns at most a hundred times', () => {
    process.env.NODE_ENV = 'production';
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const known = names();
    for (let count = 0; count < 1_000; count++) expect(known.resolve(`name-${count}`)).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(100);
  });
});

it('a reference by value is warned about where no destination is configured, once, and resolved', () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const without = new SegmentNames(new Map([['golfFans', byId('984263')]]), false);
  for (const ref of ['golfFans', 7, '7']) without.resolve(ref);
  names().resolve({ value: 'sports' });
  expect(warn).not.toHaveBeenCalled();
  for (let n = 0; n < 2; n++) expect(without.resolve({ value: 'sports' })).toEqual(byValue('sports'));
  expect(warn.mock.calls).toEqual([
    [expect.stringMatching(/destinations/), expect.objectContaining({ code: 'WRN_AAM_NO_SEGMENT_SOURCE' })],
  ]);
  warn.mockRestore();
});

it('a reference that throws when it is looked at is none', () => {
  for (const ref of [revoked(), throwing({ value: 'sports' }), withThrowing({}, ['value'])]) {
    expect(wantedById(ref)).toBeUndefined();
  }
});

it('a message about an unknown name lists twenty of the others, and says how many more there are', () => {
  const many = new SegmentNames(new Map(Array.from({ length: 23 }, (_, n) => [`name${n}`, byId(String(n + 1))])));
  expect(() => many.resolve('nmae1')).toThrow(/"name0", .*"name19" and 3 more\. See /);
});

import * as fc from 'fast-check';
import { DcsError } from '../../../src/dcs/protocol/dcs-error';
import { replyFromBody } from '../../../src/dcs/protocol/reply';
import { outcomeOf, replyTo } from '../outcome';

const JUNK: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  'x',
  [],
  [[]],
  {},
  { length: 1, 0: 7 },
  [null],
  [{}],
  ['x'],
];

describe('an answer with fields of the wrong shape', () => {
  it.each(JUNK)('ignores %j in every field', (junk) => {
    const nothing = { segments: [], destinations: [], errors: [] };
    expect(replyTo({ segments: junk })).toMatchObject(nothing);
    expect(replyTo({ stuff: junk, segments: [] })).toMatchObject(nothing);
    expect(replyTo({ errors: junk })).toMatchObject(nothing);
    expect(replyTo({ stuff: [junk] })).toMatchObject(nothing);
    expect(replyTo({ dcs_region: junk === 0 ? null : junk }).region).toBeUndefined();
    expect(replyTo({ tid: junk === 'x' ? null : junk }).transactionId).toBeUndefined();
  });

  it.each(JUNK.filter((junk) => junk !== 'x'))('ignores uuid %j', (junk) => {
    expect(outcomeOf({ uuid: junk, stuff: [] })).toMatchObject({ noData: true });
    expect(outcomeOf({ uuid: junk, u: '5', stuff: [] })).toMatchObject({ uuid: '5' });
  });

  it('keeps ids that are numbers or strings of digits, in canonical form, without duplicates', () => {
    const segments = [7, '7', '007', 0, '0', '000', '00000000000000000042', '18446744073709551615', 42];
    expect(replyTo({ segments }).segments).toEqual(['7', '0', '42', '18446744073709551615']);
  });

  it('ignores what is not an id', () => {
    const body = `{"uuid":"1","segments":[9007199254740993,1e21,1e999,-1,-7.0,1.5,"-1","+1","1.0","1e3","0x1","",
      " 1","1 ","1,2","１２","100000000000000000000000",true,false,null,[1],{"id":1},"NaN","Infinity"]}`;
    expect(outcomeOf(body)).toMatchObject({ segments: [], uuid: '1' });
  });

  it('keeps the largest number without loss of precision', () => {
    expect(replyTo({ segments: [Number.MAX_SAFE_INTEGER] }).segments).toEqual(['9007199254740991']);
  });

  it('ignores a cookie value that is a number with loss of precision', () => {
    const stuff = '[{"cn":"a","cv":9007199254740993},{"cn":"b","cv":1e999},{"cn":"c","cv":-1.5},{"cn":"d","cv":0}]';
    expect(outcomeOf(`{"stuff":${stuff}}`)).toMatchObject({
      destinations: [
        ['c', '-1.5'],
        ['d', '0'],
      ],
    });
  });

  it('keeps destinations in order, with duplicate names and __proto__', () => {
    const stuff = '[{"cn":"__proto__","cv":"a=1"},{"cn":"b","cv":"c"},{"cn":"__proto__","cv":"a=2"}]';
    expect(outcomeOf(`{"stuff":${stuff}}`)).toMatchObject({
      destinations: [
        ['__proto__', 'a=1'],
        ['b', 'c'],
        ['__proto__', 'a=2'],
      ],
    });
  });

  it('does not read from a prototype in the body', () => {
    const evil = '{"segments":[1],"stuff":[],"uuid":"1","errors":[{"code":171}],"d_optout":["global"]}';
    expect(outcomeOf(`{"__proto__":${evil},"constructor":{"prototype":${evil}}}`)).toMatchObject({ noData: true });
    expect(outcomeOf('{"stuff":[{"__proto__":{"cn":"a","cv":"b"}}],"uuid":"1"}')).toMatchObject({ destinations: [] });
    expect(({} as { segments?: unknown }).segments).toBeUndefined();
  });

  it('survives deep nesting', () => {
    const deep = (open: string, close: string) => `${open.repeat(60_000)}1${close.repeat(60_000)}`;
    expect(outcomeOf(`{"uuid":"1","segments":${deep('[', ']')},"stuff":${deep('[{"cn":', '}]')}}`)).toMatchObject({
      segments: [],
      destinations: [],
    });
    expect(outcomeOf(deep('[', ']'))).toMatchObject({ reason: 'bad-reply' });
  });

  it.each([
    ['31ZpxW5bQGc=', true],
    ['ss3OTqPiQp0', true],
    ['a+b/c_d-e', true],
    ['x'.repeat(64), true],
    ['x'.repeat(65), false],
    ['a b', false],
    ['a\nb', false],
    ['<script>', false],
    ['é', false],
  ])('keeps tid %j: %p', (tid, isKept) => {
    expect(replyTo({ tid }).transactionId).toBe(isKept ? tid : undefined);
  });

  it.each([
    [9, 9],
    ['9', 9],
    ['09', 9],
    [0, 0],
    [9.5, undefined],
    ['9x', undefined],
    ['1'.repeat(16), undefined],
    [2 ** 53, undefined],
  ])('reads dcs_region %j as %p', (given, region) => {
    expect(replyTo({ dcs_region: given }).region).toBe(region);
  });
});

describe('d_optout', () => {
  it.each([
    [['global']],
    [['partner', 'global']],
    [['NONE', 'global']],
    [[null]],
    ['global'],
    ['none'],
    [true],
    [1],
    [{ global: true }],
  ])('%j is an opt-out, whatever other data there is', (levels) => {
    const outcome = outcomeOf({ d_optout: levels, uuid: '1', segments: [1], errors: [{ code: 101 }] });
    expect(outcome).toMatchObject({ reason: 'opted-out', dcsCode: undefined, optOutTtlMs: 7_200_000 });
  });

  it.each([[[]], [['NONE']], [['']], ['NONE'], [''], [null], [false], [0]])('%j is not an opt-out', (levels) => {
    expect(replyTo({ d_optout: levels, segments: [1] }).segments).toEqual(['1']);
  });

  it.each([
    [60, 60_000],
    ['60', 60_000],
    [undefined, 7_200_000],
    [0, 7_200_000],
    ['0', 7_200_000],
    [-60, 7_200_000],
    [1.5, 7_200_000],
    ['1 h', 7_200_000],
    [null, 7_200_000],
    [2_147_484, 2_147_483_647],
    [Number.MAX_SAFE_INTEGER, 2_147_483_647],
  ])('with d_ottl %j holds for %p ms', (seconds, optOutTtlMs) => {
    expect(outcomeOf({ d_optout: ['global'], d_ottl: seconds })).toMatchObject({ reason: 'opted-out', optOutTtlMs });
    expect(outcomeOf({ errors: [{ code: 171 }], d_ottl: seconds })).toMatchObject({ reason: 'opted-out', optOutTtlMs });
  });
});

describe('any answer at all', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const number = fc.oneof(json, fc.integer(), fc.double(), fc.string(), fc.stringMatching(/^0{0,3}\d{1,22}$/));
  const item = fc.oneof(json, fc.record({ cn: fc.oneof(json, fc.string()), cv: fc.oneof(json, number) }), number);
  const error = fc.oneof(json, fc.record({ code: number }));
  const list = (of: fc.Arbitrary<unknown>) => fc.oneof(json, fc.array(of));
  const answer = fc.record(
    {
      uuid: fc.oneof(json, fc.string()),
      segments: list(number),
      stuff: list(item),
      errors: list(error),
      dcs_region: number,
      tid: fc.oneof(json, fc.string()),
      d_optout: fc.oneof(fc.constant([]), json),
      d_ottl: number,
    },
    { requiredKeys: [] },
  );
  const header = fc.option(
    fc.oneof(
      fc.string(),
      fc.array(fc.oneof(fc.nat(400), fc.string())).map((codes) => codes.join()),
    ),
    { nil: undefined },
  );

  function check(body: string, errorHeader: string | undefined): void {
    try {
      const { segments, destinations, errors, region, transactionId } = replyFromBody(body, errorHeader);
      for (const id of segments) expect(id).toMatch(/^(?:0|[1-9]\d{0,19})$/);
      expect(new Set(segments).size).toBe(segments.length);
      for (const pair of destinations) expect(pair).toEqual([expect.stringMatching(/./s), expect.stringMatching(/./s)]);
      for (const code of errors) expect(Number.isSafeInteger(code) && code >= 0).toBe(true);
      expect(region === undefined || (Number.isSafeInteger(region) && region >= 0)).toBe(true);
      expect(transactionId ?? 'none').toMatch(/^[\w+/=-]{1,64}$/);
    } catch (thrown) {
      if (!(thrown instanceof DcsError)) throw thrown;
    }
  }

  it('becomes a valid reply or a DcsError, for JSON like that of a DCS', () => {
    fc.assert(
      fc.property(answer, header, (body, errorHeader) => check(JSON.stringify(body), errorHeader)),
      {
        numRuns: 2_000,
      },
    );
  });

  it('becomes a valid reply or a DcsError, for other JSON and for text', () => {
    fc.assert(fc.property(json, header, (body, errorHeader) => check(JSON.stringify(body), errorHeader)));
    fc.assert(fc.property(fc.string({ unit: 'binary' }), header, check));
    fc.assert(
      fc.property(answer, fc.nat(), header, (body, at, errorHeader) => {
        const text = JSON.stringify(body);
        check(text.slice(0, at % (text.length + 1)), errorHeader);
      }),
    );
  });
});

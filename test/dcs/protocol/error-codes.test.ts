import { ADVICE, effectOf } from '../../../src/dcs/protocol/error-codes';
import { outcomeOf, replyTo } from '../outcome';

const OUTCOME_BY_CODE: ReadonlyMap<number, object> = new Map(
  Object.entries({
    'opted-out': [171, 173, 315],
    'invalid-id': [101, 102],
    denylisted: [306, 307],
    refused: [172, 198, 199],
  }).flatMap(([reason, codes]) => codes.map((code) => [code, { reason, noData: false }] as const)),
);
const REJECTED_CODES = [1, 2, 100, 109, 111];
const NO_DATA_CODES = [0, 10, 200, 201, 202, 203, 204, 205];
const DATA = { uuid: '1', segments: [984263], stuff: [] };

function expectedOf(code: number): object {
  if (REJECTED_CODES.includes(code)) return { reason: 'dcs-error', noData: false, dcsCode: code };
  if (NO_DATA_CODES.includes(code)) return { reason: 'dcs-error', noData: true, dcsCode: code };
  const excluded = OUTCOME_BY_CODE.get(code);
  return excluded === undefined ? { segments: ['984263'], errors: [code] } : { ...excluded, dcsCode: code };
}

describe('a DCS error code', () => {
  const codes = Array.from({ length: 401 }, (_, code) => code);

  it('in the body has its documented effect', () => {
    for (const code of codes) {
      expect(outcomeOf({ ...DATA, errors: [{ code, msg: 'x' }] })).toMatchObject(expectedOf(code));
    }
  });

  it('has the same effect as a string, and in X-Error alone', () => {
    for (const code of codes) {
      expect(outcomeOf({ ...DATA, errors: [{ code: String(code) }] })).toMatchObject(expectedOf(code));
      expect(outcomeOf(DATA, String(code))).toMatchObject(expectedOf(code));
    }
  });

  it('of X-Error is merged with those of the body, without duplicates', () => {
    const errors = [{ code: 300 }, { code: 309 }, { code: 300 }];
    expect(replyTo({ errors }, '309, 310,  300,310').errors).toEqual([300, 309, 310]);
    expect(outcomeOf({ ...DATA, errors }, '171')).toMatchObject({ reason: 'opted-out', dcsCode: 171 });
  });

  it.each(['', ',', ' , ', '-1', '1e2', '0x65', 'x', '171;q=1', '9'.repeat(16), '1.5'])(
    'is not read from X-Error %j',
    (header) => {
      expect(replyTo({}, header).errors).toEqual([]);
    },
  );

  it.each([
    null,
    'x',
    171,
    {},
    { code: 171 },
    [null],
    [171],
    [['171']],
    [{}],
    [{ code: null }],
    [{ code: -1 }],
    [{ code: 1.5 }],
  ])('is not read from errors: %j', (errors) => {
    expect(replyTo({ errors }).errors).toEqual([]);
  });

  it('without data: the first one is reported', () => {
    expect(outcomeOf({ errors: [{ code: 304 }, { code: 311 }] })).toMatchObject({ noData: true, dcsCode: 304 });
  });
});

describe('effectOf', () => {
  it.each([
    [[101, 306, 171], 'opted-out', 171],
    [[101, 172, 306], 'denylisted', 306],
    [[172, 101], 'invalid-id', 101],
    [[1, 172], 'refused', 172],
    [[200, 2], 'rejected', 2],
    [[300, 200], 'no-data', 200],
    [[300, 104], 'warning', undefined],
    [[], 'warning', undefined],
  ] as const)('lets the most severe of %j decide', (codes, effect, code) => {
    expect(effectOf(codes)).toEqual({ effect, code });
  });
});

describe('ADVICE', () => {
  it.each([1, 2, 100, 109, 111, 198, 199, 311])('exists for code %i, which the site can fix', (code) => {
    expect(ADVICE.get(code)).toMatch(/\w{3}/);
  });

  it.each([0, 10, 101, 102, 171, 173, 200, 204, 300, 306, 307, 315])(
    'does not exist for code %i, which is normal traffic',
    (code) => {
      expect(ADVICE.has(code)).toBe(false);
    },
  );
});

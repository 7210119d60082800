import fc from 'fast-check';
import { REGIONAL_ORIGINS } from '../../src/dcs/regions';
import { createIdentityReader, type Identity, isVisitorId, visitorKey } from '../../src/identity/visitor';
import vectors from '../vectors/identity.json';

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const AMCV = 'AMCV_1FD6776A524453CC0A490D44%40AdobeOrg';
const A = '11111111111111111111111111111111111111';
const B = '22222222222222222222222222222222222222';
const isKnownRegion = (region: number) => region in REGIONAL_ORIGINS;

function reader({ orgId = ORG, sEcid = true } = {}): (header: string | undefined, parsed?: unknown) => Identity {
  const read = createIdentityReader({ orgId, sEcid, isKnownRegion });
  return (header, parsed) => read(header, parsed);
}

interface Row {
  id: string;
  orgId: string;
  now: number;
  cookieHeader?: string;
  expected: { ecid?: string | null; region?: number | null; regionExpired?: boolean | null; optedOut?: boolean };
}

/** Rows whose id or region comes from Web SDK cookies, or that have no cookie at all: not read yet. */
const readsMoreThanAmcv = ({ id, cookieHeader }: Row) =>
  cookieHeader === undefined ||
  (id.startsWith('websdk/') && id !== 'websdk/alloy-adopts-amcv') ||
  id.startsWith('constructed/websdk');

describe('Adobe cookies', () => {
  const rows = (vectors.rows as Row[]).filter((row) => !readsMoreThanAmcv(row));

  it('has the vectors that it should have', () => {
    expect(rows.length).toBe(47);
  });

  it.each(rows.map((row) => [row.id, row] as const))('%s', (_id, { orgId, now, cookieHeader, expected }) => {
    const identity = reader({ orgId })(cookieHeader);
    const { regionExpiresAtMs, ...visitor } = identity.visitor;
    if ('ecid' in expected) expect(visitor.ecid ?? null).toBe(expected.ecid);
    if ('region' in expected) expect(visitor.region ?? null).toBe(expected.region);
    if (typeof expected.regionExpired === 'boolean') {
      expect((regionExpiresAtMs as number) < now * 1000).toBe(expected.regionExpired);
    }
    if ('optedOut' in expected) expect(identity.optedOut).toBe(expected.optedOut);
  });

  it('are read the same from the object that cookie-parser makes', () => {
    for (const { orgId, cookieHeader } of rows) {
      const parsed = jest.requireActual<typeof import('cookie')>('cookie').parse(cookieHeader as string);
      const isDuplicated = (cookieHeader as string).split('AMCV_').length > 2;
      if (!isDuplicated) expect(reader({ orgId })(undefined, parsed)).toEqual(reader({ orgId })(cookieHeader));
    }
  });
});

describe('the visitor of a request', () => {
  const read = reader();

  it('is nobody without cookies', () => {
    expect(read(undefined)).toEqual({ visitor: {}, problem: 'no-id', optedOut: false });
    expect(read('theme=dark; AMCVS_1FD6776A524453CC0A490D44%40AdobeOrg=1').problem).toBe('no-id');
  });

  it('is the one of the own organisation only', () => {
    expect(read(`AMCV_999999999999999999999999%40AdobeOrg=MCMID|${A}`).problem).toBe('no-id');
    expect(read(`xAMCV_1FD6776A524453CC0A490D44%40AdobeOrg=MCMID|${A}`).problem).toBe('no-id');
  });

  it('is not an id that is no 38 digits, and says so', () => {
    expect(read(`${AMCV}=MCMID|${A}1`)).toMatchObject({ problem: 'bad-id', visitor: { ecid: undefined } });
    expect(read(`${AMCV}=MCMID|${A.slice(1)}a`).problem).toBe('bad-id');
  });

  it('is the first usable id among several cookies of one name', () => {
    expect(read(`${AMCV}=MCMID|${A}; ${AMCV}=MCMID|${B}`).visitor.ecid).toBe(A);
    expect(read(`${AMCV}=MCMID|nonsense; ${AMCV}=MCMID|${B}`).visitor.ecid).toBe(B);
    expect(read(`AMCV_${ORG}=MCMID|${A}; ${AMCV}=MCMID|${B}`).visitor.ecid).toBe(A);
  });

  it('has the region of a cookie with the same id before that of any other', () => {
    const withRegion = (id: string, region: number) => `${AMCV}=MCMID|${id}|MCAAMLH-1796038911|${region}`;
    expect(read(`${AMCV}=MCMID|${A}; ${withRegion(B, 6)}; ${withRegion(A, 9)}`).visitor.region).toBe(9);
    expect(read(`${AMCV}=MCMID|${A}; ${withRegion(B, 6)}`).visitor.region).toBe(6);
    expect(read(`${AMCV}=MCMID|${A}|MCAAMLH|5; ${withRegion(A, 9)}`).visitor).toMatchObject({
      region: 9,
      regionExpiresAtMs: 1796038911000,
    });
  });

  it('is opted out when any of the cookies says so, whatever the others say', () => {
    expect(read(`${AMCV}=MCMID|${A}; ${AMCV}=MCMID|${B}|MCOPTOUT-1s|global`)).toMatchObject({ optedOut: true });
    expect(read(`${AMCV}=MCMID|${A}; ${AMCV}=MCMID|NONE`)).toMatchObject({ optedOut: true });
    expect(read(`${AMCV}=MCMID|${A}; s_ecid=MCMID|NONE`)).toMatchObject({ optedOut: true });
    expect(read(`${AMCV}=MCMID|${A}|MCOPTOUT-1s|NONE`)).toMatchObject({ optedOut: false });
  });

  it('comes from s_ecid where AMCV has no usable id', () => {
    expect(read(`s_ecid=MCMID%7C${A}`).visitor.ecid).toBe(A);
    expect(read(`s_ecid=MCMID%7C${A}; ${AMCV}=MCMID|${B}`).visitor.ecid).toBe(B);
    expect(read(`s_ecid=MCMID%7C${A}; ${AMCV}=T`).visitor.ecid).toBe(A);
    expect(read(`s_ecid=MCMID%7C${A}; ${AMCV}=MCAAMLH|6`).visitor).toMatchObject({ ecid: A, region: 6 });
  });

  it('does not come from s_ecid when that is turned off', () => {
    expect(reader({ sEcid: false })(`s_ecid=MCMID%7C${A}`).problem).toBe('no-id');
  });

  it('is read through blanks and quotes', () => {
    expect(read(`a=b;\t ${AMCV}= "MCMID%7C${A}" \t; c=d`).visitor.ecid).toBe(A);
    expect(read(`;;;=; ${AMCV}=MCMID|${A};`).visitor.ecid).toBe(A);
    expect(read(`${AMCV}="`).problem).toBe('no-id');
  });

  it('comes from parsed cookies under both spellings, and only from strings', () => {
    expect(read(undefined, { [`AMCV_${ORG}`]: `MCMID|${A}` }).visitor.ecid).toBe(A);
    expect(read(undefined, { [AMCV]: { id: A }, s_ecid: 7 }).problem).toBe('no-id');
    expect(read(undefined, { [AMCV]: '\ud800' }).problem).toBe('no-id');
    expect(read(undefined, 'AMCV').problem).toBe('no-id');
  });

  it('never throws and never is an id that is not 38 digits, whatever the bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        `${AMCV}=`,
        `AMCV_${ORG}=`,
        's_ecid=',
        'MCMID',
        'MCAAMLH-1s',
        'MCOPTOUT',
        A,
        B,
        '%7C',
        '|',
        ';',
        '; ',
        '%',
        '"',
        '=',
        '9',
        'NONE',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const { visitor, problem } = read(pieces.join(''));
        if (problem === undefined) expect(visitor.ecid).toMatch(/^\d{38}$/);
        else expect(visitor.ecid).toBeUndefined();
        if (visitor.region !== undefined) expect(isKnownRegion(visitor.region)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('visitor ids', () => {
  it('are 38 decimal digits', () => {
    expect(isVisitorId(A)).toBe(true);
    for (const wrong of [`${A}1`, A.slice(1), `${A.slice(1)}\n`, ` ${A.slice(1)}`, '', undefined, Number(A)]) {
      expect(isVisitorId(wrong)).toBe(false);
    }
  });

  it('of the two kinds do not meet in one key', () => {
    expect(visitorKey({ ecid: A })).not.toBe(visitorKey({ uuid: A }));
    expect(visitorKey({ ecid: A, region: 6 })).toBe(visitorKey({ ecid: A, region: 9 }));
  });
});

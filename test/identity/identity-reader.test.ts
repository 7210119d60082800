import fc from 'fast-check';
import { closeSites, createSite } from '../helpers/site';
import vectors from '../vectors/identity.json';
import { A, AMCV, B, isKnownRegion, ORG, reader } from './reader';

interface Row {
  id: string;
  orgId: string;
  now: number;
  cookieHeader?: string;
  queryString?: string;
  expected: { ecid?: string | null; region?: number | null; regionExpired?: boolean | null; optedOut?: boolean };
}

describe('Adobe cookies and links', () => {
  const rows = vectors.rows as Row[];
  afterEach(() => jest.useRealTimers());

  it('runs all vectors', () => {
    expect(rows.length).toBe(71);
  });

  it.each(rows.map((row) => [row.id, row] as const))(
    '%s',
    (_id, { orgId, now, cookieHeader, queryString, expected }) => {
      jest.useFakeTimers({ now: now * 1000 });
      const url = queryString === undefined ? undefined : `/landing?utm_source=mail&${queryString}`;
      const identity = reader({ orgId, adobeMc: true })(cookieHeader, undefined, url);
      const { regionExpiresAtMs, ...visitor } = identity.visitor;
      if ('ecid' in expected) expect(visitor.ecid ?? null).toBe(expected.ecid);
      if ('region' in expected) expect(visitor.region ?? null).toBe(expected.region);
      if (typeof expected.regionExpired === 'boolean') {
        expect((regionExpiresAtMs as number) < now * 1000).toBe(expected.regionExpired);
      }
      if ('optedOut' in expected) expect(identity.optedOut).toBe(expected.optedOut);
    },
  );

  it('are read the same from the object that cookie-parser makes', () => {
    for (const { orgId, cookieHeader } of rows) {
      if (cookieHeader === undefined) continue;
      const parsed = jest.requireActual<typeof import('cookie')>('cookie').parse(cookieHeader);
      const isDuplicated = cookieHeader.split('AMCV_').length > 2;
      if (!isDuplicated) expect(reader({ orgId })(undefined, parsed)).toEqual(reader({ orgId })(cookieHeader));
    }
  });
});

describe('the visitor of a request', () => {
  const read = reader();

  it('has no id without cookies', () => {
    expect(read(undefined)).toEqual({ visitor: {}, problem: 'no-id', optedOut: false });
    expect(read('theme=dark; AMCVS_1FD6776A524453CC0A490D44%40AdobeOrg=1').problem).toBe('no-id');
  });

  it('is only read from cookies of the configured organisation', () => {
    expect(read(`AMCV_999999999999999999999999%40AdobeOrg=MCMID|${A}`).problem).toBe('no-id');
    expect(read(`xAMCV_1FD6776A524453CC0A490D44%40AdobeOrg=MCMID|${A}`).problem).toBe('no-id');
  });

  it('is a bad-id where the id is not 38 digits', () => {
    expect(read(`${AMCV}=MCMID|${A}1`)).toMatchObject({ problem: 'bad-id', visitor: { ecid: undefined } });
    expect(read(`${AMCV}=MCMID|${A.slice(1)}a`).problem).toBe('bad-id');
  });

  it('has the first usable id among cookies of one name', () => {
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

  it('is opted out when any cookie says so', () => {
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

  it('is read from values with blanks and quotes around them', () => {
    expect(read(`a=b;\t ${AMCV}= "MCMID%7C${A}" \t; c=d`).visitor.ecid).toBe(A);
    expect(read(`;;;=; ${AMCV}=MCMID|${A};`).visitor.ecid).toBe(A);
    expect(read(`${AMCV}="`).problem).toBe('no-id');
  });

  it('is read from parsed cookies under both spellings, and only from strings', () => {
    expect(read(undefined, { [`AMCV_${ORG}`]: `MCMID|${A}` }).visitor.ecid).toBe(A);
    expect(read(undefined, { [AMCV]: { id: A }, s_ecid: 7 }).problem).toBe('no-id');
    expect(read(undefined, { [AMCV]: '\ud800' }).problem).toBe('no-id');
    expect(read(undefined, 'AMCV').problem).toBe('no-id');
  });

  it('never has an id that is not 38 digits, and reading never throws', () => {
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

describe('cookies with a UUID', () => {
  afterEach(closeSites);
  const read = reader({ uuidCookies: ['aam_uuid', 'aam_did'] });

  it('are only read where configured, and last', () => {
    expect(reader()(`aam_uuid=${A}`).problem).toBe('no-id');
    expect(read(`aam_uuid=${A}`)).toMatchObject({ visitor: { uuid: A, ecid: undefined }, problem: undefined });
    expect(read(`aam_uuid=${A}; s_ecid=MCMID|${B}`).visitor).toMatchObject({ uuid: undefined, ecid: B });
  });

  it('are read in their configured order', () => {
    expect(read(`aam_did=${B}; aam_uuid=${A}`).visitor.uuid).toBe(A);
    expect(read(`aam_did=${B}; aam_uuid=x`).visitor.uuid).toBe(B);
    expect(read('aam_did=1; aam_uuid=x').problem).toBe('bad-id');
  });

  it('are read through Express', async () => {
    const site = await createSite({ identity: { uuidCookie: 'aam_uuid' } });
    expect(await site.view(`aam_uuid=${A}`)).toMatchObject({ status: 'fresh' });
    expect(site.simulator.requests).toMatchObject([{ params: { d_uuid: A } }]);
  });
});

import fc from 'fast-check';
import { REGIONAL_ORIGINS } from '../../src/dcs/protocol/regions';
import { type IdentityConfig, IdentityReader } from '../../src/identity/identity-reader';
import { type Identity, isVisitorId } from '../../src/identity/visitor';
import { CookieFinder } from '../../src/request/cookie-header';
import vectors from '../vectors/identity.json';

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const AMCV = 'AMCV_1FD6776A524453CC0A490D44%40AdobeOrg';
const A = '11111111111111111111111111111111111111';
const B = '22222222222222222222222222222222222222';
const isKnownRegion = (region: number) => region in REGIONAL_ORIGINS;

function reader(config: Partial<IdentityConfig> = {}): (header?: string, parsed?: unknown, url?: string) => Identity {
  const cookies = new CookieFinder();
  const identities = new IdentityReader(
    { orgId: ORG, sEcid: true, adobeMc: false, uuidCookies: [], isKnownRegion, ...config },
    cookies,
  );
  return (header, parsed, url) => identities.read(cookies.find(header, parsed), url);
}

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

  it('has the vectors that it should have', () => {
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
});

describe('the Web SDK', () => {
  const read = reader();
  const now = 1_795_434_000_000;
  beforeEach(() => void jest.useFakeTimers({ now }));
  afterEach(() => jest.useRealTimers());
  const KNDCTR = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg';
  /** The message as the Web SDK writes it, with whatever else in front of the ECID. */
  const identityOf = (ecid: string, before: readonly number[] = []) =>
    `${KNDCTR}_identity=${Buffer.from([...before, 0x0a, ecid.length, ...Buffer.from(ecid)]).toString('base64url')}`;
  const amcv = (id: string, region = '') => `${AMCV}=MCMID|${id}${region}`;

  it('is believed where AMCV has no usable id, before s_ecid', () => {
    expect(read(`s_ecid=MCMID|${B}; ${identityOf(A)}`).visitor.ecid).toBe(A);
    expect(read(`${amcv('12')}; ${identityOf(A)}`).visitor.ecid).toBe(A);
  });

  it('is believed against AMCV only where its cluster tells that it is the one that runs', () => {
    expect(read(`${amcv(B)}; ${identityOf(A)}`).visitor.ecid).toBe(B);
    expect(read(`${amcv(B)}; ${identityOf(A)}; ${KNDCTR}_cluster=or2`).visitor).toMatchObject({ ecid: A, region: 9 });
    expect(read(`${amcv(B)}; ${identityOf('12')}; ${KNDCTR}_cluster=or2`).visitor.ecid).toBe(B);
  });

  it('gives the region where the other cookie has none, or one that has expired', () => {
    const cluster = `${KNDCTR}_cluster=irl1`;
    expect(read(`${amcv(A)}; ${cluster}`).visitor.region).toBe(6);
    expect(read(`${amcv(A, `|MCAAMLH-${now / 1000 - 1}|9`)}; ${cluster}`).visitor.region).toBe(6);
    expect(read(`${amcv(A, `|MCAAMLH-${now / 1000 + 1}|9`)}; ${cluster}`).visitor.region).toBe(9);
    expect(read(`${amcv(A)}; ${KNDCTR}_cluster=t35`).visitor.region).toBeUndefined();
  });

  it('knows a region for each of its clusters, and Singapore by its misprint too', () => {
    const clusters = ['sgp3', 'spg3', 'irl1', 'va6', 'aus3', 'or2', 'jpn3', 'ind1'];
    const regions = clusters.map((name) => read(`${identityOf(A)}; ${KNDCTR}_cluster=${name}`).visitor.region);
    expect(regions).toEqual([3, 3, 6, 7, 8, 9, 11, 12]);
  });

  it('may write other fields before the ECID, of every wire type', () => {
    const varint = [0x10, ...Array(9).fill(0xff), 0x01];
    const eight = [0x19, 1, 2, 3, 4, 5, 6, 7, 8];
    const bytes = [0x52, 3, 0x0a, 38, 7];
    const four = [0x2d, 1, 2, 3, 4];
    expect(read(identityOf(A, [...varint, ...eight, ...bytes, ...four])).visitor.ecid).toBe(A);
  });

  it.each([
    ['groups', [0x1b, 0x1c]],
    ['an end of a group', [0x0c]],
    ['a varint that does not end', Array(12).fill(0xff)],
    ['a field 0', [0x02, 0]],
    ['a length beyond the end', [0x12, 0x7f]],
    ['a wire type that is none', [0x0f]],
  ])('is not believed with %s in its cookie', (_what, before) => {
    expect(read(identityOf(A, before))).toMatchObject({ problem: 'no-id', visitor: { ecid: undefined } });
  });

  it('is not believed when its cookie is cut anywhere', () => {
    const whole = identityOf(A);
    for (let length = whole.length - 1; length > whole.indexOf('='); length--) {
      expect(read(whole.slice(0, length)).visitor.ecid).toBeUndefined();
    }
  });

  it('writes an id that is no ECID: that is a bad one', () => {
    expect(read(identityOf('12345')).problem).toBe('bad-id');
  });

  it('never makes the reader throw or believe what is not 38 digits, whatever the bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('base64'));
    const text = fc.oneof(bytes, fc.string({ unit: 'binary' }), bytes.map(encodeURIComponent));
    fc.assert(
      fc.property(text, (value) => {
        const { ecid } = read(`${KNDCTR}_identity=${value}; ${KNDCTR}_cluster=${value}`).visitor;
        if (ecid !== undefined) expect(ecid).toMatch(/^\d{38}$/);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a link with adobe_mc', () => {
  const now = 1_795_434_000;
  beforeEach(() => void jest.useFakeTimers({ now: now * 1000 }));
  afterEach(() => jest.useRealTimers());
  const link = (mid: string, { org = ORG, ts = String(now) } = {}) =>
    `/?adobe_mc=${encodeURIComponent(`MCMID=${mid}|MCORGID=${encodeURIComponent(org)}|TS=${ts}`)}`;
  const read = reader({ adobeMc: true });

  it('is not read unless the site wants it', () => {
    expect(reader()(undefined, undefined, link(A)).problem).toBe('no-id');
  });

  it('says who comes where no cookie does', () => {
    expect(read(undefined, undefined, link(A)).visitor.ecid).toBe(A);
    expect(read(`${AMCV}=MCMID|${B}`, undefined, link(A)).visitor.ecid).toBe(B);
    expect(read(`s_ecid=MCMID|${B}`, undefined, link(A)).visitor.ecid).toBe(B);
    expect(read(`${AMCV}=MCMID|123`, undefined, link(A)).visitor.ecid).toBe(A);
  });

  it('does not bring back a visitor who opted out', () => {
    expect(read(`${AMCV}=MCMID|NONE`, undefined, link(A)).optedOut).toBe(true);
  });

  it('is for one organisation, letter by letter', () => {
    expect(read(undefined, undefined, link(A, { org: ORG.toLowerCase() })).visitor.ecid).toBeUndefined();
    expect(read(undefined, undefined, link(A, { org: '1FD6776A524453CC0A490D44' })).visitor.ecid).toBeUndefined();
  });

  it.each([
    [300, true],
    [301, false],
    [-60, true],
    [-61, false],
  ])('%d seconds old: read is %p', (ageSec, isRead) => {
    const { visitor } = read(undefined, undefined, link(A, { ts: String(now - ageSec) }));
    expect(visitor.ecid).toBe(isRead ? A : undefined);
  });

  it('never makes the reader throw or believe what is not 38 digits', () => {
    const piece = fc.constantFrom(
      'adobe_mc=',
      'MCMID%3D',
      A,
      '%7C',
      'MCORGID%3D',
      encodeURIComponent(ORG),
      'TS%3D',
      `${now}`,
      '%',
      '%25',
      '&',
      '?',
      '#',
      '=',
      '%E0',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const { ecid } = read(undefined, undefined, `/?${pieces.join('')}`).visitor;
        if (ecid !== undefined) expect(ecid).toMatch(/^\d{38}$/);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('cookies with a UUID', () => {
  const read = reader({ uuidCookies: ['aam_uuid', 'aam_did'] });

  it('are read only where the site names them, and last', () => {
    expect(reader()(`aam_uuid=${A}`).problem).toBe('no-id');
    expect(read(`aam_uuid=${A}`)).toMatchObject({ visitor: { uuid: A, ecid: undefined }, problem: undefined });
    expect(read(`aam_uuid=${A}; s_ecid=MCMID|${B}`).visitor).toMatchObject({ uuid: undefined, ecid: B });
  });

  it('are tried in the order of their configuration', () => {
    expect(read(`aam_did=${B}; aam_uuid=${A}`).visitor.uuid).toBe(A);
    expect(read(`aam_did=${B}; aam_uuid=x`).visitor.uuid).toBe(B);
    expect(read('aam_did=1; aam_uuid=x').problem).toBe('bad-id');
  });
});

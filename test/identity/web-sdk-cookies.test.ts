import fc from 'fast-check';
import { A, AMCV, B, reader } from './reader';

describe('the cookies of the Web SDK', () => {
  const read = reader();
  const now = 1_795_434_000_000;
  beforeEach(() => void jest.useFakeTimers({ now }));
  afterEach(() => jest.useRealTimers());
  const KNDCTR = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg';
  /** The cookie as the Web SDK writes it, with `before` in front of the ECID. */
  const identityOf = (ecid: string, before: readonly number[] = []) =>
    `${KNDCTR}_identity=${Buffer.from([...before, 0x0a, ecid.length, ...Buffer.from(ecid)]).toString('base64url')}`;
  const amcv = (id: string, region = '') => `${AMCV}=MCMID|${id}${region}`;

  it('give the ECID where AMCV has no usable one, before s_ecid', () => {
    expect(read(`s_ecid=MCMID|${B}; ${identityOf(A)}`).visitor.ecid).toBe(A);
    expect(read(`${amcv('12')}; ${identityOf(A)}`).visitor.ecid).toBe(A);
  });

  it('override AMCV only together with a cluster cookie', () => {
    expect(read(`${amcv(B)}; ${identityOf(A)}`).visitor.ecid).toBe(B);
    expect(read(`${amcv(B)}; ${identityOf(A)}; ${KNDCTR}_cluster=or2`).visitor).toMatchObject({ ecid: A, region: 9 });
    expect(read(`${amcv(B)}; ${identityOf('12')}; ${KNDCTR}_cluster=or2`).visitor.ecid).toBe(B);
  });

  it('give the region where AMCV has none or an expired one', () => {
    const cluster = `${KNDCTR}_cluster=irl1`;
    expect(read(`${amcv(A)}; ${cluster}`).visitor.region).toBe(6);
    expect(read(`${amcv(A, `|MCAAMLH-${now / 1000 - 1}|9`)}; ${cluster}`).visitor.region).toBe(6);
    expect(read(`${amcv(A, `|MCAAMLH-${now / 1000 + 1}|9`)}; ${cluster}`).visitor.region).toBe(9);
    expect(read(`${amcv(A)}; ${KNDCTR}_cluster=t35`).visitor.region).toBeUndefined();
  });

  it('name a region by each Edge location, and Singapore also by the spelling spg3', () => {
    const clusters = ['sgp3', 'spg3', 'irl1', 'va6', 'aus3', 'or2', 'jpn3', 'ind1'];
    const regions = clusters.map((name) => read(`${identityOf(A)}; ${KNDCTR}_cluster=${name}`).visitor.region);
    expect(regions).toEqual([3, 3, 6, 7, 8, 9, 11, 12]);
  });

  it('may have fields of every wire type before the ECID', () => {
    const varint = [0x10, ...Array(9).fill(0xff), 0x01];
    const eight = [0x19, 1, 2, 3, 4, 5, 6, 7, 8];
    const bytes = [0x52, 3, 0x0a, 38, 7];
    const four = [0x2d, 1, 2, 3, 4];
    expect(read(identityOf(A, [...varint, ...eight, ...bytes, ...four])).visitor.ecid).toBe(A);
  });

  it.each([
    ['groups', [0x1b, 0x1c]],
    ['an end of a group', [0x0c]],
    ['an endless varint', Array(12).fill(0xff)],
    ['a field 0', [0x02, 0]],
    ['a length beyond the end', [0x12, 0x7f]],
    ['an unknown wire type', [0x0f]],
  ])('are ignored with %s in the identity', (_what, before) => {
    expect(read(identityOf(A, before))).toMatchObject({ problem: 'no-id', visitor: { ecid: undefined } });
  });

  it('are ignored when the identity is truncated anywhere', () => {
    const whole = identityOf(A);
    for (let length = whole.length - 1; length > whole.indexOf('='); length--) {
      expect(read(whole.slice(0, length)).visitor.ecid).toBeUndefined();
    }
  });

  it('give a bad-id where the id is not 38 digits', () => {
    expect(read(identityOf('12345')).problem).toBe('bad-id');
  });

  it('never make the reader throw or accept an id that is not 38 digits', () => {
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

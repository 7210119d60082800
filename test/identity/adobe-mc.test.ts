import fc from 'fast-check';
import request from 'supertest';
import { closeSites, createSite } from '../helpers/site';
import { A, AMCV, B, ORG, reader } from './reader';

describe('a link with adobe_mc', () => {
  const now = 1_795_434_000;
  beforeEach(() => void jest.useFakeTimers({ now: now * 1000 }));
  afterEach(() => jest.useRealTimers());
  const link = (mid: string, { org = ORG, ts = String(now) } = {}) =>
    `/?adobe_mc=${encodeURIComponent(`MCMID=${mid}|MCORGID=${encodeURIComponent(org)}|TS=${ts}`)}`;
  const read = reader({ adobeMc: true });

  it('is not read by default', () => {
    expect(reader()(undefined, undefined, link(A)).problem).toBe('no-id');
  });

  it('gives the ECID where no cookie does', () => {
    expect(read(undefined, undefined, link(A)).visitor.ecid).toBe(A);
    expect(read(`${AMCV}=MCMID|${B}`, undefined, link(A)).visitor.ecid).toBe(B);
    expect(read(`s_ecid=MCMID|${B}`, undefined, link(A)).visitor.ecid).toBe(B);
    expect(read(`${AMCV}=MCMID|123`, undefined, link(A)).visitor.ecid).toBe(A);
  });

  it('is read where it was encoded twice, as a whole', () => {
    const twice = link(A).replace(/(?<==).*/, (once) => encodeURIComponent(once));
    expect(twice).toContain('%257C');
    expect(read(undefined, undefined, twice).visitor.ecid).toBe(A);
  });

  it('does not override an opt-out', () => {
    expect(read(`${AMCV}=MCMID|NONE`, undefined, link(A)).optedOut).toBe(true);
  });

  it('is read for exactly one organisation id', () => {
    expect(read(undefined, undefined, link(A, { org: ORG.toLowerCase() })).visitor.ecid).toBeUndefined();
    expect(read(undefined, undefined, link(A, { org: '1FD6776A524453CC0A490D44' })).visitor.ecid).toBeUndefined();
  });

  it.each([
    [300, true],
    [301, false],
    [-60, true],
    [-61, false],
  ])('%d seconds old is read: %p', (ageSec, isRead) => {
    const { visitor } = read(undefined, undefined, link(A, { ts: String(now - ageSec) }));
    expect(visitor.ecid).toBe(isRead ? A : undefined);
  });

  it('never makes the reader throw or accept an id that is not 38 digits', () => {
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

describe('identity.adobeMc', () => {
  afterEach(closeSites);

  it('reads the link of a request through Express', async () => {
    const site = await createSite({ identity: { adobeMc: true } });
    const ts = Math.floor(Date.now() / 1000);
    const mc = `MCMID=${A}|MCORGID=${encodeURIComponent(ORG)}|TS=${ts}`;
    expect((await request(site.app).get(`/?adobe_mc=${encodeURIComponent(mc)}`)).body).toMatchObject({
      status: 'fresh',
    });
    expect(site.simulator.requests).toMatchObject([{ region: 'alias', params: { d_mid: A } }]);
  });
});

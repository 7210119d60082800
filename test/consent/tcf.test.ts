import { Base64Url, RestrictionType, TCString } from '@iabtcf/core';
import fc from 'fast-check';
import { tcStringAgrees } from '../../src/consent/tcf';
import { type Choices, tcStringOf } from './tc-strings';

describe('a TC string', () => {
  it('consents with vendor 565 and purposes 1 and 10', () => {
    expect(tcStringAgrees(tcStringOf())).toBe(true);
    expect(tcStringAgrees(tcStringOf({ vendors: [1, 2, 565, 1_000], purposes: [1, 2, 3, 10] }))).toBe(true);
  });

  it.each<[string, Choices]>([
    ['the vendor', { vendors: [564, 566] }],
    ['every vendor', { vendors: [] }],
    ['purpose 1', { purposes: [2, 3, 10] }],
    ['purpose 10', { purposes: [1, 2] }],
    ['consent, with a legitimate interest only', { vendors: [], vendorsWithInterest: [565] }],
  ])('does not consent without %s', (_what, choices) => {
    expect(tcStringAgrees(tcStringOf(choices))).toBe(false);
  });

  it.each([
    [565, 1, RestrictionType.NOT_ALLOWED, false],
    [565, 10, RestrictionType.NOT_ALLOWED, false],
    [565, 10, RestrictionType.REQUIRE_LI, false],
    [565, 10, RestrictionType.REQUIRE_CONSENT, true],
    [565, 2, RestrictionType.NOT_ALLOWED, true],
    [564, 10, RestrictionType.NOT_ALLOWED, true],
  ])(
    'with vendor %d restricted by the publisher in purpose %d to %d, consents: %p',
    (vendor, purpose, type, agrees) => {
      expect(tcStringAgrees(tcStringOf({ restrictions: [{ vendor, purpose, type }] }))).toBe(agrees);
    },
  );

  it('is read as the IAB’s library reads it', () => {
    const id = fc.constantFrom(1, 2, 3, 564, 565, 566, 700, 1_000);
    const choices = fc.record({
      vendors: fc.uniqueArray(id),
      vendorsWithInterest: fc.uniqueArray(id),
      purposes: fc.uniqueArray(fc.constantFrom(1, 2, 3, 10, 11)),
      restrictions: fc.uniqueArray(
        fc.record({ vendor: id, purpose: fc.constantFrom(1, 2, 10), type: fc.constantFrom(0, 1, 2) }),
        { selector: ({ vendor, purpose }) => `${vendor} ${purpose}`, maxLength: 5 },
      ),
    });
    fc.assert(
      fc.property(choices, (chosen) => {
        const text = tcStringOf(chosen);
        const { purposeConsents, vendorConsents, publisherRestrictions } = TCString.decode(text);
        const isRestricted = publisherRestrictions
          .getRestrictions(565)
          .some(({ purposeId, restrictionType }) => [1, 10].includes(purposeId) && restrictionType !== 1);
        const agrees = purposeConsents.has(1) && purposeConsents.has(10) && vendorConsents.has(565) && !isRestricted;
        expect(tcStringAgrees(text)).toBe(agrees);
      }),
      { numRuns: 500 },
    );
  });

  it('is read with vendors in ranges, also in the list of legitimate interests', () => {
    const core = Base64Url.decode(tcStringOf().split('.')[0] as string).slice(0, 213);
    const int = (value: number, bits: number) => value.toString(2).padStart(bits, '0');
    const ranges = (...spans: [number, number][]) =>
      int(spans.length, 12) + spans.map(([from, to]) => `1${int(from, 16)}${int(to, 16)}`).join('');
    const list = (...spans: [number, number][]) => `${int(1_000, 16)}1${ranges(...spans)}`;
    const text = (bits: string) => Base64Url.encode(bits);
    const unrestricted = int(0, 12);
    expect(tcStringAgrees(text(core + list([1, 10], [500, 600]) + list([1, 999]) + unrestricted))).toBe(true);
    expect(tcStringAgrees(text(core + list([1, 10], [566, 600]) + list([1, 999]) + unrestricted))).toBe(false);
    const restricted = int(1, 12) + int(10, 6) + int(0, 2) + ranges([500, 600]);
    expect(tcStringAgrees(text(core + list([1, 10], [500, 600]) + list([1, 999]) + restricted))).toBe(false);
  });

  it.each([
    ['empty', ''],
    ['not base64', 'not a string!'],
    [
      'version 1',
      'BOlLbqtOlLbqtAVABADECg-AAAApp7v______9______9uz_Ov_v_f__33e8__9v_l_7_-___u_-23d4-_1vf99yfm1-7ftr3tp',
    ],
    ['not ASCII', `${tcStringOf()}é`],
    ['too long', `${tcStringOf()}.${'A'.repeat(4_000)}`],
  ])('that is %s does not consent', (_what, text) => {
    expect(tcStringAgrees(text)).toBe(false);
  });

  it('does not consent when it is truncated anywhere', () => {
    const core = tcStringOf().split('.')[0] as string;
    // The last characters may be padding only.
    for (let length = 0; length < core.length - 2; length++) expect(tcStringAgrees(core.slice(0, length))).toBe(false);
  });

  it('takes time in proportion to its length, whatever it contains', () => {
    // Thousands of restrictions on all vendors, which take the IAB's library most of a minute.
    const hostile = tcStringOf().slice(0, 38) + '_'.repeat(3_900);
    const steps = jest.spyOn(String.prototype, 'slice');
    tcStringAgrees(hostile);
    expect(steps.mock.calls.length).toBeLessThan(10_000);
    steps.mockRestore();
  });
});

import fc from 'fast-check';
import { GppReader } from '../../src/consent/gpp';
import { gppPackage } from '../../src/consent/gpp-layouts';
import { gppOf, gppStringsAgree, OPT_OUTS, STATES } from './iab-agreement';
import { tcStringOf } from './tc-strings';

const reader = new GppReader({ tcf: 'strict', gpc: true });
const agreementIn = (text: string) => reader.statement(text).agreement;

describe('a GPP string', () => {
  it.each(STATES.flatMap((state) => OPT_OUTS.map((field) => [state, field] as const)))(
    'refuses with an opt-out in %s: %s',
    (state, field) => {
      const none = gppOf({ [state]: { SaleOptOut: 2, [field]: 2 } });
      const optedOut = gppOf({ [state]: { SaleOptOut: 2, [field]: 1 } });
      expect(agreementIn(none)).toBeUndefined();
      // California has no choice about targeted advertising, the states but California none about sharing.
      expect(agreementIn(optedOut)).toBe(optedOut === none ? undefined : false);
    },
  );

  // Strings of another implementation: the tests of the Rust crate iab_gpp 0.1.2.
  it.each([
    ['DBABVg~BVVVVVVg.YA', 'opted out in Connecticut', false],
    ['DBABBg~BVqqqqpY.YA', 'Global Privacy Control in California, no opt-out', false],
    ['DBABBg~BVqqqqpY', 'no opt-out in California', undefined],
    ['DBABRg~BAAAABA', 'not applicable in Virginia', undefined],
    // The examples of the GPP specification.
    ['DBAA', 'no section', undefined],
    ['DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YYN', 'Canada, and US Privacy with an opt-out', false],
    ['DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN', 'Canada, and US Privacy without one', undefined],
    ['DBABM~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA', 'a TC string that consents to nothing', false],
    [`DBABM~${tcStringOf()}`, 'a TC string that consents', undefined],
  ])('%s (%s): %p', (text, _what, agreement) => {
    expect(agreementIn(text)).toBe(agreement);
  });

  it('does not refuse by Global Privacy Control where the site ignores that', () => {
    const text = gppOf({ usca: { SaleOptOut: 2, Gpc: true } });
    expect(agreementIn(text)).toBe(false);
    expect(new GppReader({ tcf: 'strict', gpc: false }).statement(text).agreement).toBeUndefined();
  });

  it('is read as the IAB’s package reads it', () => gppStringsAgree(500));

  it.each([
    '',
    '~',
    'D',
    'DB',
    'DBAA~',
    'DBAA~B',
    'DBABBg',
    'DBABBg~',
    'DBABBg~!',
    'CBABBg~BVqqqqpY',
    'DBABBg~BVqqqqpY~B',
  ])('refuses when it cannot be read: %j', (text) => expect(agreementIn(text)).toBe(false));

  it('refuses when a section is new to the installed package', () => {
    const known = gppPackage();
    if (known === undefined) throw new Error('not installed');
    const older = new GppReader({ tcf: 'strict', gpc: true }, () => ({
      ...known,
      GppModel: known.GppModel,
      Sections: { SECTION_ID_NAME_MAP: new Map([[7, 'usnat']]) },
    }));
    expect(older.statement(gppOf({ usnat: { SaleOptOut: 2 } })).agreement).toBeUndefined();
    expect(older.statement(gppOf({ usca: { SaleOptOut: 2 } })).agreement).toBe(false);
  });

  it('refuses, with one warning, when it has a US section and the package is not installed', () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const without = new GppReader({ tcf: 'strict', gpc: true }, () => undefined);
    for (let times = 0; times < 2; times++) {
      expect(without.statement(gppOf({ usca: { SaleOptOut: 2 } })).agreement).toBe(false);
      expect(without.statement('DBAA').agreement).toBeUndefined();
    }
    expect(warned.mock.calls).toEqual([
      [expect.stringContaining('npm install @iabgpp/cmpapi'), expect.objectContaining({ code: 'WRN_AAM_CONSENT' })],
    ]);
    warned.mockRestore();
  });

  it('takes time in proportion to its length, whatever it contains', () => {
    const slices = jest.spyOn(String.prototype, 'slice');
    const group = `DBAB${'_'.repeat(120)}`;
    for (const hostile of [
      group,
      `DB${'A'.repeat(4_000)}`,
      `DB${'~'.repeat(4_000)}`,
      `${group}${'~B'.repeat(1_900)}`,
    ]) {
      slices.mockClear();
      expect(agreementIn(hostile)).toBe(false);
      expect(slices.mock.calls.length).toBeLessThan(10_000);
    }
    slices.mockRestore();
  });

  it('never agrees and never makes the reader throw', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'ABCDw_-~.1YN'), maxLength: 60 });
    fc.assert(
      fc.property(
        fc.oneof(
          letters,
          letters.map((text) => `DBAB${text}`),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          expect(agreementIn(text)).not.toBe(true);
        },
      ),
    );
  });
});

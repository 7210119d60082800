/** Generated strings of the IAB's, read by this package and by the IAB's own ones: both must agree. */
import { GppModel } from '@iabgpp/cmpapi';
import { TCString } from '@iabtechlabtcf/core';
import fc from 'fast-check';
import { GppReader } from '../../src/consent/gpp';
import { tcfStatement } from '../../src/consent/tcf';
import { tcStringOf, VENDORS } from './tc-strings';

const isTooLate = new Date('2026-03-01T00:00:00Z');

/** TC strings of versions 2.0 to 2.3. */
export function tcStringsAgree(numRuns: number): void {
  const vendor = fc.constantFrom(...VENDORS);
  const vendors = fc.oneof(fc.uniqueArray(vendor), fc.constant(VENDORS), fc.constant([565]));
  const day = fc.constantFrom('2020-08-15', '2022-05-01', '2025-12-01', '2026-02-28', '2026-03-01', '2026-11-20');
  const choices = fc.record({
    vendors,
    disclosed: vendors,
    vendorsWithInterest: fc.uniqueArray(vendor),
    purposes: fc.oneof(fc.uniqueArray(fc.constantFrom(1, 2, 3, 10, 11)), fc.constant([1, 10])),
    restrictions: fc.uniqueArray(
      fc.record({ vendor, purpose: fc.constantFrom(1, 2, 10), type: fc.constantFrom(0, 1, 2) }),
      { selector: (each) => `${each.vendor} ${each.purpose}`, maxLength: 3 },
    ),
    createdAt: day.map((text) => new Date(text)),
    updatedAt: fc.option(
      day.map((text) => new Date(text)),
      { nil: undefined },
    ),
    policyVersion: fc.constantFrom(2, 3, 4, 5),
    isServiceSpecific: fc.boolean(),
    segments: fc.shuffledSubarray(['vendorsDisclosed', 'publisherTC'] as const),
  });
  const seen = { agreeing: 0, refusing: 0 };
  fc.assert(
    fc.property(choices, fc.constantFrom('strict', 'lenient'), (chosen, mode) => {
      const text = tcStringOf(chosen);
      const model = TCString.decode(text);
      const isRestricted = model.publisherRestrictions
        .getRestrictions(565)
        .some(({ purposeId, restrictionType }) => [1, 10].includes(purposeId) && restrictionType !== 1);
      const consents =
        model.purposeConsents.has(1) && model.purposeConsents.has(10) && model.vendorConsents.has(565) && !isRestricted;
      const isOf23 = model.created >= isTooLate || model.lastUpdated >= isTooLate;
      const isDisclosed = model.isServiceSpecific && model.vendorsDisclosed.has(565);
      const agrees = consents && (mode === 'lenient' || !isOf23 || isDisclosed);
      seen[agrees ? 'agreeing' : 'refusing']++;
      expect(tcfStatement(text, mode).agreement === true).toBe(agrees);
    }),
    { numRuns },
  );
  expect(seen.agreeing).toBeGreaterThan(20);
  expect(seen.refusing).toBeGreaterThan(20);
}

const reader = new GppReader({ tcf: 'strict', gpc: true });

export const OPT_OUTS = ['SaleOptOut', 'SharingOptOut', 'TargetedAdvertisingOptOut'];
export const STATES = 'nat ca va co ut ct fl mt or tx de ia ne nh nj tn mn md in ky ri'
  .split(' ')
  .map((state) => `us${state}`);

/** Makes a string with the IAB's own package. Fields that a section does not have are left out. */
export function gppOf(sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>): string {
  const model = new GppModel();
  for (const [section, fields] of Object.entries(sections)) {
    for (const [field, value] of Object.entries(fields)) {
      try {
        model.setFieldValue(section, field, value);
      } catch {}
    }
  }
  return model.encode();
}

/** What the package itself makes of a string; `false` for one that it cannot read. */
function readByPackage(text: string): false | undefined {
  try {
    const model = new GppModel(text);
    for (const section of STATES.filter((name) => model.hasSection(name))) {
      for (const field of OPT_OUTS.filter((name) => model.hasField(section, name))) {
        if (![0, 2].includes(model.getFieldValue(section, field))) return false;
      }
      if (model.hasField(section, 'Gpc') && model.getFieldValue(section, 'Gpc')) return false;
    }
    return undefined;
  } catch {
    return false;
  }
}

/** GPP strings with sections of the US and its states, some of them cut off. */
export function gppStringsAgree(numRuns: number): void {
  const choice = fc.constantFrom(0, 2, 2, 2, 2, 1);
  const fields = fc.record({
    SaleOptOut: choice,
    SharingOptOut: choice,
    TargetedAdvertisingOptOut: choice,
    Gpc: fc.constantFrom(false, false, false, true),
    SaleOptOutNotice: fc.constantFrom(0, 1, 2),
    MspaCoveredTransaction: fc.constantFrom(1, 2),
    PersonalDataConsents: fc.constantFrom(0, 1, 2),
  });
  const sections = fc.dictionary(fc.constantFrom(...STATES), fields, { minKeys: 1, maxKeys: 3 });
  const cut = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 8 }));
  const seen = { refusing: 0, other: 0 };
  fc.assert(
    fc.property(sections, cut, (chosen, cutOff) => {
      const whole = gppOf(chosen);
      const text = whole.slice(0, whole.length - cutOff);
      // Of an empty last segment the package makes what each section's class happens to do: it was cut off.
      const expected = text.endsWith('.') ? false : readByPackage(text);
      seen[expected === false ? 'refusing' : 'other']++;
      expect([text, reader.statement(text).agreement]).toEqual([text, expected]);
    }),
    { numRuns },
  );
  expect(Math.min(seen.refusing, seen.other)).toBeGreaterThan(20);
}

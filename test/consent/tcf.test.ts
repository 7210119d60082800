import { Base64Url, RestrictionType } from '@iabtechlabtcf/core';
import { type TcfMode, tcfStatement } from '../../src/consent/tcf';
import { tcStringsAgree } from './iab-agreement';
import { type Choices, tcStringOf } from './tc-strings';

const tcStringAgrees = (text: string, mode: TcfMode = 'strict') => tcfStatement(text, mode).agreement === true;
const isTooLate = new Date('2026-03-01T00:00:00Z');
const isInTime = new Date('2026-02-28T00:00:00Z');

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

  it('is read as the IAB’s library reads it, in strings of versions 2.0 to 2.3', () => tcStringsAgree(500));

  it('is read with vendors in ranges, also in the list of legitimate interests', () => {
    const core = Base64Url.decode(tcStringOf().split('.')[0] as string).slice(0, 213);
    const int = (value: number, bits: number) => value.toString(2).padStart(bits, '0');
    const ranges = (...spans: [number, number][]) =>
      int(spans.length, 12) + spans.map(([from, to]) => `1${int(from, 16)}${int(to, 16)}`).join('');
    const list = (...spans: [number, number][]) => `${int(1_000, 16)}1${ranges(...spans)}`;
    const text = (bits: string) => `${Base64Url.encode(bits)}.${tcStringOf().split('.')[1]}`;
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
    ['too long', `${tcStringOf()}.${'A'.repeat(4_096)}`],
  ])('that is %s does not consent', (_what, text) => {
    expect(tcStringAgrees(text)).toBe(false);
  });

  it.each<[string, Choices, TcfMode, boolean]>([
    ['has no segment of disclosed vendors', { segments: [] }, 'strict', false],
    ['has no segment of disclosed vendors, read leniently', { segments: [] }, 'lenient', true],
    [
      'was created on the last day of TCF 2.2, without the segment',
      { segments: [], createdAt: isInTime },
      'strict',
      true,
    ],
    ['was created on the first day of TCF 2.3, without it', { segments: [], createdAt: isTooLate }, 'strict', false],
    [
      'was created before TCF 2.3 and changed after it began, without it',
      { segments: [], createdAt: isInTime, updatedAt: isTooLate },
      'strict',
      false,
    ],
    ['does not disclose the vendor', { disclosed: [564, 566] }, 'strict', false],
    ['does not disclose the vendor, before TCF 2.3', { disclosed: [564], createdAt: isInTime }, 'strict', true],
    ['discloses no vendor', { disclosed: [] }, 'strict', false],
    ['has the segment behind that of the publisher', { segments: ['publisherTC', 'vendorsDisclosed'] }, 'strict', true],
    ['is not service-specific', { isServiceSpecific: false }, 'strict', false],
    ['was not service-specific before TCF 2.3', { isServiceSpecific: false, createdAt: isInTime }, 'strict', true],
  ])('that %s', (_what, choices, mode, agrees) => {
    expect(tcStringAgrees(tcStringOf(choices), mode)).toBe(agrees);
  });

  it('may have empty segments, and none that repeats or contradicts another', () => {
    const [core, disclosed] = tcStringOf().split('.') as [string, string];
    const [otherCore, undisclosed] = tcStringOf({ vendors: [], disclosed: [1] }).split('.') as [string, string];
    expect(tcStringAgrees(`${core}..${disclosed}`)).toBe(true);
    expect(tcStringAgrees(`${core}.${disclosed}.`)).toBe(true);
    expect(tcStringAgrees(`${core}.${disclosed}.${undisclosed}`)).toBe(false);
    expect(tcStringAgrees(`${core}.${undisclosed}.${disclosed}`)).toBe(false);
    expect(tcStringAgrees(`${core}.${disclosed}.${otherCore}`)).toBe(false);
    expect(tcStringAgrees(`${core}.`)).toBe(false);
    expect(tcStringAgrees(`.${core}.${disclosed}`)).toBe(false);
  });

  it('does not consent when its disclosed vendors are truncated', () => {
    const [core, disclosed] = tcStringOf().split('.') as [string, string];
    for (let length = 1; length < disclosed.length - 2; length++) {
      expect(tcStringAgrees(`${core}.${disclosed.slice(0, length)}`)).toBe(false);
    }
  });

  it('does not consent when it is truncated anywhere', () => {
    const core = tcStringOf().split('.')[0] as string;
    // The last characters may be padding only.
    for (let length = 0; length < core.length - 2; length++) expect(tcStringAgrees(core.slice(0, length))).toBe(false);
  });

  it('takes time in proportion to its length, whatever it contains', () => {
    // Thousands of restrictions on all vendors, which take the IAB's library most of a minute.
    const restrictions = tcStringOf().slice(0, 38) + '_'.repeat(3_900);
    const segments = `${tcStringOf()}${`.${tcStringOf().split('.')[1]}`.repeat(200)}`.slice(0, 4_096);
    const slices = jest.spyOn(String.prototype, 'slice');
    for (const hostile of [restrictions, segments, `${tcStringOf()}${'.'.repeat(4_000)}`]) {
      slices.mockClear();
      tcStringAgrees(hostile);
      expect(slices.mock.calls.length).toBeLessThan(10_000);
    }
    slices.mockRestore();
  });
});

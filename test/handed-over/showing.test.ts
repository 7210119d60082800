import fc from 'fast-check';
import { quoted } from '../../src/handed-over/showing';

const ECID = '20265673158980419722735089753036633573';

describe('quoted', () => {
  it('cuts, escapes and hides ids and passwords', () => {
    expect(quoted('golf')).toBe('"golf"');
    expect(quoted('1FD6776A524453CC0A490D44@AdobeOrg')).toBe('"1FD6776A524453CC0A490D44@AdobeOrg"');
    expect(quoted('https://user:p@ss@host')).toBe('"https:…@host"');
    expect(quoted('a\n\u0085\u2028')).toBe('"a\\n\\u0085\\u2028"');
    expect(quoted('x'.repeat(12_000))).toHaveLength(105);
  });

  it('shows no id, wherever it is', () => {
    fc.assert(
      fc.property(fc.nat(1_100), fc.nat(50), (before, after) => {
        expect(quoted(`${'x'.repeat(before)}${ECID}${'x'.repeat(after)}`)).not.toMatch(/\d/);
      }),
    );
  });
});

import fc from 'fast-check';
import { usPrivacyStatement } from '../../src/consent/us-privacy';

describe('a US Privacy string', () => {
  it.each(['1YYN', '1YYY', '1NYN', '1-Y-', '1YY-'])('refuses with an opt-out of sale: %s', (text) => {
    expect(usPrivacyStatement(text).agreement).toBe(false);
  });

  it.each(['1YNN', '1YNY', '1---', '1N-N'])('says nothing without one: %s', (text) => {
    expect(usPrivacyStatement(text).agreement).toBeUndefined();
  });

  it.each(['', '1', '1YN', '1YNNN', '1ynn', '1yyn', '2YNN', '1YXN', ' 1YNN', '1YNN\n', '%31YNN'])(
    'refuses when it cannot be read: %j',
    (text) => expect(usPrivacyStatement(text).agreement).toBe(false),
  );

  it('never agrees', () => {
    fc.assert(fc.property(fc.string(), (text) => expect(usPrivacyStatement(text).agreement).not.toBe(true)));
  });
});

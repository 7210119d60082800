import fc from 'fast-check';
import { optInConsent, webSdkConsent } from '../../src/consent/adobe-consent';

const value = (text: string) => ({ text: `x=${text};`, start: 2, end: 2 + text.length });

describe('the consent cookie of the Web SDK', () => {
  it.each([
    ['general=in', true],
    ['general=out', false],
    ['general%3Dout', false],
    ['general%3Din', true],
    ['other=in%3B general=out', false],
    ['general=pending', undefined],
    ['other=out', undefined],
    ['', undefined],
    ['general%3Dout%E0', false],
  ])('%s: %p', (text, agreement) => {
    expect(webSdkConsent(value(text))).toBe(agreement);
  });
});

describe('the cookie of the ID service’s opt-in', () => {
  it.each([
    [{ aam: true, ecid: true }, true],
    [{ aam: true }, true],
    [{ aam: false, ecid: true }, false],
    [{ aam: true, ecid: false }, false],
    [{ aam: 'false' }, false],
    [{ ecid: true }, undefined],
    [{ aa: false, target: false }, undefined],
    [{ iabConsentHash: '1a2b' }, undefined],
    [[], false],
    [null, false],
    ['aam', false],
  ])('%j: %p', (choices, agreement) => {
    expect(optInConsent(value(encodeURIComponent(JSON.stringify(choices))))).toBe(agreement);
  });

  it.each(['', '%7B', '%', '{', 'T'])('is a refusal when it is not JSON: %j', (text) => {
    expect(optInConsent(value(text))).toBe(false);
  });
});

it('Adobe’s consent cookies never make the reader throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect([true, false, undefined]).toContain(webSdkConsent(value(text)));
      expect([true, false, undefined]).toContain(optInConsent(value(text)));
    }),
  );
});

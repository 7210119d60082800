import fc from 'fast-check';
import { optInStatement, webSdkStatement } from '../../src/consent/adobe-consent';
import { readConsent } from '../../src/consent/statement';

const value = (text: string) => ({ text: `x=${text};`, start: 2, end: 2 + text.length });
const webSdkConsent = (text: string) => readConsent(value(text), webSdkStatement).agreement;
const optInConsent = (text: string) => readConsent(value(text), optInStatement).agreement;

describe('the consent cookie of the Web SDK', () => {
  it.each([
    ['general=in', true],
    ['general=out', false],
    ['general%3Dout', false],
    ['general%3Din', true],
    ['other=in%3B general=out', false],
    ['general=in;general=in;', true],
    [' general = in ; other=out', true],
    ['other=out', undefined],
    ['general=out;general=in', false],
    ['general=in;general=out', false],
    ['general=OUT', false],
    ['general=IN', false],
    ['General=in', false],
    ['GENERAL=out', false],
    ['general=', false],
    ['general', false],
    ['general=pending', false],
    ['general=in=out', false],
    ['in', false],
    ['', false],
    [';', false],
    ['%20', false],
    ['general%253Dout', false],
    ['general%253Din', false],
    ['general%3Dout%E0', false],
  ])('%s: %p', (text, agreement) => {
    expect(webSdkConsent(text)).toBe(agreement);
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
    expect(optInConsent(encodeURIComponent(JSON.stringify(choices)))).toBe(agreement);
  });

  it.each([
    '{"aam":false,"aam":true}',
    '{"aam":true,"aam":true}',
    '{"ecid":false,"aam":true,"ecid":true}',
    '{"a\\u0061m":true,"aam":true}',
  ])('is a refusal when keys are doubled or written in another way: %s', (json) => {
    expect(optInConsent(json)).toBe(false);
    expect(optInConsent(encodeURIComponent(json))).toBe(false);
  });

  it('may have blanks between its parts, as servers write JSON', () => {
    expect(optInConsent('{ "aam": true,\t"ecid" : true }')).toBe(true);
    expect(optInConsent('{ "aam": true, "ecid" : false }')).toBe(false);
    expect(optInConsent('{"some thing":"a \\" b","aam":true}')).toBe(true);
  });

  it('is a refusal when it is encoded twice', () => {
    expect(optInConsent(encodeURIComponent(encodeURIComponent('{"aam":true}')))).toBe(false);
  });

  it.each(['', '%7B', '%', '{', 'T', 'null', '7'])('is a refusal when it is not a JSON object: %j', (text) => {
    expect(optInConsent(text)).toBe(false);
  });
});

it('a consent cookie longer than a browser keeps is a refusal, and is not read', () => {
  const read = jest.fn(webSdkStatement);
  expect(readConsent(value(`general=in;x=${'x'.repeat(4_084)}`), read).agreement).toBe(false);
  expect(read).not.toHaveBeenCalled();
  expect(readConsent(value(`general=in;x=${'x'.repeat(4_083)}`), read).agreement).toBe(true);
});

it('Adobe’s consent cookies never make the reader throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect([true, false, undefined]).toContain(webSdkConsent(text));
      expect([true, false, undefined]).toContain(optInConsent(text));
    }),
  );
});

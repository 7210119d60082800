import fc from 'fast-check';
import { Signer, type SigningPurpose } from '../../src/signing/signer';

const SECRETS = ['one secret of at least 32 characters', 'another of at least 32 characters'] as const;
const PURPOSE: SigningPurpose = {
  purpose: 'preview-link',
  orgId: 'A@AdobeOrg',
  partnerHost: 'acme.demdex.net',
};
const signerOf = (secrets: readonly [string, ...string[]] = [SECRETS[0]], change: Partial<SigningPurpose> = {}) =>
  new Signer(secrets, { ...PURPOSE, ...change });

describe('a signed text', () => {
  it('is read by whoever has the secret, and needs no escaping in a URL or a cookie', () => {
    const signer = signerOf();
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => text !== ''),
        (text) => {
          const signed = signer.sign(text);
          expect(signed).toMatch(/^[\w.-]+$/);
          expect(signerOf().verified(signed)).toBe(text);
        },
      ),
    );
  });

  it.each<[string, Partial<SigningPurpose>]>([
    ['purpose', { purpose: 'preview-cookie' }],
    ['organisation', { orgId: 'B@AdobeOrg' }],
    ['partner', { partnerHost: 'other.demdex.net' }],
    ['organisation that runs over into the partner', { orgId: 'A@AdobeOrg","acme', partnerHost: '.demdex.net' }],
  ])('is nothing for another %s', (_what, change) => {
    expect(signerOf(undefined, change).verified(signerOf().sign('text'))).toBeUndefined();
  });

  it('is signed with the first secret, and accepted with each', () => {
    const [old, current] = SECRETS;
    const before = signerOf([old]).sign('text');
    const rotated = signerOf([current, old]);
    expect(rotated.verified(before)).toBe('text');
    expect(signerOf([old]).verified(rotated.sign('text'))).toBeUndefined();
    expect(signerOf([current]).verified(rotated.sign('text'))).toBe('text');
    expect(signerOf([current]).verified(before)).toBeUndefined();
  });

  it('is no longer than a cookie may be', () => {
    expect(signerOf().verified(signerOf().sign('x'.repeat(3_000)))).toHaveLength(3_000);
    expect(signerOf().verified(signerOf().sign('x'.repeat(3_100)))).toBeUndefined();
  });
});

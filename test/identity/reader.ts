/** Reading identities as the middleware does: cookies are found in the header, then read. */
import { REGIONAL_ORIGINS } from '../../src/dcs/protocol/regions';
import { type IdentityConfig, IdentityReader } from '../../src/identity/identity-reader';
import type { Identity } from '../../src/identity/visitor';
import { CookieFinder } from '../../src/request/cookie-header';

export const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
export const AMCV = 'AMCV_1FD6776A524453CC0A490D44%40AdobeOrg';
export const A = '11111111111111111111111111111111111111';
export const B = '22222222222222222222222222222222222222';
export const isKnownRegion = (region: number) => region in REGIONAL_ORIGINS;

export function reader(
  config: Partial<IdentityConfig> = {},
): (header?: string, parsed?: unknown, url?: string) => Identity {
  const cookies = new CookieFinder();
  const identities = new IdentityReader(
    { orgId: ORG, sEcid: true, adobeMc: false, uuidCookies: [], isKnownRegion, ...config },
    cookies,
  );
  return (header, parsed, url) => identities.read(cookies.find(header, parsed), { url });
}

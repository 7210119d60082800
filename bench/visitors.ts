/** Realistic cookies, visitors and segments, the same in every run. */

export const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';

/** The nth visitor: 38 digits. */
export function ecidOf(n: number): string {
  return `20265673158980419722735089753${String(n).padStart(9, '0')}`;
}

/** Twenty of two hundred segments, depending on the visitor. */
export function segmentsOf(n: number): number[] {
  return Array.from({ length: 20 }, (_, index) => 984_000 + ((n * 7 + index * 9) % 200));
}

/** The Cookie header of a visitor: Adobe's cookies among common ones. */
export function cookieHeaderOf(n: number, region = 9): string {
  const amcv = `179643557|MCIDTS|20781|MCMID|${ecidOf(n)}|MCAAMLH-1796038911|${region}|MCAAMB-1796038911|RKhpRz8krg2tLO6pguXWp5olkAcUniQYPHaMWWgdJ3xzPWQmdj0y|MCOPTOUT-1795441311s|NONE|vVersion|5.5.0`;
  return [
    '_ga=GA1.2.1234567890.1700000000',
    '_gid=GA1.2.987654321.1700000000',
    'session=s%3Aabcdefghijklmnopqrstuvwxyz012345.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
    `AMCVS_${encodeURIComponent(ORG)}=1`,
    `AMCV_${encodeURIComponent(ORG)}=${encodeURIComponent(amcv)}`,
    's_cc=true',
    'theme=dark',
  ].join('; ');
}

/**
 * A new, flat string, as the HTTP parser makes it. A reused one would be faster, since V8 caches its hash.
 */
export function asReceived(bytes: Buffer): string {
  return bytes.toString('latin1');
}

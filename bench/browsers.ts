/** The headers that browsers send with a page view: what a site sees of several hundred visitors, the same in every run. */
import { tcStringOf } from '../test/consent/tc-strings';
import { cookieHeaderOf } from './visitors';

const USER_AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0',
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
];

/** All of them consent to Audience Manager. Few are distinct, as on a site: a string has the day and the choices. */
const TC_STRINGS = [2, 3, 4, 5, 6, 7, 8, 9].flatMap((purpose) => {
  return [[565], [1, 565], [1, 2, 564, 565, 1_000]].map((vendors) =>
    tcStringOf({ vendors, purposes: [1, purpose, 10] }),
  );
});

/** The Cookie header of a visitor who has accepted cookies: everything that the consent gate looks for. */
export function consentingCookieHeaderOf(n: number, region = 9): string {
  const session = ((n + 1) * 0x9e3779b1).toString(36).padEnd(32, '0');
  return [
    cookieHeaderOf(n, region)
      .replace('1234567890', String(1_000_000_000 + n * 7))
      .replace('abcdefghijklmnopqrstuvwxyz012345', session),
    `euconsent-v2=${TC_STRINGS[n % TC_STRINGS.length]}`,
  ].join('; ');
}

/** The headers of a page view of a visitor. */
export function pageHeadersOf(n: number): Record<string, string> {
  return {
    host: 'shop.example',
    'user-agent': USER_AGENTS[n % USER_AGENTS.length] as string,
    accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    'accept-language': 'en-GB,en;q=0.9',
    'accept-encoding': 'gzip, deflate, br',
    'sec-fetch-dest': 'document',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-site': 'same-origin',
    cookie: consentingCookieHeaderOf(n),
  };
}

/** Time that hostile cookies take: consent strings that are read to their ends, and Cookie headers full of separators. */
import { ConsentGate } from '../src/consent/consent-gate';
import { IdentityReader } from '../src/identity/identity-reader';
import { webSdkCookieName } from '../src/identity/web-sdk-cookies';
import { CookieFinder } from '../src/request/cookie-header';
import { median } from './interleaved';
import { PROMISES, report } from './promises';
import { ORG } from './visitors';

const SIZES = [4_000, 16_000, 64_000];
const TRIALS = 60;
const WARM_UP = 20;
const AMCV = `AMCV_${encodeURIComponent(ORG)}`;

/** By name: a Cookie header of about so many characters. None is sent twice, so that nothing of it is known. */
const HEADERS: Readonly<Record<string, (length: number, n: number) => string>> = {
  'a TC string of ones': (length, n) => `euconsent-v2=C${base64(n)}${'/'.repeat(length)}`.replaceAll('/', '_'),
  'a TC string of many ranges': (length, n) => `euconsent-v2=CQ${base64(n)}${'AAAB'.repeat(length / 4)}`,
  'a GPP string of many sections': (length, n) => `__gpp=DBA${base64(n)}${'~BAAAAAA'.repeat(length / 8)}`,
  'a GPP header in Fibonacci coding': (length, n) => `__gpp=D${base64(n)}${'A'.repeat(length)}`,
  'an opt-in cookie of brackets': (length, n) => `adobeujs-optin=${n}${'%5B'.repeat(length / 3)}`,
  'a Web SDK consent of separators': (length, n) =>
    `${webSdkCookieName(ORG, 'consent')}=${n}${'%3B'.repeat(length / 3)}`,
  'a US Privacy string': (length, n) => `usprivacy=${n}${'1YNN'.repeat(length / 4)}`,
  'an AMCV cookie of separators': (length, n) => `${AMCV}=${n}${'%7C'.repeat(length / 3)}`,
  'an AMCV cookie of broken percents': (length, n) => `${AMCV}=${n}${'%7'.repeat(length / 2)}`,
  'empty cookies of one name': (length, n) => `x=${n};${'s_ecid=;'.repeat(length / 8)}`,
  'cookies joined by commas': (length, n) => `x=${n}${', s_ecid=,'.repeat(length / 10)}`,
  'commas in a value': (length, n) => `x=${n}${', '.repeat(length / 2)}`,
  semicolons: (length, n) => `x=${n}${';'.repeat(length)}`,
};

function base64(n: number): string {
  return n.toString(32).toUpperCase();
}

function readerOf(): (header: string) => void {
  const finder = new CookieFinder();
  const identities = new IdentityReader(
    { orgId: ORG, sEcid: true, adobeMc: false, uuidCookies: [], isKnownRegion: () => true },
    finder,
  );
  const gate = new ConsentGate(
    {
      webSdkCookie: webSdkCookieName(ORG, 'consent'),
      tcfCookie: ['euconsent-v2', 'eupubconsent-v2'],
      tcf: 'strict',
      gpp: true,
      usPrivacy: true,
      gpc: true,
      required: false,
      given: undefined,
    },
    finder,
  );
  return (header) => {
    const found = finder.find(header, undefined);
    const identity = identities.read(found, {});
    gate.heardIn({}, found, identity);
    identities.allIn(found, {});
  };
}

function run(): void {
  const read = readerOf();
  let slowestMs = 0;
  const rows = Object.entries(HEADERS).map(([name, headerOf]) => {
    const row: Record<string, number | string> = { cookies: name };
    for (const size of SIZES) {
      const times: number[] = [];
      for (let n = 0; n < WARM_UP + TRIALS; n++) {
        // As the HTTP parser makes it: flat.
        const header = Buffer.from(headerOf(size, n * SIZES.length + size)).toString('latin1');
        const beganAtMs = performance.now();
        read(header);
        if (n >= WARM_UP) times.push(performance.now() - beganAtMs);
      }
      row[`${size / 1_000} KB, µs`] = Math.round(median(times) * 1_000);
      slowestMs = Math.max(slowestMs, median(times));
    }
    return row;
  });
  console.table(rows);
  report(PROMISES.hostile, slowestMs);
}

run();

/** Property tests: any cookies that Adobe's clients can write, among others and in any order, are read back correctly. */
import fc from 'fast-check';
import { ConsentGate } from '../../src/consent/consent-gate';
import { IdentityReader } from '../../src/identity/identity-reader';
import { CookieFinder } from '../../src/request/cookie-header';

const ORG = '1FD6776A524453CC0A490D44@AdobeOrg';
const KNDCTR = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg';
const CLUSTERS = { sgp3: 3, irl1: 6, va6: 7, aus3: 8, or2: 9, jpn3: 11, ind1: 12 } as const;
const NOW_SEC = 1_795_434_000;

const ecid = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 38, maxLength: 38 })
  .map((digits) => digits.join(''));
const region = fc.constantFrom(3, 4, 6, 7, 8, 9, 11, 12);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** The content of an AMCV cookie, and the choices of the client that wrote it. */
const amcv = fc.record({
  ecid,
  region: maybe(fc.record({ id: region, expiresAtSec: maybe(fc.constantFrom(NOW_SEC - 10, NOW_SEC + 604_800)) })),
  optOut: fc.constantFrom(undefined, 'NONE', 'NONE', 'NONE', 'global', 'global,partner'),
  others: fc.subarray([
    'MCIDTS|20781',
    'MCAAMB-1796038911|RKhp+/=-_~.',
    'MCAID|2F1A5B8E85010B9E-4000',
    'vVersion|5.5.0',
    'MCCIDH|-617527092',
  ]),
  digest: fc.constantFrom('', '179643557|', '-1124106680|'),
  hasSessionSuffix: fc.boolean(),
  isShuffled: fc.boolean(),
  nameHasAt: fc.boolean(),
  encode: fc.constantFrom<(text: string) => string>(
    encodeURIComponent,
    (text) => encodeURIComponent(text).replaceAll('%7C', '|'),
    (text) => encodeURIComponent(text).replaceAll('%7C', '%7c'),
  ),
});
type Amcv = typeof amcv extends fc.Arbitrary<infer T> ? T : never;

function amcvCookie(client: Amcv): string {
  const pairs = [`MCMID|${client.ecid}`, ...client.others];
  if (client.region !== undefined) {
    const { id, expiresAtSec } = client.region;
    pairs.push(`MCAAMLH${expiresAtSec === undefined ? '' : `-${expiresAtSec}`}|${id}`);
  }
  if (client.optOut !== undefined)
    pairs.push(`MCOPTOUT-1795441311${client.hasSessionSuffix ? 's' : ''}|${client.optOut}`);
  if (client.isShuffled) pairs.reverse();
  const name = client.nameHasAt ? `AMCV_${ORG}` : `AMCV_${encodeURIComponent(ORG)}`;
  return `${name}=${client.encode(client.digest + pairs.join('|'))}`;
}

/** The content of the Web SDK's cookies, and the choices of the client or Edge domain that wrote them. */
const webSdk = fc.record({
  ecid,
  cluster: maybe(fc.constantFrom(...(Object.keys(CLUSTERS) as (keyof typeof CLUSTERS)[]))),
  consent: fc.constantFrom(undefined, 'in', 'out'),
  before: fc.subarray([
    [0x52, 4, 0x10, 0x01, 0x18, 0x01], // a nested message
    [0xa0, 0x01, 0xd2, 0xbc, 0xbd, 0xc5, 0xe8, 0x32], // a timestamp
    [0xf1, 0x01, 1, 2, 3, 4, 5, 6, 7, 8],
  ]),
  alphabet: fc.constantFrom('base64', 'base64url' as const),
  isEncoded: fc.boolean(),
});
type WebSdk = typeof webSdk extends fc.Arbitrary<infer T> ? T : never;

function webSdkCookies({ ecid: id, cluster, consent, before, alphabet, isEncoded }: WebSdk): string[] {
  const encode = isEncoded ? encodeURIComponent : (text: string) => text;
  const message = [...before.flat(), 0x0a, 38, ...Buffer.from(id), 0xf0, 0x01, 0x01];
  const cookies = [`${KNDCTR}_identity=${encode(Buffer.from(message).toString(alphabet as BufferEncoding))}`];
  if (cluster !== undefined) cookies.push(`${KNDCTR}_cluster=${cluster}`);
  if (consent !== undefined) cookies.push(`${KNDCTR}_consent=${encode(`general=${consent}`)}`);
  return cookies;
}

const foreign = fc.constantFrom(
  'theme=dark',
  'AMCVS_1FD6776A524453CC0A490D44%40AdobeOrg=1',
  `AMCV_999999999999999999999999%40AdobeOrg=MCMID%7C${'9'.repeat(38)}`,
  `kndctr_999999999999999999999999_AdobeOrg_consent=general=out`,
  `xs_ecid=MCMID%7C${'9'.repeat(38)}`,
  's_cc=true',
  'a',
  '=',
);

const header = fc
  .record({
    amcv: maybe(amcv),
    sEcid: maybe(ecid),
    webSdk: maybe(webSdk),
    hasSameId: fc.boolean(),
    others: fc.array(foreign, { maxLength: 4 }),
    order: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    separator: fc.constantFrom('; ', ';', ' ;\t'),
  })
  .map(({ others, order, separator, hasSameId, ...drawn }) => {
    const { amcv: client, webSdk: sdk } = drawn;
    const written = { ...drawn, webSdk: hasSameId && client && sdk ? { ...sdk, ecid: client.ecid } : sdk };
    const cookies = [
      ...(written.amcv === undefined ? [] : [amcvCookie(written.amcv)]),
      ...(written.sEcid === undefined ? [] : [`s_ecid=MCMID%7C${written.sEcid}`]),
      ...(written.webSdk === undefined ? [] : webSdkCookies(written.webSdk)),
      ...others,
    ];
    const ranked = cookies.map((cookie) => ({ cookie, rank: order.next().value as number }));
    ranked.sort((a, b) => a.rank - b.rank);
    return { ...written, text: ranked.map(({ cookie }) => cookie).join(separator) };
  });

const cookies = new CookieFinder();
const isKnownRegion = (id: number) => [3, 4, 6, 7, 8, 9, 11, 12].includes(id);
const reader = new IdentityReader({ orgId: ORG, sEcid: true, adobeMc: false, uuidCookies: [], isKnownRegion }, cookies);
const gate = new ConsentGate(
  {
    webSdkCookie: `${KNDCTR}_consent`,
    required: false,
    gpc: true,
    tcfCookie: ['euconsent-v2'],
    tcf: 'strict',
    gpp: true,
    usPrivacy: true,
    given: undefined,
  },
  cookies,
);

describe('the cookies of Adobe’s clients', () => {
  beforeEach(() => void jest.useFakeTimers({ now: NOW_SEC * 1000 }));
  afterEach(() => jest.useRealTimers());

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(header, ({ amcv: v, sEcid, webSdk: w, text }) => {
        const found = cookies.find(text, undefined);
        const identity = reader.read(found, {});
        const cluster = w?.cluster === undefined ? undefined : CLUSTERS[w.cluster];
        const isWebSdkLive = w !== undefined && (v === undefined || cluster !== undefined);
        expect(identity.visitor.ecid).toBe(isWebSdkLive ? w.ecid : (v?.ecid ?? sEcid));
        expect(identity.problem).toBe((v ?? w ?? sEcid) ? undefined : 'no-id');

        const hint = v?.region;
        const isHintOver = hint?.expiresAtSec !== undefined && hint.expiresAtSec < NOW_SEC;
        const isOtherVisitors = isWebSdkLive && w.ecid !== v?.ecid;
        const clusterCounts = cluster !== undefined && (isOtherVisitors || hint === undefined || isHintOver);
        expect(identity.visitor.region).toBe(clusterCounts ? cluster : hint?.id);

        const isOptedOut = v?.optOut !== undefined && v.optOut !== 'NONE';
        expect(identity.optedOut).toBe(isOptedOut);
        const refusal = isOptedOut ? 'opted-out' : w?.consent === 'out' ? 'no-consent' : undefined;
        expect(gate.consider({}, {}, found, identity)).toMatchObject({ refusal });
      }),
      { numRuns: 5_000 },
    );
  });

  it('are read without an exception, and without a malformed id, when bytes of them are changed', () => {
    const change = fc.record({ at: fc.nat(), by: fc.string({ unit: 'binary', maxLength: 3 }), length: fc.nat(5) });
    fc.assert(
      fc.property(header, fc.array(change, { minLength: 1, maxLength: 5 }), ({ text }, changes) => {
        let changed = text;
        for (const { at, by, length } of changes) {
          const place = at % (changed.length + 1);
          changed = changed.slice(0, place) + by + changed.slice(place + length);
        }
        const found = cookies.find(changed, undefined);
        const identity = reader.read(found, {});
        if (identity.visitor.ecid !== undefined) expect(identity.visitor.ecid).toMatch(/^\d{38}$/);
        gate.consider({}, {}, found, identity);
      }),
      { numRuns: 3_000 },
    );
  });
});

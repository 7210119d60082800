import cookieParser from 'cookie-parser';
import express from 'express';
import { aamSegments } from 'express-aam-segments';
import fc from 'fast-check';
import request from 'supertest';
import { UnidentifiedRequests } from '../../src/serving/unidentified-requests';
import { throwing } from '../helpers/hostile';
import { closeSites, cookieOf, createSite, ECID, ORG } from '../helpers/site';

const OTHER = 'A0B1C2D3E4F5A0B1C2D3E4F5@AdobeOrg';
const WEB_SDK = 'kndctr_A0B1C2D3E4F5A0B1C2D3E4F5_AdobeOrg_identity';
const BY_LINK = { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin' };
const NOBODY = { fresh: 0, cached: 0, stale: 0, unknown: 0, anonymous: 0, excluded: 0, preview: 0 };

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});
const warnings = () => warned.mock.calls.map(([message, { code }]) => [code, message]);
const NAMES_BOTH = ['WRN_AAM_OTHER_ORGANISATION', expect.stringMatching(new RegExp(`${OTHER}.*${ORG}`))];

function seeing(requests = NOBODY) {
  const unidentified = new UnidentifiedRequests(ORG, requests);
  return {
    unidentified,
    see: (cookie: unknown, cookies?: unknown) => unidentified.see({ cookie } as never, { cookies }),
    pages: (count: number, headers: object = BY_LINK) => {
      for (let n = 0; n < count; n++) unidentified.see(headers as never, {});
    },
  };
}

describe("another organisation's cookie", () => {
  it('is named with the configured one, at the first request, once, and in stats()', async () => {
    const { view, aam } = await createSite();
    for (let n = 0; n < 3; n++) await view(`theme=dark; AMCV_${encodeURIComponent(OTHER)}=MCMID%7C${ECID}`);
    expect(warnings()).toEqual([NAMES_BOTH]);
    expect(aam.stats().advice).toEqual([expect.stringContaining(OTHER)]);
    expect(JSON.stringify(warnings())).not.toContain(ECID);
  });

  it.each([
    ['with a literal @', `AMCV_${OTHER}=x`],
    ['of the Web SDK', `a=b; ${WEB_SDK}=x`],
    ['joined by a comma', `a=b,AMCV_${OTHER}=x`],
    ['in a list of headers', ['a=b', `AMCV_${OTHER}=x`]],
  ])('is found %s', (_how, cookie) => {
    seeing().see(cookie);
    expect(warnings()).toEqual([NAMES_BOTH]);
  });

  it('is found in what cookie-parser has made of the header', async () => {
    const aam = aamSegments({ orgId: ORG, partner: 'acme' });
    const app = express().use(cookieParser());
    app.use((req, _res, next) => {
      delete req.headers.cookie;
      next();
    }, aam);
    await request(app).get('/').set('Cookie', `AMCV_${OTHER}=x`);
    expect(warnings()).toEqual([NAMES_BOTH]);
    await aam.close();
  });

  it.each([
    ['has not agreed', { consent: { required: true } }, '', { status: 'anonymous' }],
    ['refuses', {}, '; usprivacy=1YYN', { status: 'excluded', reason: 'no-consent' }],
  ])('is found on the request of a visitor who %s', async (_what, options, more, served) => {
    const { view } = await createSite(options);
    expect(await view(`AMCV_${OTHER}=x${more}`)).toMatchObject(served);
    expect(warnings()).toEqual([NAMES_BOTH]);
  });

  it.each([
    ['beside one of ours', `AMCV_${OTHER}=x; AMCV_${ORG}=MCIDTS|20781`],
    ['beside one of ours of the Web SDK', `${WEB_SDK}=x; kndctr_1FD6776A524453CC0A490D44_AdobeOrg_consent=x`],
    ['that is not Adobe’s', 'AMCV=1; AMCVS_x=1; myAMCV_x=1'],
    ['in the value of another', `a=AMCV_${OTHER}`],
    ['whose organisation has another form', `AMCV_jane.doe@example.com=x; AMCV_${ECID}=x; AMCV_=x; AMCV_\u001b[2J=x`],
  ])('is none %s', (_what, cookie) => {
    seeing().see(cookie);
    expect(warnings()).toEqual([]);
  });

  it('is nobody’s mistake once a visitor has been identified', async () => {
    const { view } = await createSite();
    await view(cookieOf(ECID));
    await view(`AMCV_${OTHER}=x`);
    expect(warnings()).toEqual([]);
  });

  it('is nobody’s mistake once a visitor has been asked about whom the DCS refuses to serve', async () => {
    const { view, simulator } = await createSite();
    simulator.fault({ kind: 'body', body: '{"errors":[{"code":172,"msg":""}]}' });
    expect(await view(cookieOf(ECID))).toMatchObject({ status: 'excluded', reason: 'refused' });
    await view(`AMCV_${OTHER}=x`);
    expect(warnings()).toEqual([]);
  });

  it('is named for three organisations, so that one who sends any hides little and fills nothing', () => {
    const { see } = seeing();
    for (let n = 0; n < 50; n++) see(`AMCV_${String(n).padStart(24, 'A')}@AdobeOrg=x`);
    expect(warnings()).toHaveLength(3);
  });

  it('costs no exception and shows nothing else of a header, whatever is in it', () => {
    const shown = fc.constantFrom('AMCV_', 'kndctr_', '_identity', '=', ';', ',', ' ', OTHER, ORG, '%40', ECID, '\n');
    fc.assert(
      fc.property(fc.array(fc.oneof(shown, fc.string()), { maxLength: 60 }), (parts) => {
        warned.mockClear();
        seeing().see(parts.join(''));
        for (const [, message] of warnings()) {
          expect(message.replaceAll(/"[0-9A-F]{24}@AdobeOrg"/gi, '')).not.toMatch(/\d{5}|[^\x20-\x7e]/);
        }
      }),
      { numRuns: 300 },
    );
    const { see, unidentified } = seeing();
    see(undefined, throwing({}));
    see(throwing({}));
    unidentified.see(throwing({}) as never, {});
    expect(unidentified.advice).toEqual([]);
  });
});

describe('cookies that do not arrive', () => {
  it('are asked about after a hundred page views by links within the site, once', () => {
    const { pages, unidentified } = seeing();
    pages(99);
    expect(warnings()).toEqual([]);
    pages(1);
    expect(warnings()).toEqual([['WRN_AAM_NO_COOKIES', expect.stringMatching(/Does a proxy or CDN .*\?/)]]);
    expect(unidentified.advice).toHaveLength(1);
    pages(300);
    expect(warnings()).toHaveLength(1);
  });

  it.each([
    ['first page views', { ...BY_LINK, 'sec-fetch-site': 'none' }],
    ['page views from elsewhere', { ...BY_LINK, 'sec-fetch-site': 'cross-site' }],
    ['frames', { ...BY_LINK, 'sec-fetch-dest': 'iframe' }],
    ['pictures', { ...BY_LINK, 'sec-fetch-dest': 'image', 'sec-fetch-mode': 'no-cors' }],
    ['calls of scripts', { ...BY_LINK, 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' }],
    ['clients that are no browsers', {}],
  ])('are not asked about because of %s', (_what, headers) => {
    seeing().pages(1_000, headers);
    expect(warnings()).toEqual([]);
  });

  it('are not asked about where a single request has had a cookie', () => {
    const { pages, see } = seeing();
    pages(50);
    see('theme=dark');
    pages(1_000);
    expect(warnings()).toEqual([]);
  });

  it('are not asked about where the site has identified somebody without them', () => {
    seeing({ ...NOBODY, unknown: 1 }).pages(1_000);
    expect(warnings()).toEqual([]);
  });

  it('are asked about through the middleware, also where nobody has agreed', async () => {
    const { app } = await createSite({ consent: { required: true } });
    for (let n = 0; n < 100; n++) await request(app).get('/').set(BY_LINK);
    expect(warnings()).toEqual([['WRN_AAM_NO_COOKIES', expect.any(String)]]);
  });
});

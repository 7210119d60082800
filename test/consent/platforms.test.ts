import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import cookieParser from 'cookie-parser';
import express, { type Request } from 'express';
import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID } from '../helpers/site';

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'consent-platforms.md'), 'utf8');

/** A function of the docs, by its name. */
function recipe(name: string): (req: Request) => boolean {
  const [source] = new RegExp(`^function ${name}\\(.*?^}$`, 'ms').exec(docs) as unknown as [string];
  const { code } = transformSync(source, { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } });
  return new Function(`${code}; return ${name};`)();
}

const STAMP = '%27G+6rYDfrzwrZItFRfHCbe8iQIFLhMDCgjBS+/Oq/gZe0Lovh65ODgg==%27';
const cookiebot = (marketing: boolean, method = 'explicit') =>
  `CookieConsent={stamp:${STAMP}%2Cnecessary:true%2Cpreferences:false%2Cstatistics:true%2Cmarketing:${marketing}%2Cmethod:%27${method}%27%2Cver:1%2Cutc:1705162226478%2Cregion:%27de%27}`;
const optanon = (groups: string, landingPath = 'NotLandingPage') =>
  `OptanonConsent=isGpcEnabled=0&datestamp=Wed+Feb+01+2023+12%3A35%3A32+GMT%2B0100+(Central+European+Standard+Time)&version=202209.1.0&isIABGlobal=false&hosts=&consentId=7f3cf16d-b3e1-4781-8db1-61482d0a9dff&interactionCount=1&landingPath=${landingPath}&groups=${groups}&geolocation=AT%3B9&AwaitingReconsent=false`;
const CLOSED = 'OptanonAlertBoxClosed=2023-02-01T11:35:32.804Z';
const didomi = (token: object) =>
  `didomi_token=${encodeURIComponent(
    Buffer.from(
      JSON.stringify({
        user_id: '1784114c-f8b3-6590-a6df-b9fb240bdea5',
        created: '2021-03-17T16:46:32.344Z',
        updated: '2021-03-17T16:46:32.344Z',
        version: 2,
        ...token,
      }),
    ).toString('base64'),
  )}`;

const PLATFORMS: Readonly<Record<string, { agreeing: readonly string[]; refusing: readonly string[] }>> = {
  oneTrustAgrees: {
    agreeing: [`${optanon('C0001%3A1%2CC0002%3A0%2CC0004%3A1')}; ${CLOSED}`],
    refusing: [
      `${optanon('C0001%3A1%2CC0002%3A1%2CC0004%3A0')}; ${CLOSED}`,
      // Before the choice.
      optanon('C0001%3A1%2CC0004%3A1'),
      `${optanon('C0001%3A1%2CC0004%3A0', 'https%3A%2F%2Facme.example%2F%3Fa%26groups%3DC0004%3A1')}; ${CLOSED}`,
      CLOSED,
      `OptanonConsent=%zz; ${CLOSED}`,
    ],
  },
  trustArcAgrees: {
    agreeing: [
      'notice_behavior=expressed,eu; notice_preferences=2:; notice_gdpr_prefs=0,1,2:; cmapi_cookie_privacy=permit 1,2,3',
      'notice_behavior=expressed%2Ceu; notice_gdpr_prefs=0|1|2:1a8b5228dd7ff0717196863a5d28ce6c',
    ],
    refusing: [
      'notice_behavior=expressed,eu; notice_preferences=0:; notice_gdpr_prefs=0:; cmapi_cookie_privacy=permit 1 required',
      'notice_behavior=expressed,eu; notice_gdpr_prefs=0,1:2',
      'notice_behavior=implied,eu; notice_gdpr_prefs=0,1,2::implied,eu',
      'notice_gdpr_prefs=0,1,2:',
      'notice_behavior=expressed,eu',
    ],
  },
  didomiAgrees: {
    agreeing: [didomi({ vendors: { enabled: ['google', 'c:adobe-Xq3v9LkT'] }, purposes: { enabled: ['M9NRHJe3G'] } })],
    refusing: [
      didomi({ vendors: { enabled: ['google'], disabled: ['c:adobe-Xq3v9LkT'] } }),
      didomi({ vendors: { disabled: ['c:adobe-Xq3v9LkT'] } }),
      didomi({}),
      'didomi_token=e30',
      'didomi_token=%%%',
    ],
  },
  cookiebotAgrees: {
    agreeing: [cookiebot(true)],
    refusing: [cookiebot(false), cookiebot(true, 'implied'), 'CookieConsent=-1', 'CookieConsent=0', 'CookieConsent='],
  },
};

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('docs/consent-platforms.md', () => {
  it('has no recipe without a test', () => {
    expect([...docs.matchAll(/^function (\w+)\(/gm)].map(([, name]) => name)).toEqual(Object.keys(PLATFORMS));
  });

  it.each(Object.entries(PLATFORMS))(
    'has %s, which asks about whoever agrees, and about nobody else',
    async (name, cookies) => {
      const { aam, simulator } = await createSite({ consent: { required: true, given: recipe(name) } });
      const app = express();
      app.use(cookieParser(), aam);
      app.get('/', ({ aamSegments: { status, reason } }, res) => {
        res.json([status, reason]);
      });
      const view = async (cookie: string) => {
        const { body } = await request(app)
          .get('/')
          .set('Cookie', `${cookieOf(ECID)}; ${cookie}`);
        return [cookie, ...body];
      };
      expect(await view('theme=dark')).toEqual(['theme=dark', 'excluded', 'no-consent']);
      expect(process.emitWarning).not.toHaveBeenCalled();
      for (const cookie of cookies.refusing) expect(await view(cookie)).toEqual([cookie, 'excluded', 'no-consent']);
      expect(simulator.requests).toEqual([]);
      for (const cookie of cookies.agreeing) expect((await view(cookie))[1]).toMatch(/^(fresh|cached)$/);
    },
  );
});

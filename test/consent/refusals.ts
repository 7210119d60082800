/** Every way in which a visitor can refuse, as requests to a test's site. */
import type { IncomingMessage } from 'node:http';
import type { AamSegmentsOptions } from 'express-aam-segments';
import { cookieOf, ECID, ORG } from '../helpers/site';
import { tcStringOf } from './tc-strings';

export interface Refusal {
  readonly name: string;
  readonly reason: 'opted-out' | 'no-consent';
  readonly options?: Pick<AamSegmentsOptions<never>, 'consent' | 'identity'>;
  /** Headers of a visitor who agrees. */
  readonly agreeing?: Readonly<Record<string, string>>;
  /** Headers of the same visitor, refusing. */
  readonly refusing: Readonly<Record<string, string>>;
}

const COOKIE = cookieOf(ECID);
const KNDCTR = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg';
/** The Web SDK's identity cookie: field 1 of a protobuf message. */
const IDENTITY = `${KNDCTR}_identity=${Buffer.from(`\n&${ECID}`, 'latin1').toString('base64url')}`;
const withCookie = (cookie: string) => ({ Cookie: `${COOKIE}; ${cookie}` });
const optIn = (choices: object) => withCookie(`adobeujs-optin=${encodeURIComponent(JSON.stringify(choices))}`);

/** A refusal by the site's own function, which reads a header of the test. */
function given(answerNo: () => unknown) {
  return {
    options: {
      consent: {
        given: (req: IncomingMessage) => (req.headers['x-answer'] === 'no' ? answerNo() : true) as boolean,
      },
    },
    refusing: { Cookie: COOKIE, 'X-Answer': 'no' },
    reason: 'no-consent',
  } as const;
}

export const REFUSALS: readonly Refusal[] = [
  { name: 'MCOPTOUT in AMCV', reason: 'opted-out', refusing: { Cookie: cookieOf(ECID, 9, 'global') } },
  {
    name: 'MCOPTOUT in one of two AMCV cookies',
    reason: 'opted-out',
    refusing: { Cookie: `${cookieOf(ECID)}; ${cookieOf(ECID, 9, 'global')}` },
  },
  {
    name: 'MCMID|NONE in AMCV, beside an s_ecid',
    reason: 'opted-out',
    refusing: { Cookie: `AMCV_${ORG}=MCMID|NONE; s_ecid=MCMID|${ECID}` },
  },
  {
    name: 'contradicting MCOPTOUT in AMCV',
    reason: 'opted-out',
    refusing: { Cookie: cookieOf(ECID).replace('vVersion', 'MCOPTOUT%7Cglobal%7CMCOPTOUT%7CNONE%7CvVersion') },
  },
  {
    name: 'an AMCV that cannot be decoded, beside a Web SDK id',
    reason: 'opted-out',
    agreeing: { Cookie: IDENTITY },
    refusing: { Cookie: `${IDENTITY}; ${cookieOf(ECID, 9, 'global')}%zz` },
  },
  {
    name: 'an s_ecid that cannot be decoded, which is not read',
    reason: 'opted-out',
    options: { identity: { sEcid: false } },
    refusing: withCookie('s_ecid=MCMID%7C%E0'),
  },
  {
    name: 'MCMID|NONE in an s_ecid that is not read',
    reason: 'opted-out',
    options: { identity: { sEcid: false } },
    refusing: withCookie('s_ecid=MCMID%7CNONE'),
  },
  ...['general=OUT', 'general=', '', 'general=out;general=in', 'general=in;general=out', 'general%253Dout'].map(
    (value): Refusal => ({
      name: `the consent cookie of the Web SDK as '${value}'`,
      reason: 'no-consent',
      // A semicolon ends a cookie.
      refusing: withCookie(`${KNDCTR}_consent=${value.replace(';', '%3B')}`),
    }),
  ),
  {
    name: 'the consent cookie of the Web SDK, joined by a comma',
    reason: 'no-consent',
    agreeing: { Cookie: `${COOKIE}, ${KNDCTR}_consent=general=in, theme=dark` },
    refusing: { Cookie: `${COOKIE}, ${KNDCTR}_consent=general=out` },
  },
  {
    name: 'the consent cookie of the Web SDK, joined by a comma without a blank, in the middle',
    reason: 'no-consent',
    agreeing: { Cookie: `theme=dark,${COOKIE},${KNDCTR}_consent=general=in` },
    refusing: { Cookie: `theme=dark,${COOKIE},${KNDCTR}_consent=general=out,lang=en` },
  },
  {
    name: 'adobeujs-optin, joined by a comma',
    reason: 'no-consent',
    agreeing: { Cookie: `${COOKIE}, adobeujs-optin={"aam":true,"ecid":true}` },
    refusing: { Cookie: `${COOKIE}, adobeujs-optin={"aam":true,"ecid":false}` },
  },
  {
    name: 'adobeujs-optin with doubled keys',
    reason: 'no-consent',
    refusing: withCookie('adobeujs-optin={"aam":false,"aam":true}'),
  },
  {
    name: 'a TC string without disclosed vendors',
    reason: 'no-consent',
    agreeing: withCookie(`euconsent-v2=${tcStringOf({ segments: [], createdAt: new Date('2026-02-28') })}`),
    refusing: withCookie(`euconsent-v2=${tcStringOf({ segments: [] })}`),
  },
  {
    name: 'a TC string that does not disclose the vendor',
    reason: 'no-consent',
    refusing: withCookie(`euconsent-v2=${tcStringOf({ disclosed: [1, 2] })}`),
  },
  {
    name: 'a TC string in the cookie of OneTrust, beside one that agrees',
    reason: 'no-consent',
    agreeing: withCookie(`eupubconsent-v2=${tcStringOf()}`),
    refusing: withCookie(`eupubconsent-v2=${tcStringOf({ vendors: [1] })}; euconsent-v2=${tcStringOf()}`),
  },
  {
    name: 'a GPP string',
    reason: 'no-consent',
    agreeing: withCookie('__gpp=DBABBg~BVqqqqpY'),
    refusing: withCookie('__gpp=DBABVg~BVVVVVVg.YA'),
  },
  { name: 'a GPP string that cannot be read', reason: 'no-consent', refusing: withCookie('__gpp=DBABVg~B') },
  {
    name: 'a US Privacy string',
    reason: 'no-consent',
    agreeing: withCookie('usprivacy=1YNN'),
    refusing: withCookie('usprivacy=1YYN'),
  },
  { name: 'a US Privacy string that cannot be read', reason: 'no-consent', refusing: withCookie('usprivacy=1yyn') },
  {
    name: 'the consent cookie of the Web SDK',
    reason: 'no-consent',
    agreeing: withCookie(`${KNDCTR}_consent=general=in`),
    refusing: withCookie(`${KNDCTR}_consent=general=out`),
  },
  {
    name: 'the consent cookie of the Web SDK, set by a server, beside an older one',
    reason: 'no-consent',
    refusing: withCookie(`${KNDCTR}_consent=general=in; ${KNDCTR}_consent=general%3Dout`),
  },
  {
    name: 'a consent cookie of the Web SDK that cannot be decoded',
    reason: 'no-consent',
    refusing: withCookie(`${KNDCTR}_consent=%`),
  },
  {
    name: 'adobeujs-optin, aam',
    reason: 'no-consent',
    agreeing: optIn({ aam: true, ecid: true }),
    refusing: optIn({ aam: false, ecid: true }),
  },
  { name: 'adobeujs-optin, ecid', reason: 'no-consent', refusing: optIn({ ecid: false }) },
  { name: 'an adobeujs-optin that cannot be read', reason: 'no-consent', refusing: withCookie('adobeujs-optin=%7B') },
  {
    name: 'a TC string',
    reason: 'no-consent',
    agreeing: withCookie(`euconsent-v2=${tcStringOf()}`),
    refusing: withCookie(`euconsent-v2=${tcStringOf({ vendors: [1] })}`),
  },
  { name: 'a TC string that cannot be decoded', reason: 'no-consent', refusing: withCookie('euconsent-v2=CPtc') },
  { name: 'an empty TC string', reason: 'no-consent', refusing: withCookie('euconsent-v2=') },
  {
    name: 'one of two TC strings',
    reason: 'no-consent',
    refusing: withCookie(`euconsent-v2=${tcStringOf()}; euconsent-v2=${tcStringOf({ purposes: [1] })}`),
  },
  {
    name: 'a TC string in a cookie of another name',
    reason: 'no-consent',
    options: { consent: { tcfCookie: 'acme-tc' } },
    refusing: withCookie(`acme-tc=${tcStringOf({ purposes: [] })}`),
  },
  { name: 'Sec-GPC', reason: 'no-consent', refusing: { Cookie: COOKIE, 'Sec-GPC': '1' } },
  { name: 'Sec-GPC, sent twice', reason: 'no-consent', refusing: { Cookie: COOKIE, 'Sec-GPC': '1, 1' } },
  {
    name: 'the site’s function against a TC string that agrees',
    ...given(() => false),
    refusing: { ...withCookie(`euconsent-v2=${tcStringOf()}`), 'X-Answer': 'no' },
  },
  { name: 'the site’s function', ...given(() => false) },
  { name: 'a string from the site’s function', ...given(() => 'yes') },
  {
    name: 'the site’s function by throwing',
    ...given(() => {
      throw new RangeError('no database');
    }),
  },
  { name: 'the site’s function, later', ...given(async () => false) },
  { name: 'a number from the site’s function, later', ...given(async () => 1) },
  { name: 'the site’s function by a rejection', ...given(() => Promise.reject(new RangeError('no database'))) },
  {
    name: 'neither agreeing nor refusing where consent is required',
    reason: 'no-consent',
    options: { consent: { required: true } },
    agreeing: withCookie(`${KNDCTR}_consent=general=in`),
    refusing: { Cookie: COOKIE },
  },
];

export const AGREEING = { Cookie: COOKIE };

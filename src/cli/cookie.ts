import type { IncomingMessage } from 'node:http';
import { ConsentGate } from '../consent/consent-gate';
import { IdentityReader } from '../identity/identity-reader';
import { webSdkCookieName } from '../identity/web-sdk-cookies';
import { type ResolvedOptions, resolveOptions } from '../options/aam-segments-options';
import { CookieFinder } from '../request/cookie-header';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from './account';
import { type Command, EXIT, print, printJson, readArgs, usage } from './command';

const HELP = `Says what the middleware makes of a Cookie header, and why. Asks nobody.

Usage: aam-segments cookie '<Cookie header>' [options]

  --uuid-cookie <name>    a cookie with an Audience Manager UUID (identity.uuidCookie); as often as you like
  --url <path>            the URL of the request, read for adobe_mc (identity.adobeMc)
  --gpc                   the request has Sec-GPC: 1
  --consent-required      who has said nothing has refused (consent.required)

${ACCOUNT_HELP}

  --json                  one JSON object instead of lines

Exit code 1: the visitor would not be asked about.`;

export const cookie: Command = {
  summary: 'what the middleware makes of a Cookie header, and why',
  help: HELP,
  async run(args, { stdout }) {
    const { values, positionals } = readArgs(
      args,
      {
        ...ACCOUNT_ARGS,
        'uuid-cookie': { type: 'string', multiple: true },
        url: { type: 'string' },
        gpc: { type: 'boolean' },
        'consent-required': { type: 'boolean' },
        json: { type: 'boolean' },
      },
      ["'<Cookie header>'"],
    );
    const header = (positionals[0] as string).replace(/^cookie:\s*/i, '');
    const options = usage(() =>
      resolveOptions({
        ...accountOptions({ ...values, partner: values.partner ?? process.env.AAM_PARTNER ?? 'your-alias' }),
        identity: { uuidCookie: values['uuid-cookie'], adobeMc: values.url !== undefined },
        consent: { required: values['consent-required'] },
      }),
    );
    const request: Request = { url: values.url ?? '/', gpc: values.gpc ?? false };
    const whole = reading(header, request, options);
    const cookies = namesIn(header, options).map(({ name, pair }) => ({ name, says: whatAlone(pair, options) }));
    const isAskable = whole.verdict === 'asked';
    if (values.json) printJson(stdout, { ...whole, cookies });
    else for (const line of linesOf(whole, cookies, options)) print(stdout, line);
    return isAskable ? EXIT.ok : EXIT.failed;
  },
};

interface Request {
  readonly url: string;
  readonly gpc: boolean;
}

/** What the middleware itself reads of such a request. */
function reading(header: string, { url, gpc }: Request, options: ResolvedOptions) {
  const { orgId, dcs } = options;
  const finder = new CookieFinder();
  const reader = new IdentityReader(
    { ...options.identity, orgId, isKnownRegion: (region) => dcs.regions.has(region) },
    finder,
  );
  const gate = new ConsentGate({ ...options.consent, webSdkCookie: webSdkCookieName(orgId, 'consent') }, finder);
  const found = finder.find(header, undefined);
  const identity = reader.read(found, url);
  const req = { headers: gpc ? { 'sec-gpc': '1' } : {} } as IncomingMessage;
  // Without a function of the site's own it never is a promise.
  const consent = gate.consider(req, found, identity) as Exclude<ReturnType<typeof gate.consider>, Promise<unknown>>;
  const verdict =
    consent.refusal !== undefined
      ? (`excluded: ${consent.refusal}` as const)
      : identity.problem !== undefined
        ? (`anonymous: ${identity.problem}` as const)
        : 'asked';
  return { verdict, ...identity, sendsConsentString: consent.tcString !== undefined };
}

/** The cookies of a header that the middleware looks at, in their order. */
function namesIn(header: string, { orgId, identity, consent }: ResolvedOptions): { name: string; pair: string }[] {
  const wanted = new Set([
    `AMCV_${orgId}`,
    ...(['identity', 'cluster', 'consent'] as const).map((key) => webSdkCookieName(orgId, key)),
    's_ecid',
    'adobeujs-optin',
    ...identity.uuidCookies,
    ...(consent.tcfCookie === false ? [] : [consent.tcfCookie]),
  ]);
  return header.split(';').flatMap((part) => {
    const pair = part.trim();
    const name = decoded(pair.slice(0, Math.max(0, pair.indexOf('='))));
    return wanted.has(name) ? [{ name, pair }] : [];
  });
}

/** What a cookie says on its own. */
function whatAlone(pair: string, options: ResolvedOptions): string {
  const { visitor, problem, optedOut, verdict, sendsConsentString } = reading(
    pair,
    { url: '/', gpc: false },
    {
      ...options,
      consent: { ...options.consent, required: false },
    },
  );
  const said = [
    visitor.ecid && `ECID ${visitor.ecid}`,
    visitor.uuid && `UUID ${visitor.uuid}`,
    visitor.region &&
      `region ${visitor.region}${isPast(visitor.regionExpiresAtMs) ? ' (expired, still the best hint)' : ''}`,
    problem === 'bad-id' && 'an id that is not 38 digits',
    optedOut && 'opted out',
    !optedOut && verdict.startsWith('excluded') && 'refuses',
    sendsConsentString && 'a TC string that agrees; it goes along with the call',
  ].filter((each) => typeof each === 'string');
  return said.length === 0 ? 'nothing that can be used, and no refusal' : said.join(', ');
}

function linesOf(
  { verdict, visitor }: ReturnType<typeof reading>,
  cookies: readonly { name: string; says: string }[],
  { dcs, orgId }: ResolvedOptions,
): string[] {
  const seen = cookies.map(({ name, says }) => `${name}: ${says}`);
  const none = `no cookie that Adobe's browser code writes for ${orgId}`;
  const where = visitor.region === undefined ? 'the alias, since no region is known' : `region ${visitor.region}`;
  const meaning =
    verdict === 'asked'
      ? `the DCS is asked about the ${visitor.ecid === undefined ? `UUID ${visitor.uuid}` : `ECID ${visitor.ecid}`} at ${
          dcs.regions.originOf(visitor.region).origin
        } (${where})`
      : verdict.startsWith('excluded')
        ? 'nobody is asked, and what is remembered of the visitor is forgotten'
        : 'nobody is asked: there is no usable id';
  return [...(seen.length === 0 ? [none] : seen), '', `${verdict}: ${meaning}`];
}

function isPast(ms: number | undefined): boolean {
  return ms !== undefined && ms < Date.now();
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

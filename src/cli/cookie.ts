/** Owns: `aam-segments cookie`, which runs the middleware's own identity and consent code on a Cookie header. Next: ../identity/. */
import { ConsentGate } from '../consent/consent-gate';
import { IdentityReader } from '../identity/identity-reader';
import { webSdkCookieName } from '../identity/web-sdk-cookies';
import { type ResolvedOptions, resolveOptions } from '../options/aam-segments-options';
import { CookieFinder } from '../request/cookie-header';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from './account';
import { type Command, EXIT, print, printJson, readArgs, usage } from './command';

const HELP = `Shows which visitor the middleware finds in a Cookie header, and whether it would ask the DCS. Makes no call.

Usage: aam-segments cookie '<Cookie header>' [options]

  --uuid-cookie <name>    a cookie with an Audience Manager UUID (identity.uuidCookie); can be repeated
  --url <path>            the URL of the request; turns identity.adobeMc on
  --gpc                   the request carries Sec-GPC: 1
  --consent-required      no consent without an agreement (consent.required)

${ACCOUNT_HELP}

  --json                  one JSON object instead of lines

Exit code 1: the middleware would not ask the DCS.`;

export const cookie: Command = {
  summary: 'explain what the middleware reads in a Cookie header',
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
    const whole = read(header, request, options);
    const cookies = cookiesIn(header, options).map(({ name, pair }) => ({ name, says: readAlone(pair, options) }));
    if (values.json) printJson(stdout, { ...whole, cookies });
    else for (const line of linesOf(whole, cookies, options)) print(stdout, line);
    return whole.verdict === 'asked' ? EXIT.ok : EXIT.failed;
  },
};

interface Request {
  readonly url: string;
  readonly gpc: boolean;
}

/** What the middleware reads in such a request. */
function read(header: string, { url, gpc }: Request, options: ResolvedOptions) {
  const { orgId, dcs } = options;
  const finder = new CookieFinder();
  const reader = new IdentityReader(
    { ...options.identity, orgId, isKnownRegion: (region) => dcs.regions.has(region) },
    finder,
  );
  const gate = new ConsentGate({ ...options.consent, webSdkCookie: webSdkCookieName(orgId, 'consent') }, finder);
  const found = finder.find(header, undefined);
  const identity = reader.read(found, { url });
  const headers = gpc ? { 'sec-gpc': '1' } : {};
  // A promise only comes from the site's own `consent.given`, which is not configured here.
  const consent = gate.consider({}, headers, found, identity) as Exclude<
    ReturnType<typeof gate.consider>,
    Promise<unknown>
  >;
  const verdict =
    consent.refusal !== undefined
      ? (`excluded: ${consent.refusal}` as const)
      : identity.problem !== undefined
        ? (`anonymous: ${identity.problem}` as const)
        : 'asked';
  return { verdict, ...identity, sendsConsentString: consent.tcString !== undefined };
}

/** The cookies in a header that the middleware reads, in their order. */
function cookiesIn(header: string, { orgId, identity, consent }: ResolvedOptions): { name: string; pair: string }[] {
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

/** What one cookie says on its own. */
function readAlone(pair: string, options: ResolvedOptions): string {
  const { visitor, problem, optedOut, verdict, sendsConsentString } = read(
    pair,
    { url: '/', gpc: false },
    {
      ...options,
      consent: { ...options.consent, required: false },
    },
  );
  const findings = [
    visitor.ecid && `ECID ${visitor.ecid}`,
    visitor.uuid && `UUID ${visitor.uuid}`,
    visitor.region && `region ${visitor.region}${isPast(visitor.regionExpiresAtMs) ? ' (expired, still used)' : ''}`,
    problem === 'bad-id' && 'an id that is not 38 digits',
    optedOut && 'opted out',
    !optedOut && verdict.startsWith('excluded') && 'refuses consent',
    sendsConsentString && 'a TC string that consents, which is sent with the call',
  ].filter((each) => typeof each === 'string');
  return findings.length === 0 ? 'no usable id and no refusal' : findings.join(', ');
}

function linesOf(
  { verdict, visitor }: ReturnType<typeof read>,
  cookies: readonly { name: string; says: string }[],
  { dcs, orgId }: ResolvedOptions,
): string[] {
  const lines = cookies.map(({ name, says }) => `${name}: ${says}`);
  const none = `no Adobe cookie of organisation ${orgId}`;
  const where = visitor.region === undefined ? 'the alias, as no region is known' : `region ${visitor.region}`;
  const meaning =
    verdict === 'asked'
      ? `the middleware asks about ${visitor.ecid === undefined ? `UUID ${visitor.uuid}` : `ECID ${visitor.ecid}`} at ${
          dcs.regions.originOf(visitor.region).origin
        } (${where})`
      : verdict.startsWith('excluded')
        ? 'no call is made, and the visitor is deleted from the cache'
        : 'no call is made, as there is no usable id';
  return [...(lines.length === 0 ? [none] : lines), '', `${verdict}: ${meaning}`];
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

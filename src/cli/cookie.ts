/** Owns: `aam-segments cookie`, which runs the middleware's own identity and consent code on a Cookie header. Next: ../identity/. */
import { ConsentGate } from '../consent/consent-gate';
import { IdentityReader } from '../identity/identity-reader';
import { webSdkCookieName } from '../identity/web-sdk-cookies';
import { type ResolvedOptions, resolveOptions } from '../options/aam-segments-options';
import { CookieFinder } from '../request/cookie-header';
import { ACCOUNT_OPTIONS, ACCOUNT_SECTION, accountOf } from './account';
import { defineCommand, EXIT } from './command';
import { organisationsIn } from './organisations';
import { print, printJson } from './printer';

export const cookie = defineCommand({
  name: 'cookie',
  summary: 'explain what the middleware reads in a Cookie header',
  synopsis: "'<Cookie header>' [options]",
  description:
    'Shows which visitor the middleware finds in a Cookie header, and whether it would ask the DCS. Makes no call.',
  operands: ["'<Cookie header>'"],
  options: {
    'uuid-cookie': {
      type: 'string',
      multiple: true,
      value: '<name>',
      help: 'a cookie with an Audience Manager UUID (identity.uuidCookie); can be repeated',
    },
    url: { type: 'string', value: '<path>', help: 'the URL of the request; turns identity.adobeMc on' },
    gpc: { type: 'boolean', help: 'the request carries Sec-GPC: 1' },
    'consent-required': { type: 'boolean', help: 'no consent without an agreement (consent.required)' },
    ...ACCOUNT_OPTIONS,
  },
  sections: [ACCOUNT_SECTION],
  failure: 'the middleware would not ask the DCS',
  examples: ["'AMCV_1FD6776A524453CC0A490D44%40AdobeOrg=...' --org 1FD6776A524453CC0A490D44@AdobeOrg"],
  async run({ values, operands, env, stdout }) {
    const header = (operands[0] as string).replace(/^cookie:\s*/i, '');
    // No call is made, so any alias will do.
    const account = accountOf(values, { ...env, AAM_PARTNER: env.AAM_PARTNER || 'your-alias' });
    const options = account.checked(() =>
      resolveOptions({
        ...account.options,
        identity: { uuidCookie: values['uuid-cookie'], adobeMc: values.url !== undefined },
        consent: { required: values['consent-required'] },
      }),
    );
    const request: Request = { url: values.url ?? '/', gpc: values.gpc };
    const whole = read(header, request, options);
    const cookies = cookiesIn(header, options).map(({ name, pair }) => ({ name, says: readAlone(pair, options) }));
    const hints = whole.verdict.startsWith('anonymous') ? hintsOn(header, request, options) : [];
    if (values.json && !values.quiet) printJson(stdout, { ...whole, cookies, hints });
    else if (!values.quiet) for (const line of [...linesOf(whole, cookies, options), ...hints]) print(stdout, line);
    return whole.verdict === 'asked' ? EXIT.ok : EXIT.failed;
  },
});

/** What may be the matter with a header in which no visitor is found. */
function hintsOn(header: string, request: Request, options: ResolvedOptions): string[] {
  const hints: string[] = [];
  const others = organisationsIn(header).filter((orgId) => orgId.toLowerCase() !== options.orgId.toLowerCase());
  for (const orgId of others) {
    hints.push(`The header has cookies of organisation ${orgId}, not of ${options.orgId}: is --org ${orgId} meant?`);
  }
  const withoutCarets = header.replace(/\^(.)/g, '$1');
  if (withoutCarets !== header && !read(withoutCarets, request, options).verdict.startsWith('anonymous')) {
    hints.push(
      'The header has carets (^), which browsers add when they copy for the Windows shell: without them, a visitor is found. Copy it as "cURL (bash)", or from the list of headers.',
    );
  }
  return hints;
}

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
    ...consent.tcfCookie,
    ...(consent.gpp ? ['__gpp'] : []),
    ...(consent.usPrivacy ? ['usprivacy'] : []),
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

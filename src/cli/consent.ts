/** Owns: `aam-segments consent`, which runs the middleware's own consent code on a string or a Cookie header. Next: ../consent/. */
import { ConsentGate } from '../consent/consent-gate';
import type { ConsentExplanation } from '../consent/explanation';
import { AamError } from '../errors';
import { IdentityReader } from '../identity/identity-reader';
import { webSdkCookieName } from '../identity/web-sdk-cookies';
import { type ResolvedOptions, resolveOptions } from '../options/aam-segments-options';
import { CookieFinder } from '../request/cookie-header';
import { defineCommand, EXIT, UsageError } from './command';
import { organisationsIn } from './organisations';
import { print, printJson } from './printer';

/** Where only strings of the IAB are read, whose cookies have no organisation in their names. */
const NO_ORGANISATION = '000000000000000000000000@AdobeOrg';

export const consent = defineCommand({
  name: 'consent',
  summary: 'explain what a consent string or a Cookie header says',
  synopsis: "'<string or Cookie header>' [options]",
  description: `Shows what each source says about consent, and which one decides, as the middleware reads them: a TC string, a GPP string, a
US Privacy string, or a whole Cookie header. Makes no call. What it prints contains no identifier.`,
  operands: ["'<string or Cookie header>'"],
  options: {
    org: { type: 'string', value: '<id>', help: 'your organisation (default: AAM_ORG_ID, else the one in the header)' },
    'tcf-cookie': {
      type: 'string',
      multiple: true,
      value: '<name>',
      help: 'a cookie with a TC string (consent.tcfCookie); can be repeated',
    },
    'tcf-lenient': { type: 'boolean', help: "read all TC strings as TCF 2.2 does (consent.tcf: 'lenient')" },
    gpc: { type: 'boolean', help: 'the request carries Sec-GPC: 1' },
    'consent-required': { type: 'boolean', help: 'no consent without an agreement (consent.required)' },
  },
  sections: [],
  failure: 'the visitor may not be asked about',
  examples: [
    '1YYN',
    "'euconsent-v2=...; kndctr_1FD6776A524453CC0A490D44_AdobeOrg_consent=general=in' --consent-required",
  ],
  async run({ values, operands, env, stdout }) {
    const given = (operands[0] as string).trim().replace(/^cookie:\s*/i, '');
    const others = organisationsIn(given);
    const orgId = values.org ?? (env.AAM_ORG_ID || others[0]);
    const tcfCookies = values['tcf-cookie'];
    const options = optionsOf({
      orgId: orgId ?? NO_ORGANISATION,
      partner: 'your-alias', // no call is made, so any will do
      consent: {
        required: values['consent-required'],
        tcf: values['tcf-lenient'] ? 'lenient' : 'strict',
        ...(tcfCookies.length === 0 ? {} : { tcfCookie: tcfCookies }),
      },
    });
    const header = headerOf(given, options);
    const explanation = explain(header, values.gpc, options);
    const missed = others.filter((other) => other.toLowerCase() !== options.orgId.toLowerCase());
    const hints = missed.map((other) => `Not read: the cookies of organisation ${other}, for which use --org ${other}`);
    if (values.json && !values.quiet) printJson(stdout, { ...explanation, hints });
    else if (!values.quiet) for (const line of [...linesOf(explanation), ...hints]) print(stdout, line);
    return explanation.verdict === 'may-be-asked' ? EXIT.ok : EXIT.failed;
  },
});

function optionsOf(options: Parameters<typeof resolveOptions>[0]): ResolvedOptions {
  try {
    return resolveOptions(options);
  } catch (error) {
    if (!(error instanceof AamError)) throw error;
    const inFlags = error.message
      .replace('options.orgId', '--org')
      .replace('options.consent.tcfCookie', '--tcf-cookie');
    throw new UsageError(inFlags);
  }
}

/** A single string becomes the cookie in which it usually is. */
function headerOf(given: string, { consent: { tcfCookie } }: ResolvedOptions): string {
  if (/^[^\s;=]+=/.test(given)) return given;
  if (/^1[^\s;,.~]{3}$/.test(given)) return `usprivacy=${given}`;
  if (/^(D[\w-]*|[\w-]+~)[^\s;,]*$/.test(given)) return `__gpp=${given}`;
  if (/^[BC][\w.-]+$/.test(given)) return `${tcfCookie[0]}=${given}`;
  throw new UsageError(
    'Neither a Cookie header (name=value; ...) nor a consent string: TC strings begin with C, GPP strings with D, US Privacy strings are like 1YNN',
  );
}

function explain(header: string, gpc: boolean, options: ResolvedOptions): ConsentExplanation {
  const { orgId, dcs } = options;
  const finder = new CookieFinder();
  const isKnownRegion = (region: number) => dcs.regions.has(region);
  const reader = new IdentityReader({ ...options.identity, orgId, isKnownRegion }, finder);
  const gate = new ConsentGate({ ...options.consent, webSdkCookie: webSdkCookieName(orgId, 'consent') }, finder);
  const found = finder.find(header, undefined);
  return gate.explain(gpc ? { 'sec-gpc': '1' } : {}, found, reader.optOutsIn(found));
}

function linesOf({ verdict, decidedBy, findings }: ConsentExplanation): string[] {
  const lines = findings.map(({ source, says, because }) => {
    return `${source}: ${says === 'nothing' ? 'says nothing' : says}: ${because}`;
  });
  const why = decidedBy === undefined ? 'nobody refuses, and consent is not required' : `decided by ${decidedBy}`;
  return [
    ...(lines.length === 0 ? ['nothing that is read says anything about consent'] : lines),
    '',
    `${verdict}: ${why}`,
  ];
}

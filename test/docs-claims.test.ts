/** The pages about consent, privacy and shared caches, sentence by sentence, and the titles of the tests that show each. */
import { proseOf, read } from './helpers/documents';

/** Test files, by a short name. Each name in `refusals` is the title of a group of tests in `gate`. */
const FILES = {
  refusals: 'test/consent/refusals.ts',
  gate: 'test/consent/consent-gate.test.ts',
  whose: 'test/consent/whose-refusal.test.ts',
  explain: 'test/consent/explain.test.ts',
  adobe: 'test/consent/adobe-consent.test.ts',
  tcf: 'test/consent/tcf.test.ts',
  gpp: 'test/consent/gpp.test.ts',
  usPrivacy: 'test/consent/us-privacy.test.ts',
  platforms: 'test/consent/platforms.test.ts',
  cli: 'test/cli/consent.test.ts',
  sent: 'test/end-to-end/what-is-sent.test.ts',
  urls: 'test/end-to-end/ids-in-urls.test.ts',
  leaks: 'test/end-to-end/leaks.slow.test.ts',
  cache: 'test/cache/answer-cache.test.ts',
  responses: 'test/request/response-privacy.test.ts',
  table: 'test/request/response-table.test.ts',
  nginx: 'test/end-to-end/shared-cache.slow.test.ts',
  traces: 'test/end-to-end/traces.slow.test.ts',
  identifiers: 'test/shared-tier/identifiers.test.ts',
  call: 'test/dcs/protocol/request.test.ts',
  links: 'test/docs.test.ts',
} as const;

type Shown = Partial<Record<keyof typeof FILES, readonly string[]>>;
type Claims = readonly (readonly [sentence: string, shown: Shown])[];

/** Both pages say it. */
const NOT_ASKED: Shown = {
  gate: ['is not looked up', 'is not served the cached answer, which is deleted'],
};

const MAY_WE_ASK: Claims = [
  ['Consent is checked before the cache is read and before any call.', NOT_ASKED],
  [
    'A single refusal outweighs any number of agreements.',
    {
      refusals: [
        'a TC string in the cookie of OneTrust, beside one that agrees',
        'the site’s function against a TC string that agrees',
      ],
      explain: ['agrees with the gate, whatever is sent'],
    },
  ],
  [
    'A consent cookie that cannot be read counts as a refusal: one that has no value, is broken or encoded twice, contradicts itself, or has more than 4 096 characters.',
    {
      refusals: ['an empty TC string', 'a TC string that cannot be decoded', 'adobeujs-optin with doubled keys'],
      adobe: ['is a refusal when it is encoded twice'],
      explain: ['says that a cookie of more than 4 096 characters refuses'],
    },
  ],
  [
    'Cookies that a load balancer or a serverless adapter has joined by commas are read like any others.',
    {
      refusals: [
        'the consent cookie of the Web SDK, joined by a comma',
        'the consent cookie of the Web SDK, joined by a comma without a blank, in the middle',
        'adobeujs-optin, joined by a comma',
      ],
      whose: ['in a value is none between cookies'],
    },
  ],
  [
    '| AMCV and `s_ecid` cookies, also with `identity.sEcid: false` | `MCOPTOUT`, `MCMID\\|NONE`, a percent sequence that cannot be decoded | `opted-out` |',
    {
      refusals: [
        'MCOPTOUT in AMCV',
        'MCMID|NONE in AMCV, beside an s_ecid',
        'MCMID|NONE in an s_ecid that is not read',
        'an AMCV that cannot be decoded, beside a Web SDK id',
        'an s_ecid that cannot be decoded, which is not read',
      ],
    },
  ],
  [
    "| the Web SDK's `_consent` cookie | `general` with a value other than `in` | `no-consent` |",
    { refusals: ['the consent cookie of the Web SDK', 'a consent cookie of the Web SDK that cannot be decoded'] },
  ],
  [
    "| the ID service's `adobeujs-optin` cookie | `aam` or `ecid` with a value other than `true` | `no-consent` |",
    { refusals: ['adobeujs-optin, aam', 'adobeujs-optin, ecid'] },
  ],
  [
    '| IAB TCF v2 strings in the cookies `euconsent-v2` and `eupubconsent-v2` (`consent.tcfCookie`) | no consent to vendor 565, to purpose 1 or to purpose 10; vendor 565 not disclosed | `no-consent` |',
    {
      refusals: [
        'a TC string',
        'a TC string in a cookie of another name',
        'a TC string in the cookie of OneTrust, beside one that agrees',
        'a TC string that does not disclose the vendor',
      ],
      tcf: ['consents with vendor 565 and purposes 1 and 10'],
    },
  ],
  [
    '| an IAB GPP string in the cookie `__gpp` (`consent.gpp: false` ignores it) | an opt-out of sale, sharing or targeted advertising in a section of the US or of a state, a GPC segment there, or a TC or US Privacy string that refuses | `no-consent` |',
    {
      refusals: ['a GPP string', 'a GPP string that cannot be read'],
      gpp: [
        'is read as the IAB’s package reads it',
        'does not refuse by Global Privacy Control where the site ignores that',
      ],
      gate: ['is looked up despite refusals that the site ignores'],
    },
  ],
  [
    '| an IAB US Privacy string in the cookie `usprivacy` (`consent.usPrivacy: false` ignores it) | an opt-out of sale: `1YYN` | `no-consent` |',
    {
      refusals: ['a US Privacy string', 'a US Privacy string that cannot be read'],
      usPrivacy: ['refuses with an opt-out of sale: %s'],
      gate: ['is looked up despite refusals that the site ignores'],
    },
  ],
  [
    '| the browser | `Sec-GPC: 1` (`consent.gpc: false` ignores it) | `no-consent` |',
    { refusals: ['Sec-GPC', 'Sec-GPC, sent twice'], gate: ['is looked up despite refusals that the site ignores'] },
  ],
  [
    '| your own function `consent.given(req)`, which may be asynchronous | any result other than `true` | `no-consent` |',
    {
      refusals: [
        'the site’s function',
        'a string from the site’s function',
        'the site’s function, later',
        'a number from the site’s function, later',
      ],
      gate: ['is looked up when consent is required and the site’s function agrees'],
    },
  ],
  [
    '| `consent.required: true` | no agreement from any source | `no-consent` |',
    { refusals: ['neither agreeing nor refusing where consent is required'] },
  ],
  [
    'TC strings written after 28 February 2026 must be of TCF 2.3, that is, say which vendors were disclosed to the visitor; without that they count as refusals.',
    {
      refusals: ['a TC string without disclosed vendors'],
      tcf: [
        'was created on the last day of TCF 2.2, without the segment',
        'was created on the first day of TCF 2.3, without it',
      ],
    },
  ],
  [
    "`consent.tcf: 'lenient'` reads all of them as TCF 2.2 does, for a consent management platform that is late.",
    { tcf: ['has no segment of disclosed vendors, read leniently'] },
  ],
  [
    'GPP sections of the US and its states are read with the package `@iabgpp/cmpapi`, an optional peer: `npm install @iabgpp/cmpapi@3`.',
    { gpp: ['is read as the IAB’s package reads it'] },
  ],
  [
    'Without it, a visitor whose GPP string has such a section counts as having refused, with one warning.',
    { gpp: ['refuses, with one warning, when it has a US section and the package is not installed'] },
  ],
  [
    'GPP and US Privacy strings can only refuse: not having opted out is no agreement in the sense of `consent.required`.',
    { gpp: ['never agrees and never makes the reader throw'], usPrivacy: ['never agrees'] },
  ],
  [
    'A visitor who refuses is deleted from the cache at once, and calls about them, queued or in flight, are aborted.',
    {
      gate: [
        'is not served the cached answer, which is deleted',
        'ends their call in flight, and the requests that wait for it are excluded',
        'ends a queued background refresh before anything of it is sent',
      ],
    },
  ],
  [
    'This applies to each id that the request shows, not only to the one that is used, and also if the request is one that `skip` or `excludeBots` leaves alone.',
    {
      whose: [
        'for a UUID cookie beside the AMCV cookie that is used',
        'for each of several AMCV cookies',
        'for customer ids in another order',
        'that is skipped',
        'of a bot',
      ],
    },
  ],
  [
    'A TC string that consents is sent with the call (`gdpr=1&gdpr_consent=...`); one that refuses never leaves your server.',
    { gate: ['is looked up with their TC string, and again once there is none', 'is not looked up'] },
  ],
  [
    'The time of an asynchronous `given` counts towards `maxWaitMs`; if it is still pending then, this view is `excluded` with reason `no-consent`.',
    {
      gate: [
        'that is pending after maxWaitMs is a refusal for this view',
        'is always too late when it is asynchronous and maxWaitMs is 0',
      ],
    },
  ],
  [
    'If `given` throws or rejects, that counts as a refusal, with one warning.',
    {
      refusals: ['the site’s function by throwing', 'the site’s function by a rejection'],
      gate: ['that rejects causes one warning without the error’s message'],
    },
  ],
  [
    "[consent-platforms.md](consent-platforms.md) has a `given` for OneTrust's groups, TrustArc, Didomi and Cookiebot.",
    {
      links: ['%s has links that lead somewhere'],
      platforms: ['has %s, which asks about whoever agrees, and about nobody else'],
    },
  ],
  [
    '`aam.consent.explain(req)` tells what each source says, and which one decides.',
    {
      explain: [
        'tells which signal says what, and which decides',
        'names what decided when the request was served, without anything that the cookies hold',
      ],
    },
  ],
  [
    'It calls neither the DCS nor any of your functions: where `given` decides, the verdict is `up-to-site`.',
    { explain: ['never calls the DCS or the site’s functions, and withdraws nobody', 'with %j and %j: %j'] },
  ],
  [
    'Its result contains no identifier.',
    { explain: ['names what decided when the request was served, without anything that the cookies hold'] },
  ],
  [
    "`aam-segments consent '<string or Cookie header>'` prints the same.",
    { cli: ['prints what aam.consent.explain(req) returns, which contains no id'] },
  ],
];

const PRIVACY: Claims = [
  [
    'No call is made about a visitor who opted out or refused, and their cached answer is deleted: see [May we ask](consent.md).',
    NOT_ASKED,
  ],
  [
    'The same applies if the DCS reports an opt-out.',
    { gate: ['exclude the visitor, whose cached answer is deleted'] },
  ],
  [
    'No error, warning or statistic of this package contains an identifier, nor does `JSON.stringify(req.aamSegments)` or `console.log`.',
    {
      leaks: [
        'under the fault %j',
        'under the code %d, with whatever message',
        'without a fault, nor by printing segments',
      ],
    },
  ],
  [
    'Code that needs the ids finds them in `req.aamSegments.visitor`.',
    { sent: ['handlers find the ids in req.aamSegments.visitor'] },
  ],
  [
    'Answers are cached in the memory of this process, for the time set in the options; with `cache.keySecret`, without any id.',
    {
      cache: [
        'tells the freshness of an answer to the millisecond',
        'serves stale answers for the larger of both windows',
      ],
      leaks: ['holds no id with cache.keySecret, though the visitors are cached'],
    },
  ],
  [
    'With `cache.shared` they are also in your Redis or Valkey server, never with an id.',
    { identifiers: ['has no identifier in it, whatever a visitor does'] },
  ],
  [
    'Responses that depend on segments are marked private: see [Shared caches](shared-caches.md).',
    { responses: ['by %s leaves as private, for unknown visitors too'] },
  ],
  [
    "By default a call is a GET with the visitor's id in its URL, as Adobe documents it, and tools that write down URLs see it, such as the OpenTelemetry instrumentation of undici.",
    {
      urls: ["has ids in the URL with 'get', so that the test above can fail"],
      traces: ["the URL of a span has the visitor's ids with 'get', and Adobe gets the traceparent with both"],
    },
  ],
  [
    "With `dcs.method: 'post'` lookups and events are sent as forms, and the URL is only `/event`.",
    {
      urls: ["has no id in the URL of a call with dcs.method 'post'"],
      call: ["has no id in its URL with the method 'post'"],
      traces: ["no span has an id of the visitor with dcs.method 'post'"],
    },
  ],
  ['Opt-outs are always sent by GET.', { sent: ["an opt-out is sent by GET, also with dcs.method 'post'"] }],
  [
    'That instrumentation also adds a `traceparent` header to the calls, which Adobe gets.',
    { traces: ["the URL of a span has the visitor's ids with 'get', and Adobe gets the traceparent with both"] },
  ],
  [
    "A call contains the visitor's id, your organisation id, customer ids if you give any, signals if you send any, and a TC string that consents; nothing else of the request.",
    { sent: ['a call contains the ids, the organisation, signals and a TC string, and nothing else of the request'] },
  ],
  [
    '[data-protection.md](data-protection.md) has this on one page, for a data protection officer.',
    { links: ['%s has links that lead somewhere'] },
  ],
];

const LEAVES: Shown = { responses: ['with %j leaves with %j'] };
const SHARED_CACHES: Claims = [
  [
    'Reading segments makes the response private, also for unknown and anonymous visitors.',
    {
      responses: ['by %s leaves as private, for unknown visitors too'],
      nginx: ['nobody gets the page of another visitor, and what is nobody’s is kept'],
    },
  ],
  [
    '`has()`, `hasAny()`, `hasAll()`, iteration, `size`, `ids`, `names`, `destinations`, `visitor`, `region`, `transactionId`, JSON and the decision of a guard count as reading; `status`, `reason`, `isKnown`, `ageMs` and printing (`util.inspect()`, `console.log()`) do not, so that they can be logged.',
    {
      responses: [
        'by %s leaves as private, for unknown visitors too',
        'stays as it is when only %s was looked at',
        '%s makes the response private for every visitor',
      ],
    },
  ],
  [
    'What `aam.lookup()` returns belongs to a response only with the option `{ req }`: give it where a page is made from the answer.',
    { responses: ['by lookup() leaves as private with { req }, and as it is without'] },
  ],
  ['| none | `private` |', LEAVES],
  ['| `max-age=600` | `private, max-age=600` |', LEAVES],
  ['| `private`, `no-store` | unchanged |', LEAVES],
  [
    '| `public`, `s-maxage=60`, also by `res.sendFile()` | `private`, with one warning per route |',
    { responses: ['warns once per route when it would have been public', 'sent by sendFile() is not public'] },
  ],
  ['| `must-understand, no-store` | `no-store`, since some caches may ignore it beside the other |', LEAVES],
  [
    'This is decided when the headers leave, after all other middleware, over HTTP/1 and HTTP/2.',
    { table: ['with $name'] },
  ],
  [
    'Headers that some shared caches obey instead of `Cache-Control` are removed, with one warning per route, unless they forbid storing: `Surrogate-Control`, `CDN-Cache-Control` and the forms of its vendors, `Akamai-Cache-Control`, `Edge-Control`, `X-LiteSpeed-Cache-Control`, `X-Accel-Expires`, and an `Expires` in the future.',
    { responses: ['with %s: %s keeps it: %j'], table: ['leaves everything as it is where nobody reads'] },
  ],
  ['`privacy.varyCookie: true` adds `Vary: Cookie`.', { responses: ['varies by cookie with privacy.varyCookie'] }],
  [
    'A response whose headers were sent before segments were read stays as it is, with a warning.',
    { responses: ['causes a warning when they are read too late, after %s'] },
  ],
  [
    'Caches inside the process do not ask for `Cache-Control`: do not mount one in front of pages that depend on the visitor.',
    { responses: ['is not stored by apicache for the next visitor, and causes a warning'] },
  ],
  [
    'Only `apicache` is recognised: it is kept from storing such a page, with a warning.',
    { responses: ['is not stored by apicache for the next visitor, and causes a warning'] },
  ],
];

/** Paragraphs, items of lists and rows of tables above the recipes, without code and headings, each split into sentences. */
function sentencesOf(page: string): string[] {
  const [text = ''] = proseOf(page).split(/\n## /);
  return text
    .replace(/^# .*\n/, '')
    .replace(/^\| (?:source|`Cache-Control`) .*\n\| ---.*\n/m, '')
    .split(/\n\n|\n(?=[*|])/)
    .map((block) => block.trim().replace(/\s+/g, ' ').replace(/^\* /, ''))
    .filter((block) => block !== '')
    .flatMap((block) => (block.startsWith('|') ? [block] : block.split(/(?<=\.) (?=[A-Z[`])/)));
}

/** Whether a file has a test, a group or a case with this title. */
function hasTitle(file: string, title: string): boolean {
  return [`'${title}',`, `"${title}",`].some((quoted) => read(file).includes(quoted));
}

describe.each<[string, Claims]>([
  ['docs/consent.md', MAY_WE_ASK],
  ['docs/privacy.md', PRIVACY],
  ['docs/shared-caches.md', SHARED_CACHES],
])('%s', (page, claims) => {
  it('has these sentences, and no others', () => {
    expect(sentencesOf(page)).toEqual(claims.map(([sentence]) => sentence));
  });

  it.each(claims)('%s', (_sentence, shown) => {
    const titles = Object.entries(shown).flatMap(([name, all]) =>
      all.map((title) => [name as keyof typeof FILES, title] as const),
    );
    expect(titles).not.toHaveLength(0);
    expect(titles.filter(([name, title]) => !hasTitle(FILES[name], title))).toEqual([]);
  });
});

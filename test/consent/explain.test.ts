import type { IncomingMessage } from 'node:http';
import { type AamSegments, aamSegments, type ConsentExplanation } from 'express-aam-segments';
import fc from 'fast-check';
import request from 'supertest';
import { type Consent, ConsentGate } from '../../src/consent/consent-gate';
import { IdentityReader } from '../../src/identity/identity-reader';
import { CookieFinder } from '../../src/request/cookie-header';
import { stopWatching, watch } from '../channels/watch';
import { closeSites, cookieOf, createSite, ECID, ORG } from '../helpers/site';
import { REFUSALS } from './refusals';
import { tcStringOf } from './tc-strings';

const KNDCTR = `kndctr_${ORG.replace('@', '_')}`;
const REFUSING_TC = tcStringOf({ vendors: [1] });

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  stopWatching();
  jest.restoreAllMocks();
  await closeSites();
  for (const aam of instances.splice(0)) await aam.close();
});

/** A request as Node has it, as far as it is looked at. */
const requestWith = (headers: Readonly<Record<string, string>>) =>
  ({ headers, url: '/' }) as unknown as IncomingMessage;

const instances: AamSegments[] = [];

function instance(options: Partial<Parameters<typeof aamSegments>[0]> = {}) {
  const aam = aamSegments({ orgId: ORG, partner: 'acme', ...options });
  instances.push(aam);
  return aam;
}

describe('aam.consent.explain()', () => {
  it('tells which signal says what, and which decides', () => {
    const headers = {
      cookie: `${cookieOf(ECID)}; euconsent-v2=${REFUSING_TC}; ${KNDCTR}_consent=general%3Din; usprivacy=1YNN`,
      'sec-gpc': '1',
    };
    expect(instance().consent.explain(requestWith(headers))).toEqual({
      verdict: 'no-consent',
      decidedBy: 'gpc',
      findings: [
        { signal: 'amcv-optout', source: `AMCV_${ORG}`, says: 'nothing', because: 'it has no opt-out' },
        { signal: 'gpc', source: 'Sec-GPC', says: 'refuses', because: 'the header is 1, or no text' },
        { signal: 'tcf', source: 'euconsent-v2', says: 'refuses', because: 'it does not consent to vendor 565' },
        { signal: 'web-sdk', source: `${KNDCTR}_consent`, says: 'agrees', because: 'general is in' },
        {
          signal: 'us-privacy',
          source: 'usprivacy',
          says: 'nothing',
          because: 'no opt-out of the sale of personal data',
        },
      ],
    });
    expect(instance({ consent: { gpc: false } }).consent.explain(requestWith(headers))).toMatchObject({
      decidedBy: 'tcf',
    });
  });

  it.each<[object, Readonly<Record<string, string>>, Partial<ConsentExplanation>]>([
    [{}, {}, { verdict: 'may-be-asked', decidedBy: undefined, findings: [] }],
    [{ required: true }, {}, { verdict: 'no-consent', decidedBy: 'required' }],
    [{ required: true }, { cookie: `euconsent-v2=${tcStringOf()}` }, { verdict: 'may-be-asked', decidedBy: 'tcf' }],
    [{ given: () => true }, {}, { verdict: 'up-to-site', decidedBy: 'site' }],
    [{ given: () => true }, { cookie: 'usprivacy=1YYN' }, { verdict: 'no-consent', decidedBy: 'us-privacy' }],
    [{}, { cookie: `AMCV_${ORG}=MCOPTOUT|global; usprivacy=1YYN` }, { verdict: 'opted-out', decidedBy: 'amcv-optout' }],
    [{}, { cookie: `s_ecid=%zz` }, { verdict: 'opted-out', decidedBy: 'amcv-optout' }],
    [
      {},
      { cookie: 'a=1; usprivacy=1YNN; '.repeat(17) },
      {
        verdict: 'no-consent',
        decidedBy: 'unreadable',
        findings: expect.arrayContaining([expect.objectContaining({ signal: 'unreadable', says: 'refuses' })]),
      },
    ],
  ])('with %j and %j: %j', (consent, headers, expected) => {
    expect(instance({ consent }).consent.explain(requestWith(headers))).toMatchObject(expected);
  });

  it('says that a cookie of more than 4 096 characters refuses', () => {
    const ofLength = (length: number) =>
      instance().consent.explain(requestWith({ cookie: `usprivacy=${'%31YNN'.padEnd(length, 'x')}` })).findings[0];
    expect(ofLength(4_096)).toMatchObject({ says: 'refuses', because: 'it is not a US Privacy string of version 1' });
    expect(ofLength(4_097)).toMatchObject({ says: 'refuses', because: 'it is longer than a cookie can be' });
  });

  it('reads req.cookies where there is no Cookie header', () => {
    const req = { headers: {}, cookies: { usprivacy: '1YYN' } } as unknown as IncomingMessage;
    expect(instance().consent.explain(req)).toMatchObject({ verdict: 'no-consent', decidedBy: 'us-privacy' });
  });

  it('never calls the DCS or the site’s functions, and withdraws nobody', async () => {
    const calls: string[] = [];
    const calling = (name: string) => () => {
      calls.push(name);
      return undefined as never;
    };
    const site = await createSite();
    await site.view();
    const aam = instance({
      dcs: site.simulator.dcs,
      skip: calling('skip'),
      signals: calling('signals'),
      consent: { given: calling('given') },
      identity: { resolve: calling('resolve'), customerIds: calling('customerIds') },
    });
    for (const cookie of [cookieOf(ECID), `${cookieOf(ECID)}; usprivacy=1YYN`]) {
      aam.consent.explain(requestWith({ cookie }));
      site.aam.consent.explain(requestWith({ cookie }));
    }
    expect(calls).toEqual([]);
    expect([aam.stats().calls, site.aam.stats().visitors, site.simulator.requests.length]).toEqual([0, 1, 1]);
  });

  it('is a refusal for a request that throws when it is looked at, and an error for what is no request', () => {
    const aam = instance();
    const throwing = Object.defineProperty({}, 'headers', {
      get() {
        throw new RangeError('gone');
      },
    }) as IncomingMessage;
    expect(aam.consent.explain(throwing)).toMatchObject({ verdict: 'no-consent', decidedBy: 'unreadable' });
    for (const wrong of [undefined, null, 'euconsent-v2=x', 7]) {
      expect(() => aam.consent.explain(wrong as never)).toThrow(
        expect.objectContaining({
          code: 'ERR_AAM_INVALID_OPTION',
          message: expect.stringContaining('the argument of consent.explain() must be a request'),
        }),
      );
    }
  });

  describe.each(REFUSALS)('of a visitor who refuses by $name', ({ options, refusing, reason }) => {
    it('names what decided when the request was served, without anything that the cookies hold', async () => {
      const site = await createSite(options);
      const explanations: ConsentExplanation[] = [];
      site.app.get('/explained', (req, res) => {
        explanations.push(site.aam.consent.explain(req));
        res.json({});
      });
      const { requests } = watch();
      await request(site.app).get('/explained').set(refusing);
      const [explanation] = explanations as [ConsentExplanation];
      const consentSignal = requests[0]?.consentSignal;
      expect([explanation.decidedBy, explanation.verdict]).toEqual([
        consentSignal,
        consentSignal === 'site' ? 'up-to-site' : reason,
      ]);
      const printed = JSON.stringify(explanation);
      const values = (refusing.Cookie ?? '').split(/[;,] ?/).map((pair) => pair.slice(pair.indexOf('=') + 1));
      for (const part of values.flatMap((value) => value.match(/[\w-]{12,}/g) ?? []))
        expect(printed).not.toContain(part);
    });
  });

  it('agrees with the gate, whatever is sent', () => {
    const texts = [
      'general=in',
      'general=out',
      '1YYN',
      '1YNN',
      'DBABBg~BVqqqqpY',
      '{"aam":true}',
      '%',
      '',
      tcStringOf(),
      REFUSING_TC,
    ];
    const names = [
      'euconsent-v2',
      'usprivacy',
      '__gpp',
      'adobeujs-optin',
      `${KNDCTR}_consent`,
      's_ecid',
      `AMCV_${ORG}`,
    ];
    const pairs = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...texts, 'MCOPTOUT|global')), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(pairs, fc.boolean(), fc.boolean(), (cookies, required, sendsGpc) => {
        const finder = new CookieFinder();
        const reader = new IdentityReader(
          { orgId: ORG, isKnownRegion: () => true, sEcid: true, adobeMc: false, uuidCookies: [] },
          finder,
        );
        const gate = new ConsentGate(
          {
            webSdkCookie: `${KNDCTR}_consent`,
            tcfCookie: ['euconsent-v2'],
            tcf: 'strict',
            gpp: true,
            usPrivacy: true,
            gpc: true,
            required,
            given: undefined,
          },
          finder,
        );
        const found = finder.find(cookies.map(([name, text]) => `${name}=${text}`).join('; '), undefined);
        const headers = sendsGpc ? { 'sec-gpc': '1' } : {};
        const { verdict, decidedBy, findings } = gate.explain(headers, found, reader.optOutsIn(found));
        const identity = { ...reader.read(found, {}), problem: undefined };
        const { refusal, signal } = gate.consider({}, headers, found, identity) as Consent;
        expect([refusal ?? 'may-be-asked', signal]).toEqual([verdict, decidedBy]);
        // What decides is among the findings, and agrees or refuses as the verdict does.
        const says = verdict === 'may-be-asked' ? 'agrees' : 'refuses';
        if (decidedBy !== undefined)
          expect(findings).toContainEqual(expect.objectContaining({ signal: decidedBy, says }));
        else expect(findings.filter((each) => each.says !== 'nothing')).toEqual([]);
      }),
    );
  });
});

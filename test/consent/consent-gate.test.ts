import request from 'supertest';
import { ANSWER, dcsServer, http } from '../dcs/dcs-server';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF, type Site } from '../helpers/site';
import { AGREEING, REFUSALS, type Refusal } from './refusals';
import { tcStringOf } from './tc-strings';

const OTHER_ECID = '91563127448770346027793623225009407783';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

async function viewWith(site: Site, headers: Readonly<Record<string, string>>) {
  return (await request(site.app).get('/').set(headers)).body;
}

const excludedBy = ({ reason }: Refusal) => ({ status: 'excluded', reason, ids: [], names: [] });

describe.each(REFUSALS)('a visitor who refuses by $name', (refusal) => {
  const { options, refusing, agreeing = AGREEING } = refusal;

  it('is not looked up', async () => {
    const site = await createSite(options);
    site.simulator.visitor(ECID).in(GOLF);
    expect(await viewWith(site, refusing)).toMatchObject(excludedBy(refusal));
    expect(site.aam.stats()).toMatchObject({ calls: 0, visitors: 0 });
    expect(site.simulator.requests).toHaveLength(0);
  });

  it('is not served the cached answer, which is deleted', async () => {
    const site = await createSite(options);
    site.simulator.visitor(ECID).in(GOLF);
    expect(await viewWith(site, agreeing)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(await viewWith(site, agreeing)).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(await viewWith(site, refusing)).toMatchObject(excludedBy(refusal));
    expect(site.aam.stats()).toMatchObject({ calls: 1, visitors: 0 });
    expect(await viewWith(site, agreeing)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(site.simulator.requests).toHaveLength(2);
  });

  it('is not looked up again when the cached answer has become stale', async () => {
    const site = await createSite(options);
    const clock = advanceableClock();
    await viewWith(site, agreeing);
    clock.advance(60_000);
    expect(await viewWith(site, refusing)).toMatchObject(excludedBy(refusal));
    expect(site.aam.stats()).toMatchObject({ calls: 1, inFlight: 0, visitors: 0 });
    expect(site.simulator.requests).toHaveLength(1);
  });

  it('ends their call in flight, and the requests that wait for it are excluded', async () => {
    await using dcs = await dcsServer(() => {});
    const site = await createSite({ ...options, dcs: { origins: {}, defaultOrigin: dcs.origin.origin } });
    const before = viewWith(site, agreeing);
    await Promise.all([
      before.then((view) => expect(view).toMatchObject(excludedBy(refusal))),
      dcs.received(1).then(async () => expect(await viewWith(site, refusing)).toMatchObject(excludedBy(refusal))),
    ]);
    await dcs.deserted();
    expect(dcs.heads).toHaveLength(1);
    expect(site.aam.stats()).toMatchObject({ inFlight: 0, visitors: 0 });
  });

  it('ends a queued background refresh before anything of it is sent', async () => {
    // The only connection is busy with another visitor.
    await using dcs = await dcsServer((socket, nth) => nth === 1 && socket.write(http()));
    const site = await createSite({
      ...options,
      dcs: { origins: {}, defaultOrigin: dcs.origin.origin, connections: 1 },
    });
    const clock = advanceableClock();
    await viewWith(site, agreeing);
    clock.advance(60_000);
    const other = site.aam.lookup({ ecid: OTHER_ECID });
    await dcs.received(2);
    expect(await viewWith(site, agreeing)).toMatchObject({ status: 'stale', reason: 'revalidating' });
    // A lookup joins the refresh; where a TC string is sent it is another question, queued behind the first.
    const lookup = site.aam.lookup({ ecid: ECID });
    expect(site.aam.stats().inFlight).toBeGreaterThan(1);
    expect(await viewWith(site, refusing)).toMatchObject(excludedBy(refusal));
    expect(['stale', 'excluded']).toContain((await lookup).status);
    dcs.answer(http());
    expect((await other).has(GOLF)).toBe(true);
    // The next call on the connection is about another visitor.
    const last = site.aam.lookup({ ecid: OTHER_ECID.replace(/^9/, '8') });
    await dcs.received(3);
    dcs.answer(http(ANSWER));
    await last;
    expect(dcs.heads.slice(1).join('')).not.toContain(ECID);
    expect(site.aam.stats()).toMatchObject({ inFlight: 0 });
  });
});

describe('a visitor who does not refuse', () => {
  it.each(REFUSALS.filter(({ agreeing }) => agreeing !== undefined))('by $name is looked up', async (refusal) => {
    const site = await createSite(refusal.options);
    expect(await viewWith(site, refusal.agreeing as Record<string, string>)).toMatchObject({ status: 'fresh' });
  });

  it('is looked up with their TC string, and again once there is none', async () => {
    const { agreeing } = REFUSALS.find(({ name }) => name === 'a TC string') as Refusal;
    const site = await createSite();
    await viewWith(site, agreeing as Record<string, string>);
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'fresh' });
    expect(await viewWith(site, agreeing as Record<string, string>)).toMatchObject({ status: 'cached' });
    const [withString, without] = site.simulator.requests.map(({ params }) => params);
    expect(agreeing?.Cookie).toContain(`euconsent-v2=${withString?.gdpr_consent}`);
    expect(withString).toMatchObject({ gdpr: '1' });
    expect(without).not.toHaveProperty('gdpr');
    expect(site.aam.stats().visitors).toBe(1);
  });

  it('is looked up with their TC string decoded, whether it has been read before or not', async () => {
    const site = await createSite({ consent: { required: true } });
    const tcString = tcStringOf();
    const encoded = tcString.replace(/[.A-C]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
    // Of several visitors, since one is looked up once.
    for (const [n, cookie] of [encoded, tcString, encoded, tcString].entries()) {
      const headers = { Cookie: `${cookieOf(`${ECID.slice(0, -1)}${n}`)}; euconsent-v2=${cookie}; theme=dark` };
      expect(await viewWith(site, headers)).toMatchObject({ status: 'fresh' });
    }
    const sent = site.simulator.requests.map(({ params }) => params.gdpr_consent);
    expect(sent).toEqual([tcString, tcString, tcString, tcString]);
  });

  it('is looked up despite refusals that the site ignores', async () => {
    const site = await createSite({ consent: { gpc: false, tcfCookie: false, gpp: false, usPrivacy: false } });
    const cookie = `${cookieOf(ECID)}; euconsent-v2=CPtc; __gpp=DBABVg~BVVVVVVg.YA; usprivacy=1YYN`;
    expect(await viewWith(site, { Cookie: cookie, 'Sec-GPC': '1' })).toMatchObject({ status: 'fresh' });
  });

  it('is looked up when consent is required and the site’s function agrees', async () => {
    const site = await createSite({ consent: { required: true, given: async () => true } });
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'fresh' });
  });

  it('by the site’s function is excluded by another refusal, and the function is not called', async () => {
    const given = jest.fn(() => true);
    const site = await createSite({ consent: { given } });
    expect(await viewWith(site, { ...AGREEING, 'Sec-GPC': '1' })).toMatchObject({ reason: 'no-consent' });
    expect(await viewWith(site, {})).toMatchObject({ status: 'anonymous' });
    expect(given).not.toHaveBeenCalled();
  });
});

describe('the site’s own function', () => {
  it('that is pending after maxWaitMs is a refusal for this view', async () => {
    const answers: ((answer: boolean) => void)[] = [];
    const given = () => new Promise<boolean>((resolve) => answers.push(resolve));
    const site = await createSite({ maxWaitMs: 30, consent: { given } });
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'excluded', reason: 'no-consent' });
    answers[0]?.(true);
    expect(site.simulator.requests).toHaveLength(0);
  });

  it('is always too late when it is asynchronous and maxWaitMs is 0', async () => {
    const site = await createSite({ maxWaitMs: 0, consent: { given: async () => true } });
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'excluded', reason: 'no-consent' });
  });

  it('that refuses after maxWaitMs still deletes the cached answer', async () => {
    let answer!: (agrees: boolean) => void;
    let isSlow = false;
    const given = () => (isSlow ? new Promise<boolean>((resolve) => (answer = resolve)) : true);
    const site = await createSite({ maxWaitMs: 1_000, consent: { given } });
    await viewWith(site, AGREEING);
    expect(site.aam.stats().visitors).toBe(1);
    isSlow = true;
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'excluded', reason: 'no-consent' });
    expect(site.aam.stats().visitors).toBe(1);
    answer(false);
    await new Promise(setImmediate);
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('that rejects causes one warning without the error’s message', async () => {
    const warned = jest.mocked(process.emitWarning);
    const given = () => Promise.reject(new RangeError(`no row for ${ECID}`));
    const site = await createSite({ consent: { given } });
    await viewWith(site, AGREEING);
    await viewWith(site, AGREEING);
    expect(warned.mock.calls).toEqual([
      ['options.consent.given threw: RangeError', expect.objectContaining({ code: 'WRN_AAM_CONSENT' })],
    ]);
  });
});

describe('the DCS’s own opt-outs', () => {
  it('exclude the visitor, whose cached answer is deleted', async () => {
    const site = await createSite();
    const clock = advanceableClock();
    site.simulator.visitor(ECID).in(GOLF);
    expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    clock.advance(5_000_000); // past what may be served stale
    site.simulator.visitor(ECID).fails(171);
    for (let view = 0; view < 2; view++) {
      expect(await viewWith(site, AGREEING)).toMatchObject({ status: 'excluded', reason: 'opted-out', names: [] });
    }
    expect(site.simulator.requests).toHaveLength(2);
  });
});

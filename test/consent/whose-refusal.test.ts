import request from 'supertest';
import { closeSites, cookieOf, createSite, ECID, type Site } from '../helpers/site';

const UUID = '55555555555555555555555555555555555555';
const REFUSING = 'kndctr_1FD6776A524453CC0A490D44_AdobeOrg_consent=general=out';
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const BOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

async function view(site: Site, cookie: string, headers: Readonly<Record<string, string>> = {}) {
  const all = { 'User-Agent': BROWSER, Cookie: cookie, ...headers };
  return (await request(site.app).get('/').set(all)).body;
}

describe('a refusal counts', () => {
  it('for a UUID cookie beside the AMCV cookie that is used', async () => {
    const site = await createSite({ identity: { uuidCookie: 'aam_uuid' } });
    expect(await view(site, `aam_uuid=${UUID}`)).toMatchObject({ status: 'fresh' });
    expect(await view(site, `aam_uuid=${UUID}; ${cookieOf(ECID)}; ${REFUSING}`)).toMatchObject({ status: 'excluded' });
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('for each of several AMCV cookies', async () => {
    const site = await createSite();
    const other = ECID.replace(/^2/, '3');
    await view(site, cookieOf(other));
    await view(site, `${cookieOf(ECID)}; ${cookieOf(other)}; ${REFUSING}`);
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('for customer ids in another order', async () => {
    const site = await createSite({
      identity: {
        customerIds: (req) =>
          String(req.headers['x-ids'])
            .split(',')
            .map((id) => ({ dataSourceId: 1, id })),
      },
    });
    await view(site, '', { 'X-Ids': 'a,b' });
    await view(site, REFUSING, { 'X-Ids': 'b,a' });
    expect(await view(site, '', { 'X-Ids': 'a,b' })).toMatchObject({ status: 'fresh' });
    await view(site, REFUSING, { 'X-Ids': 'b' });
    expect(await view(site, '', { 'X-Ids': 'a,b' })).toMatchObject({ status: 'fresh' });
  });

  it('for what the cookies show where the site’s function fails', async () => {
    let isFailing = false;
    const site = await createSite({
      identity: {
        resolve: () => {
          if (isFailing) throw new RangeError('no database');
          return undefined;
        },
      },
    });
    await view(site, cookieOf(ECID));
    isFailing = true;
    expect(await view(site, `${cookieOf(ECID)}; ${REFUSING}`)).toMatchObject({ status: 'excluded' });
    expect(site.aam.stats().visitors).toBe(0);
  });

  it('for the visitor whom the site’s function names, on a request that is skipped', async () => {
    const site = await createSite({
      skip: (req) => req.query.skip !== undefined,
      identity: { resolve: (req) => ({ ecid: String(req.headers['x-ecid']) }) },
    });
    await view(site, '', { 'X-Ecid': ECID });
    await request(site.app).get('/?skip').set({ Cookie: REFUSING, 'X-Ecid': ECID });
    expect(site.aam.stats()).toMatchObject({ visitors: 0, calls: 1 });
  });

  it.each([
    ['that is skipped', { skip: (req: { query: object }) => 'skip' in req.query }, '/?skip', BROWSER, 'skipped'],
    ['of a bot', {}, '/', BOT, 'bot'],
  ])('on a request %s, which stays one', async (_what, options, path, agent, reason) => {
    const site = await createSite(options);
    await view(site, cookieOf(ECID));
    const again = await request(site.app)
      .get(path)
      .set({ 'User-Agent': agent, Cookie: cookieOf(ECID) });
    expect(again.body).toMatchObject({ status: 'excluded', reason });
    expect(site.aam.stats().visitors).toBe(1);
    const refused = await request(site.app)
      .get(path)
      .set({ 'User-Agent': agent, Cookie: `${cookieOf(ECID)}; ${REFUSING}` });
    expect(refused.body).toMatchObject({ status: 'excluded', reason });
    expect(site.aam.stats().visitors).toBe(0);
  });
});

describe('a comma', () => {
  it.each([
    [
      'in a value is none between cookies',
      `${cookieOf(ECID, 9, 'NONE')}; adobeujs-optin={"aam":true,"x":[1,2],"ecid":true}`,
    ],
    ['in another cookie’s value', `prefs=a,b,c=1; ${cookieOf(ECID)}; theme=1, 2`],
    ['between cookies', `theme=dark, ${cookieOf(ECID)}, lang=en, x`],
  ])('%s: the visitor is looked up', async (_what, cookie) => {
    const site = await createSite();
    expect(await view(site, cookie)).toMatchObject({ status: 'fresh', region: 9 });
  });

  it('in a list of opt-outs leaves the visitor opted out', async () => {
    const site = await createSite();
    const cookie = decodeURIComponent(cookieOf(ECID, 9, 'global,partner').replaceAll('%40', '@'));
    expect(await view(site, cookie)).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });
});

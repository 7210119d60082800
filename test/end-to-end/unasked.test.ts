import express from 'express';
import request from 'supertest';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF, type Site } from '../helpers/site';

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const BOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

const view = async (site: Site, headers: Record<string, string>) =>
  (
    await request(site.app)
      .get('/')
      .set({ Cookie: cookieOf(ECID), ...headers })
  ).body;

describe('a bot', () => {
  it('gets no segments and the default content, even with the id of a cached visitor', async () => {
    const site = await createSite();
    site.simulator.visitor(ECID).in(GOLF);
    expect(await view(site, { 'User-Agent': CHROME })).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    for (let n = 0; n < 3; n++) {
      expect(await view(site, { 'User-Agent': BOT })).toMatchObject({ status: 'excluded', reason: 'bot', ids: [] });
    }
    expect(await view(site, { 'User-Agent': CHROME })).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(site.simulator.requests).toHaveLength(1);
  });

  it('is a visitor like any other with excludeBots: false', async () => {
    const site = await createSite({ excludeBots: false });
    expect(await view(site, { 'User-Agent': BOT })).toMatchObject({ status: 'fresh' });
  });
});

describe('a prefetch', () => {
  const ahead = { 'User-Agent': CHROME, 'Sec-Purpose': 'prefetch;prerender' };

  it('is served from the cache, and makes no call on a miss', async () => {
    const site = await createSite();
    site.simulator.visitor(ECID).in(GOLF);
    expect(await view(site, ahead)).toMatchObject({ status: 'excluded', reason: 'skipped', ids: [] });
    expect(site.simulator.requests).toHaveLength(0);
    await view(site, {});
    expect(await view(site, ahead)).toMatchObject({ status: 'cached', names: ['golfFans'] });
  });

  it.each([60_000, 660_000])('is served what is stale %d ms on, without a refresh', async (elapsedMs) => {
    const site = await createSite();
    const clock = advanceableClock();
    site.simulator.visitor(ECID).in(GOLF);
    await view(site, {});
    clock.advance(elapsedMs);
    expect(await view(site, ahead)).toMatchObject({ status: 'stale', reason: 'skipped', names: ['golfFans'] });
    expect(site.aam.stats()).toMatchObject({ calls: 1, inFlight: 0 });
  });

  it('is not served an expired answer', async () => {
    const site = await createSite();
    const clock = advanceableClock();
    await view(site, {});
    clock.advance(3_660_000);
    expect(await view(site, ahead)).toMatchObject({ status: 'excluded', reason: 'skipped' });
  });
});

describe('a warm visitor', () => {
  it('is served synchronously with all gates on, including a synchronous consent.given', async () => {
    const site = await createSite({
      consent: { required: true, given: () => true },
      identity: { customerIds: () => [{ dataSourceId: 1, id: 'ann' }] },
    });
    await site.view();
    const app = express();
    app.use((req, res, next) => {
      let isSynchronous = false;
      site.aam(req, res, () => {
        isSynchronous = true;
      });
      res.locals.isSynchronous = isSynchronous;
      next();
    });
    app.get('/', (req, res) => {
      res.json({ isSynchronous: res.locals.isSynchronous, status: req.aamSegments.status });
    });
    const { body } = await request(app).get('/').set('Cookie', cookieOf(ECID));
    expect(body).toEqual({ isSynchronous: true, status: 'cached' });
  });
});

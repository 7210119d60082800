import { parse } from 'cookie';
import type { Page } from 'playwright-core';
import request from 'supertest';
import { SEGMENTS } from '../../example-app/aam';
import vectors from '../vectors/identity.json';
import { type Chromium, describeInBrowser, follow, sees, seesTitle, startChromium } from './chromium';
import { EdgeStub } from './edge-stub';
import { closeShops, openLiveShop } from './open-shop';

const WEB_SDK = { datastreamId: 'f0e1d2c3-0000-4000-8000-000000000000', edgeDomain: 'edge.adobedc.test' };
const READY = 'Adobe’s Web SDK is ready, and sends nothing before you choose.';
const DAY_S = 86_400;

/** A visitor whose cookies were recorded. */
const { orgId, cookieHeader, expected } = vectors.rows.find(({ id }) => id === 'websdk/alloy-consent-out') ?? {};
const ORG = String(orgId);
const ECID = String(expected?.ecid);
const PREFIX = `kndctr_${ORG.replace('@', '_')}_`;
const recorded = (key: string) => String(parse(String(cookieHeader))[PREFIX + key]);

jest.setTimeout(60_000);

afterEach(closeShops);

describeInBrowser('Adobe’s Web SDK on a page of the shop', () => {
  let browser: Chromium;
  let edge: EdgeStub;

  beforeEach(async () => {
    edge = new EdgeStub(ORG, { ecid: ECID, identity: recorded('identity'), cluster: recorded('cluster') });
    // The SDK takes no port. Nothing else may be reached, not even Adobe.
    const rules = [`MAP ${WEB_SDK.edgeDomain} ${await edge.listen()}`, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1'];
    browser = await startChromium([`--host-resolver-rules=${rules.join(', ')}`]);
  });

  afterEach(async () => {
    const complaints = await browser.leave();
    await browser.close();
    await edge.close();
    expect(complaints).toEqual([]);
  });

  async function enter() {
    const { app, aam, simulator } = await openLiveShop(ORG, WEB_SDK);
    simulator.visitor(ECID).in(SEGMENTS.golfFans);
    return { page: await browser.enter(app, { ignoreHTTPSErrors: true }), aam, simulator };
  }

  const press = (page: Page, button: string) => page.getByRole('button', { name: button, exact: true }).click();

  /** The SDK's cookies by key, with their remaining days. */
  async function cookiesOf(page: Page) {
    const cookies = await page.context().cookies();
    const nowS = Date.now() / 1000;
    return Object.fromEntries(
      cookies.map(({ name, value, expires }) => [
        name.replace(PREFIX, ''),
        [value, Math.round((expires - nowS) / DAY_S)],
      ]),
    );
  }

  it('personalises the next page after an agreement, and makes no call after a refusal', async () => {
    const { page, aam, simulator } = await enter();
    await seesTitle(page, 'Good things for days outside');
    await follow(page, 'Privacy');
    await sees(page, READY);
    await sees(page, /^A first visit, no visitor id yet, waited \d+ ms$/);
    expect(await cookiesOf(page)).toEqual({});

    await press(page, 'I agree');
    await sees(page, /^You agreed\./);
    const known = { identity: [recorded('identity'), 395], cluster: [recorded('cluster'), 0] };
    expect(await cookiesOf(page)).toEqual({ ...known, consent: ['general=in', 180] });
    expect(simulator.requests).toEqual([]);

    await follow(page, 'Home');
    await seesTitle(page, 'Play the back nine in any weather');
    await sees(page, /^Known golf fan, asked just now, waited \d+ ms$/);
    expect(simulator.requests).toMatchObject([{ region: 9, visitor: ECID }]);

    await follow(page, 'Privacy');
    await press(page, 'I refuse');
    await sees(page, /^You refused\./);
    expect(await cookiesOf(page)).toEqual({ ...known, consent: ['general=out', 180] });

    await follow(page, 'Home');
    await seesTitle(page, 'Good things for days outside');
    await sees(page, /^Consent refused, so no call was made, waited \d+ ms$/);
    await sees(page, /^excluded deliberately not asked$/);
    await sees(page, /^no-consent of the status$/);
    await follow(page, 'Autumn weekend');
    await seesTitle(page, 'Two days, three hills, one big breakfast');
    expect(simulator.requests).toHaveLength(1);
    expect(aam.stats()).toMatchObject({ visitors: 0, inFlight: 0, calls: 1 });

    // The visitor can agree again; what was cached before the refusal is gone.
    await follow(page, 'Privacy');
    await press(page, 'I agree');
    await sees(page, /^You agreed\./);
    await follow(page, 'Home');
    await sees(page, /^Known golf fan, asked just now, waited \d+ ms$/);
    expect(simulator.requests).toHaveLength(2);
  });

  it('makes no call for a visitor who refuses at once, even though Adobe assigns an id', async () => {
    const { page, simulator } = await enter();
    await follow(page, 'Privacy');
    await press(page, 'I refuse');
    await sees(page, /^You refused\./);
    expect(await cookiesOf(page)).toMatchObject({
      identity: [recorded('identity'), 395],
      consent: ['general=out', 180],
    });
    await follow(page, 'Home');
    await sees(page, /^Consent refused, so no call was made, waited \d+ ms$/);
    expect(simulator.requests).toEqual([]);
  });

  it('sends Adobe only the choice, and the page view only after an agreement', async () => {
    const { page } = await enter();
    await follow(page, 'Privacy');
    await press(page, 'I agree');
    await sees(page, /^You agreed\./);
    await press(page, 'I refuse');
    await sees(page, /^You refused\./);
    const choice = (general: string) => [{ standard: 'Adobe', version: '1.0', value: { general } }];
    const cookies = { [`${PREFIX}identity`]: recorded('identity'), [`${PREFIX}cluster`]: recorded('cluster') };
    const yes = { ...cookies, [`${PREFIX}consent`]: 'general=in' };
    const { datastreamId } = WEB_SDK;
    expect(edge.requests).toEqual([
      { action: 'privacy/set-consent', datastreamId, cookies: {}, consent: choice('in') },
      { action: 'interact', datastreamId, cluster: 'or2', cookies: yes },
      { action: 'privacy/set-consent', datastreamId, cluster: 'or2', cookies: yes, consent: choice('out') },
    ]);
  });

  it('reports that Adobe has not accepted the choice', async () => {
    edge.isBroken = true;
    const { page } = await enter();
    await follow(page, 'Privacy');
    await press(page, 'I refuse');
    await sees(page, /^That did not work\. /);
    expect(await cookiesOf(page)).toEqual({});
    expect(await browser.leave()).toEqual([expect.stringContaining('status of 500')]);
  });
});

describe('the page with Adobe’s Web SDK', () => {
  it('exists only with a datastream', async () => {
    const { app } = await openLiveShop(ORG);
    for (const path of ['/web-sdk', '/alloy.js']) expect((await request(app).get(path)).status).toBe(404);
    expect((await request(app).get('/')).text).not.toContain('Privacy');
  });

  it('is the only page that allows scripts, of the shop only, and connections to Adobe’s Edge domain', async () => {
    const { app } = await openLiveShop(ORG, WEB_SDK);
    const policyOf = async (path: string) => (await request(app).get(path)).headers['content-security-policy'];
    const scriptless = await policyOf('/');
    expect(scriptless).not.toMatch(/script-src|connect-src/);
    expect((await policyOf('/web-sdk'))?.split('; ').filter((rule) => !scriptless?.includes(rule))).toEqual([
      "script-src 'self'",
      'connect-src https://edge.adobedc.test',
    ]);
    expect((await request(app).get('/web-sdk')).text).not.toMatch(/<script>|<style|\sstyle=|\son\w+=|https?:/);
  });

  it('makes no call for its scripts', async () => {
    const { app, aam } = await openLiveShop(ORG, WEB_SDK);
    for (const path of ['/alloy.js', '/web-sdk.js']) {
      const { status, headers } = await request(app).get(path);
      expect([status, headers['content-type']]).toEqual([200, expect.stringContaining('javascript')]);
    }
    expect(Object.values(aam.stats().requests).filter((count) => count !== 0)).toEqual([]);
  });
});

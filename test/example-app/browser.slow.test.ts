import type { BrowserContextOptions, Page } from 'playwright-core';
import { type Chromium, describeInBrowser, follow, sees, seesTitle, startChromium } from './chromium';
import { closeShops, ecidIn, openShop, PATIENT } from './open-shop';

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

jest.setTimeout(60_000);

describeInBrowser('the shop in a browser', () => {
  let browser: Chromium;

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());

  afterEach(async () => {
    const complaints = await browser.leave();
    await closeShops();
    expect(complaints).toEqual([]);
  });

  const choose = (page: Page, persona: string) => page.getByRole('button', { name: persona, exact: true }).click();

  it('greets a first-time visitor', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app);
    await sees(page, /^A first visit, no visitor id yet, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    await choose(page, 'First visit');
    await page.getByRole('button', { name: 'First visit', pressed: true }).waitFor();
    await sees(page, /^Adobe’s tag has not run in this browser yet/);
  });

  it('shows a golf fan golf pages, and keeps the members’ page closed', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app);
    await choose(page, 'Golf fan');
    await page.getByRole('button', { name: 'Golf fan', pressed: true }).waitFor();
    await sees(page, /^Known golf fan, asked just now, waited \d+ ms$/);
    await seesTitle(page, 'Play the back nine in any weather');
    await follow(page, 'Plan a golf weekend');
    await seesTitle(page, 'Thirty-six holes by the sea');
    await page.getByRole('complementary', { name: 'The first lesson is on us' }).waitFor();
    await sees(page, /^Known golf fan, from the cache, \d+ s old, waited \d+ ms$/);
    await follow(page, 'Join the club');
    await seesTitle(page, 'Not yet, but soon');
    await follow(page, 'Back to the shop');
    await seesTitle(page, 'Play the back nine in any weather');
  });

  it('lets a high-value customer into the members’ page', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app);
    await choose(page, 'High value');
    await seesTitle(page, 'The Reserve is open tonight');
    await follow(page, 'Autumn weekend');
    await seesTitle(page, 'Your room by the fire is kept');
    await follow(page, 'Claim your upgrade');
    await seesTitle(page, 'Good to have you back');
    await choose(page, 'Golf fan');
    await seesTitle(page, 'Not yet, but soon');
  });

  it('makes no call for a visitor who opted out', async () => {
    const { app, aam } = await openShop(PATIENT);
    const page = await browser.enter(app);
    await choose(page, 'Opted out');
    await sees(page, /^Opted out, so no call was made, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    expect(aam.stats().calls).toBe(0);
  });

  it('does not wait for a slow DCS, and has the late answer on the next page', async () => {
    const { app, aam } = await openShop({});
    const page = await browser.enter(app);
    await choose(page, 'DCS slow');
    await sees(page, /^Not known yet, the answer is pending, waited [1-9]\d\d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    const cookies = await page.context().cookies();
    await aam.lookup({ ecid: ecidIn(JSON.stringify(cookies)) });
    await follow(page, 'Look again');
    await sees(page, /^Known golf fan, from the cache, \d+ s old, waited \d+ ms$/);
    await seesTitle(page, 'Play the back nine in any weather');
    await sees(page, /^The answer was too late for the first page/);
  });

  it('stays open when the DCS is down', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app);
    await choose(page, 'DCS down');
    await sees(page, /^Not known, the call failed, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    await follow(page, 'Members');
    await seesTitle(page, 'Not yet, but soon');
  });

  it('fits a phone', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app, PHONE);
    const width = () => page.evaluate('document.documentElement.scrollWidth');
    for (const persona of ['First visit', 'Golf fan', 'Opted out', 'DCS slow', 'DCS down', 'High value']) {
      await choose(page, persona);
      await page.getByRole('button', { name: persona, pressed: true }).waitFor();
      expect([persona, await width()]).toEqual([persona, 390]);
    }
    await follow(page, 'Autumn weekend');
    await seesTitle(page, 'Your room by the fire is kept');
    expect(await width()).toBe(390);
    await choose(page, 'Golf fan');
    await sees(page, 'The first lesson is on us');
    expect(await width()).toBe(390);
    await choose(page, 'High value');
    await follow(page, 'Members');
    await seesTitle(page, 'Good to have you back');
    expect(await width()).toBe(390);
  });

  it('can be used with the keyboard, with visible focus', async () => {
    const page = await browser.enter((await openShop(PATIENT)).app);
    const outline = () => page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    await page.keyboard.press('Tab');
    await page.getByRole('link', { name: 'Skip to the shop' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    expect(await outline()).toBe('solid');
    await page.keyboard.press('Enter');
    await seesTitle(page, 'Play the back nine in any weather');
  });

  it.each(['light', 'dark'] as const)('has its pictures in %s mode', async (colorScheme) => {
    const page = await browser.enter((await openShop(PATIENT)).app, { colorScheme });
    const boxes = await page.evaluate(
      "[...document.querySelectorAll('main svg use')].map((use) => use.getBoundingClientRect().width > 0)",
    );
    expect(boxes).toEqual([true, true, true, true, true]);
  });
});

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { closeShops, ecidIn, openShop, PATIENT } from './open-shop';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const isSkipped = !process.env.CI && !existsSync(CHROMIUM);
if (isSkipped) console.warn(`${CHROMIUM} is missing: the shop is not tried in a browser`);
const describeInBrowser = isSkipped ? describe.skip : describe;

jest.setTimeout(60_000);

describeInBrowser('the shop in a browser', () => {
  let browser: Browser;
  const servers: Server[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  });
  afterAll(() => browser.close());

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    for (const server of servers.splice(0)) server.close();
    await closeShops();
    expect(complaints.splice(0)).toEqual([]);
  });

  /** Goes to the shop with a browser that has never been there. */
  async function enter(app: RequestListener, options: BrowserContextOptions = {}): Promise<Page> {
    const server = createServer(app).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const context = await browser.newContext({ baseURL, ...options });
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // Chromium says so of every page with this status, and the members' page has it on purpose.
      const isRefusal = message.text().includes('status of 403') && message.location().url === `${baseURL}/members`;
      if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
    });
    await page.goto('/');
    return page;
  }

  const choose = (page: Page, persona: string) => page.getByRole('button', { name: persona, exact: true }).click();
  const follow = (page: Page, link: string) => page.getByRole('link', { name: link, exact: true }).click();
  const sees = (page: Page, text: string | RegExp) => page.getByText(text).waitFor();
  const seesTitle = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();

  it('welcomes somebody who has never been there', async () => {
    const page = await enter((await openShop(PATIENT)).app);
    await sees(page, /^A first visit, nobody to ask about, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    await choose(page, 'First visit');
    await page.getByRole('button', { name: 'First visit', pressed: true }).waitFor();
    await sees(page, /^Adobe’s tag has not run in this browser yet/);
  });

  it('shows a golf fan golf, and the members’ page to come', async () => {
    const page = await enter((await openShop(PATIENT)).app);
    await choose(page, 'Golf fan');
    await page.getByRole('button', { name: 'Golf fan', pressed: true }).waitFor();
    await sees(page, /^Known golf fan, asked just now, waited \d+ ms$/);
    await seesTitle(page, 'Play the back nine in any weather');
    await follow(page, 'Plan a golf weekend');
    await seesTitle(page, 'Thirty-six holes by the sea');
    await sees(page, /^Known golf fan, from the cache, \d+ s old, waited \d+ ms$/);
    await follow(page, 'Join the club');
    await seesTitle(page, 'Not yet, but soon');
    await follow(page, 'Back to the shop');
    await seesTitle(page, 'Play the back nine in any weather');
  });

  it('lets a high-value customer into the members’ page', async () => {
    const page = await enter((await openShop(PATIENT)).app);
    await choose(page, 'High value');
    await seesTitle(page, 'The Reserve is open tonight');
    await follow(page, 'Autumn weekend');
    await seesTitle(page, 'Your room by the fire is kept');
    await follow(page, 'Claim your upgrade');
    await seesTitle(page, 'Good to have you back');
    await choose(page, 'Golf fan');
    await seesTitle(page, 'Not yet, but soon');
  });

  it('asks nobody about a visitor who opted out', async () => {
    const { app, aam } = await openShop(PATIENT);
    const page = await enter(app);
    await choose(page, 'Opted out');
    await sees(page, /^Opted out, so nobody was asked, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    expect(aam.stats().calls).toBe(0);
  });

  it('does not wait for a slow DCS, and has the late answer on the next page', async () => {
    const { app, aam } = await openShop({});
    const page = await enter(app);
    await choose(page, 'DCS slow');
    await sees(page, /^Not known yet, the answer is on its way, waited [1-9]\d\d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    const cookies = await page.context().cookies();
    await aam.lookup({ ecid: ecidIn(JSON.stringify(cookies)) });
    await follow(page, 'Look again');
    await sees(page, /^Known golf fan, from the cache, \d+ s old, waited \d+ ms$/);
    await seesTitle(page, 'Play the back nine in any weather');
    await sees(page, /^The answer was too late for the first page/);
  });

  it('stays open when the DCS is down', async () => {
    const page = await enter((await openShop(PATIENT)).app);
    await choose(page, 'DCS down');
    await sees(page, /^Not known, the call failed, waited \d+ ms$/);
    await seesTitle(page, 'Good things for days outside');
    await follow(page, 'Members');
    await seesTitle(page, 'Not yet, but soon');
  });

  it('fits a phone', async () => {
    const page = await enter((await openShop(PATIENT)).app, PHONE);
    const width = () => page.evaluate('document.documentElement.scrollWidth');
    for (const persona of ['First visit', 'Golf fan', 'Opted out', 'DCS slow', 'DCS down', 'High value']) {
      await choose(page, persona);
      await page.getByRole('button', { name: persona, pressed: true }).waitFor();
      expect([persona, await width()]).toEqual([persona, 390]);
    }
    await follow(page, 'Autumn weekend');
    await seesTitle(page, 'Your room by the fire is kept');
    expect(await width()).toBe(390);
    await follow(page, 'Members');
    await seesTitle(page, 'Good to have you back');
    expect(await width()).toBe(390);
  });

  it('can be used with the keyboard, and shows where it is', async () => {
    const page = await enter((await openShop(PATIENT)).app);
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
    const page = await enter((await openShop(PATIENT)).app, { colorScheme });
    const boxes = await page.evaluate(
      "[...document.querySelectorAll('main svg use')].map((use) => use.getBoundingClientRect().width > 0)",
    );
    expect(boxes).toEqual([true, true, true, true, true]);
  });
});

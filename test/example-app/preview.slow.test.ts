import type { BrowserContextOptions, Page } from 'playwright-core';
import { type Chromium, describeInBrowser, follow, sees, seesTitle, startChromium } from './chromium';
import { closeShops, openShop, PATIENT } from './open-shop';

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

jest.setTimeout(60_000);

describeInBrowser('previews of the shop in a browser', () => {
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

  async function enter(options?: BrowserContextOptions) {
    const { app, aam } = await openShop(PATIENT);
    return { aam, page: await browser.enter(app, options) };
  }
  const badge = (page: Page) => page.getByRole('complementary', { name: 'Preview' });
  const width = (page: Page) => page.evaluate('document.documentElement.scrollWidth');

  it('are made, shared, seen in all tabs and ended, without JavaScript', async () => {
    const { page, aam } = await enter({ javaScriptEnabled: false });
    await follow(page, 'Make a preview link');
    await page.getByLabel('Page').selectOption('Autumn weekend');
    await page.getByLabel('Golf fans').check();
    await page.getByLabel('Experiment free-lesson').selectOption('lesson');
    await page.getByLabel('Valid for').selectOption('15 minutes');
    await page.getByRole('button', { name: 'Make the link' }).click();
    await sees(page, 'Autumn weekend, for Golf fans, lesson');
    const link = await page.getByLabel('Copy this link').inputValue();
    await follow(page, 'Open the preview');
    await seesTitle(page, 'Thirty-six holes by the sea');
    await sees(page, 'The first lesson is on us');
    expect(new URL(page.url()).search).toBe('');
    await sees(page, /^A preview: golf fan, waited \d+ ms$/);
    expect(await badge(page).innerText()).toMatch(/Golf fans · free-lesson: lesson 15 min left/);
    const other = await page.context().newPage();
    await other.goto('/');
    await seesTitle(other, 'Play the back nine in any weather');
    await badge(other).waitFor();
    await follow(other, 'End preview');
    await seesTitle(other, 'Good things for days outside');
    expect(await badge(other).count()).toBe(0);
    // The link is good until its time is up.
    await other.goto(link);
    await badge(other).waitFor();
    expect(aam.stats().calls).toBe(0);
  });

  it('open the lounge, as its guard allows', async () => {
    const { page } = await enter();
    await follow(page, 'Make a preview link');
    await page.getByLabel('Page').selectOption('Members');
    await page.getByLabel('High value').check();
    await page.getByRole('button', { name: 'Make the link' }).click();
    await follow(page, 'Open the preview');
    await seesTitle(page, 'Good to have you back');
  });

  it('are made with the keyboard', async () => {
    const { page } = await enter();
    await page.goto('/preview');
    // The shop's name, the way to the shop, and the page.
    for (let n = 0; n < 3; n++) await page.keyboard.press('Tab');
    await page.keyboard.press('A'); // Autumn weekend
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space'); // Golf fans
    for (let n = 0; n < 4; n++) await page.keyboard.press('Tab');
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    await page.keyboard.press('Enter');
    await sees(page, 'Autumn weekend, for Golf fans');
  });

  it.each(['light', 'dark'] as const)('fit a phone, in %s mode', async (colorScheme) => {
    const { page } = await enter({ ...PHONE, colorScheme });
    await page.goto('/preview');
    expect(await width(page)).toBe(390);
    await page.getByLabel('Golf fans').check();
    await page.getByLabel('High value').check();
    await page.getByRole('button', { name: 'Make the link' }).click();
    await page.getByLabel('Copy this link').waitFor();
    expect(await width(page)).toBe(390);
    await follow(page, 'Open the preview');
    await badge(page).waitFor();
    expect(await width(page)).toBe(390);
    // At the end of the page the badge covers nothing.
    await page.evaluate('window.scrollTo(0, document.body.scrollHeight)');
    const [last, shown] = await Promise.all([page.getByText('Calls so far').boundingBox(), badge(page).boundingBox()]);
    expect((last?.y ?? 0) + (last?.height ?? 0)).toBeLessThan(shown?.y ?? 0);
  });
});

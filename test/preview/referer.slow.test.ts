import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Chromium, describeInBrowser, startChromium } from '../example-app/chromium';
import { closeSites } from '../helpers/site';
import { previewSite, tokenIn } from './preview-site';

jest.setTimeout(60_000);

describeInBrowser('the token of a preview, in a browser', () => {
  let browser: Chromium;
  let elsewhere: Server;
  /** The Referer of the last request for each path of the other host. */
  const referers = new Map<string | undefined, string | undefined>();

  beforeAll(async () => {
    browser = await startChromium();
    elsewhere = createServer((req, res) => {
      referers.set(req.url, req.headers.referer);
      res.setHeader('Cache-Control', 'no-store');
      res.setHeader('Content-Type', req.url === '/picture' ? 'image/svg+xml' : 'text/html');
      res.end('<svg xmlns="http://www.w3.org/2000/svg"/>');
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
  });
  afterEach(async () => {
    await browser.leave();
    await closeSites();
  });
  afterAll(async () => {
    await browser.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
  });

  it('is in no Referer, to whatever host, under the loosest policy', async () => {
    // Another host for the browser.
    const external = `http://localhost:${(elsewhere.address() as AddressInfo).port}`;
    const { app, aam } = await previewSite({}, (each) =>
      each.get('/', (req, res) => {
        res
          .set('Referrer-Policy', 'unsafe-url')
          .send(
            `<p>${req.aamSegments.status}</p><img src="${external}/picture" alt=""><a href="${external}/page">elsewhere</a>`,
          );
      }),
    );
    const page = await browser.enter(app);
    const origin = new URL(page.url()).origin;
    const link = aam.previewUrl(`${origin}/?x=1`, { segments: ['golfFans'] });
    const visit = async (url: string) => {
      referers.clear();
      await page.goto(url);
      const status = await page.locator('p').innerText();
      await page.getByRole('link', { name: 'elsewhere' }).click();
      await page.waitForURL(`${external}/page`);
      return { status, picture: referers.get('/picture'), page: referers.get('/page') };
    };
    const clean = `${origin}/?x=1`;
    expect(await visit(link)).toEqual({ status: 'preview', picture: clean, page: clean });
    // What the host would see otherwise: the URL of a token that is none.
    await page.context().clearCookies();
    const forged = link.replace(tokenIn(link), tokenIn(link).slice(0, -1));
    expect(await visit(forged)).toEqual({ status: 'anonymous', picture: forged, page: forged });
  });
});

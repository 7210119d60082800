import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeInBrowser, startChromium } from '../example-app/chromium';
import { closeSites } from '../helpers/site';
import { previewSite, tokenIn } from './preview-site';

jest.setTimeout(60_000);

describeInBrowser('the token of a preview, in a browser', () => {
  it('is in no Referer, to whatever host, under the loosest policy', async () => {
    const referers: (string | undefined)[] = [];
    const elsewhere = createServer((req, res) => {
      referers.push(`${req.url} ${req.headers.referer}`);
      res
        .setHeader('Content-Type', req.url === '/picture' ? 'image/svg+xml' : 'text/html')
        .end('<svg xmlns="http://www.w3.org/2000/svg"/>');
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
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
    const browser = await startChromium();
    const page = await browser.enter(app);
    const origin = new URL(page.url()).origin;
    const link = aam.previewUrl(`${origin}/?x=1`, { segments: ['golfFans'] });
    const visit = async (url: string) => {
      referers.length = 0;
      await page.goto(url);
      const status = await page.locator('p').innerText();
      await page.getByRole('link', { name: 'elsewhere' }).click();
      await page.waitForURL(`${external}/page`);
      return { status, url, referers: [...referers] };
    };
    expect(await visit(link)).toEqual({
      status: 'preview',
      url: link,
      referers: [`/picture ${origin}/?x=1`, `/page ${origin}/?x=1`],
    });
    // What the host would record: the URL of a token that is none.
    await page.context().clearCookies();
    const forged = link.replace(tokenIn(link), tokenIn(link).slice(0, -1));
    const seen = await visit(forged);
    expect([seen.status, seen.referers[1]]).toEqual(['anonymous', `/page ${forged}`]);
    await browser.leave();
    await browser.close();
    elsewhere.close();
    await closeSites();
  });
});

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import { aamBootstrap } from 'express-aam-segments';
import fc from 'fast-check';
import { dataScript } from '../../src/bootstrap/script-element';
import { type Chromium, describeInBrowser, startChromium } from '../example-app/chromium';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';
import { anyData } from './strings';

jest.setTimeout(60_000);

const docs = readFileSync(join(__dirname, '..', '..', 'docs', 'bootstrap.md'), 'utf8');
const [, ofTheDocs] = /^```js\n(.*?)^```$/ms.exec(docs) as unknown as [string, string];

/** Scripts run only with the nonce of the response; nothing else is loaded from anywhere. */
function strictly(res: express.Response): string {
  const nonce = randomBytes(16).toString('base64');
  res.set(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`,
  );
  return nonce;
}

/** The site's icon, which browsers ask for by themselves. */
const icon: express.RequestHandler = (_req, res) => void res.status(204).end();

describeInBrowser('the bootstrap in a browser with a strict Content Security Policy', () => {
  let browser: Chromium;

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());
  afterEach(closeSites);

  /**
   * Visits pages that have a bootstrap and a paragraph for each of their data. Resolves to what each page's own script has read,
   * with the number of all elements, of scripts, and the text of all paragraphs, and to what the browser complained about.
   */
  async function visited(pages: readonly (readonly unknown[])[], elementOf: typeof dataScript) {
    const app = express();
    app.get('/favicon.ico', icon);
    app.get('/', (_req, res) => void res.send('<title>x</title>'));
    app.get('/:n', (req, res) => {
      const nonce = strictly(res);
      const all = pages[Number(req.params.n)] as unknown[];
      // Every other one without a nonce.
      const elements = all.map((data, n) => `${elementOf(`x${n}`, data, n % 2 === 0 ? nonce : undefined)}<p>after</p>`);
      const reader = `for (let n = 0; n < ${all.length}; n++) read[n] = JSON.parse(document.getElementById('x' + n).textContent)`;
      res.send(`<title>x</title><body>${elements.join('')}<script nonce="${nonce}">read = [];${reader}</script>`);
    });
    const page = await browser.enter(app);
    const read: unknown[] = [];
    for (const n of pages.keys()) {
      await page.goto(`/${n}`, { waitUntil: 'domcontentloaded' });
      const text = "[...document.querySelectorAll('p')].map((p) => p.textContent).join()";
      const counts = "document.querySelectorAll('*').length, document.scripts.length";
      read.push(await page.evaluate(`[JSON.stringify(read), ${counts}, ${text}]`));
    }
    return { read, complaints: await browser.leave() };
  }

  it('stays inside its script, is read as it was, and breaks no rule of the policy', async () => {
    const pages = Array.from({ length: 20 }, (_, seed) => fc.sample(anyData, { numRuns: 10, seed }));
    const { read, complaints } = await visited(pages, dataScript);
    // html, head, title, body, and its script; after that a script and a paragraph for each.
    const after = Array.from({ length: 10 }, () => 'after').join();
    expect(read).toEqual(pages.map((all) => [JSON.stringify(all), 25, 11, after]));
    expect(complaints).toEqual([]);
  });

  it('would be seen to leave it, if it were not escaped', async () => {
    const { read, complaints } = await visited(
      [['</script><p>out</p>'], ['</script><script>read = 1</script>']],
      (id, data) => {
        return `<script type="application/json" id="${id}">${JSON.stringify(data)}</script>`;
      },
    );
    expect(read).toEqual([
      ['[]', 8, 2, 'out,after'],
      ['[]', 8, 3, 'after'],
    ]);
    expect(complaints.some((text) => text.includes('Content Security Policy'))).toBe(true);
  });

  it('is read by the script of the docs', async () => {
    const { app, aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const hero = aam.experiment({ name: 'autumn-hero', variants: { control: 0, links: 1 } });
    app.get('/favicon.ico', icon);
    app.get('/page', (req, res) => {
      const nonce = strictly(res);
      const bootstrap = aamBootstrap(req, { only: ['golfFans'], variants: [hero], nonce });
      res.send(`<title>x</title><body>${bootstrap}<script nonce="${nonce}">dataLayer = [];\n${ofTheDocs}</script>`);
    });
    const page = await browser.enter(app);
    await page.setExtraHTTPHeaders({ cookie: cookieOf(ECID) });
    await page.goto('/page');
    expect(await page.evaluate('[document.body.className, dataLayer]')).toEqual([
      'golf',
      [{ event: 'experiment', variant: 'links' }],
    ]);
    expect(await browser.leave()).toEqual([]);
  });
});

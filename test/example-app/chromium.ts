import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';

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
/** The User-Agent of a Chromium with a window, since a headless one counts as a bot. */
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36';

const isSkipped = !process.env.CI && !existsSync(CHROMIUM);
if (isSkipped) console.warn(`${CHROMIUM} is missing: the shop is not tried in a browser`);
export const describeInBrowser = isSkipped ? describe.skip : describe;

export interface Chromium {
  /** Opens the shop in a new browser context. */
  enter(app: RequestListener, options?: BrowserContextOptions): Promise<Page>;
  /** Closes all pages. Resolves to the problems that they reported. */
  leave(): Promise<string[]>;
  close(): Promise<void>;
}

export async function startChromium(flags: readonly string[] = []): Promise<Chromium> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...flags] });
  const servers: Server[] = [];
  const complaints: string[] = [];
  return {
    async enter(app, options) {
      const server = createServer(app).listen(0, '127.0.0.1');
      servers.push(server);
      await once(server, 'listening');
      const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const context = await browser.newContext({ baseURL, userAgent: USER_AGENT, ...options });
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        // Chromium reports every page with status 403, which the members' page has on purpose.
        const isRefusal = message.text().includes('status of 403') && message.location().url === `${baseURL}/members`;
        if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
      });
      await page.goto('/');
      return page;
    },
    async leave() {
      for (const context of browser.contexts()) await context.close();
      for (const server of servers.splice(0)) server.close();
      return complaints.splice(0);
    },
    close: () => browser.close(),
  };
}

export const follow = (page: Page, link: string) => page.getByRole('link', { name: link, exact: true }).click();
export const sees = (page: Page, text: string | RegExp) => page.getByText(text).waitFor();
export const seesTitle = (page: Page, name: string) =>
  page.getByRole('heading', { level: 1, name, exact: true }).waitFor();

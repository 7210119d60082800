/** A site for the tests of flow control: many visitors at once, who view pages, do things, refuse and come back. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { advanceableClock, cookieOf, createSite, type Site } from '../../helpers/site';

/** The id of the nth visitor. */
export const ecidOf = (n: number) => `5${String(n).padStart(37, '0')}`;

/** The headers of a visitor who refuses. */
export const REFUSING = { 'sec-gpc': '1' };

/** How an event ended: the status of the segments, or the code of the error. */
export type EventEnd = string;

/** Lets time pass for the middleware, its timers included, until jest.restoreAllMocks() and jest.useRealTimers(). */
export function passableTime(): { pass(ms: number): void } {
  const clock = advanceableClock();
  const others = [
    'Date',
    'hrtime',
    'nextTick',
    'performance',
    'queueMicrotask',
    'setImmediate',
    'setInterval',
  ] as const;
  jest.useFakeTimers({ advanceTimers: true, doNotFake: [...others, 'clearImmediate', 'clearInterval'] });
  return {
    pass(ms) {
      clock.advance(ms);
      jest.advanceTimersByTime(ms);
    },
  };
}

interface Page {
  readonly status: string;
  readonly reason?: string;
  readonly names: readonly string[];
}

export interface FlowSite extends Omit<Site, 'view'> {
  /** The nth visitor's view of a page. @param region `null` for none in the cookie */
  view(n: number, headers?: Record<string, string>, region?: number | null): Promise<Page>;
  /** The nth visitor's request to a route of the test. */
  get(n: number, path: string): Promise<unknown>;
  /** The nth visitor does something: tells Adobe this. Resolves with the page, which does not wait for that. */
  tell(n: number, what: string, headers?: Record<string, string>, region?: number | null): Promise<Page>;
  /** How all events ended so far, by what was told; waits for all of them. */
  ends(): Promise<Record<string, EventEnd>>;
  /** What was told about the nth visitor, in the order in which the DCS received it. */
  told(n: number): readonly string[];
  /** Resolves when no call runs or waits. */
  settled(): Promise<void>;
}

const open: (() => Promise<unknown>)[] = [];

/** Closed by {@link closeFlowSites}, the site underneath by `closeSites()`. */
export async function createFlowSite(options?: Parameters<typeof createSite>[0]): Promise<FlowSite> {
  const { view: _, ...site } = await createSite(options);
  const events = new Map<string, Promise<EventEnd>>();
  site.app.get('/tell/:what', (req, res) => {
    const { what } = req.params;
    const sent = site.aam.sendEvent(req, { c_what: what });
    events.set(
      what,
      sent.then(
        ({ status }) => status,
        ({ code }) => code,
      ),
    );
    const { status, reason, names } = req.aamSegments;
    res.json({ status, reason, names });
  });
  const server = site.app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const agent = new Agent({ connections: 2_000, pipelining: 1 });
  open.push(async () => {
    await agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const page = async (path: string, n: number, headers: Record<string, string>, region: number | null) => {
    const response = await agent.request({
      origin,
      path,
      method: 'GET',
      headers: { cookie: cookieOf(ecidOf(n), region), ...headers },
      headersTimeout: 0,
    });
    return (await response.body.json()) as Page;
  };
  return {
    ...site,
    get: (n, path) => page(path, n, {}, 9),
    view: (n, headers = {}, region = 9) => page('/', n, headers, region),
    tell: (n, what, headers = {}, region = 9) => page(`/tell/${what}`, n, headers, region),
    ends: async () => {
      const ends = [...events].map(async ([what, end]) => [what, await end] as const);
      return Object.fromEntries(await Promise.all(ends));
    },
    told: (n) => site.simulator.requestsOf(ecidOf(n)).flatMap(({ params }) => (params.c_what ?? []) as string),
    async settled() {
      while (site.aam.stats().inFlight > 0) await new Promise(setImmediate);
    },
  };
}

export async function closeFlowSites(): Promise<void> {
  for (const close of open.splice(0)) await close();
}

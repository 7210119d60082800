/** The shop behind a shared cache that keeps all it may: nobody gets a page that was made for somebody else. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { LastWord } from '../../src/request/last-word';
import { closeShops, openLiveShop } from '../example-app/open-shop';
import { GOLF, HIGH_VALUE, ORG } from '../helpers/site';
import { describeBehindNginx, type Nginx, startNginx } from './nginx';

jest.setTimeout(120_000);
beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const close of closing.splice(0)) await close();
  await closeShops();
});

const VISITS = 2_000;
const AT_A_TIME = 8;
/** By segment: what the pages say. */
const PLAIN = { '/': 'Good things for days outside', '/landing': 'Join the club', '/members': 'Not yet, but soon' };
const GOLFER = { '/': 'Play the back nine', '/landing': 'Thirty-six holes', '/members': 'Not yet, but soon' };
const VIP = { '/': 'The Reserve is open', '/landing': 'Claim your upgrade', '/members': 'Good to have you back' };
const KINDS = [
  { segments: [], pages: PLAIN },
  { segments: [GOLF], pages: GOLFER },
  { segments: [HIGH_VALUE], pages: VIP },
];
/** A page that is the same for all, beside the shop. */
const SHARED = '/opening-hours';
const PATHS = ['/', '/landing', '/members', SHARED] as const;

interface Visitor {
  readonly cookie: string;
  readonly pages: Readonly<Record<string, string>>;
}

async function open(): Promise<{ readonly nginx: Nginx; readonly visitors: readonly Visitor[] }> {
  const { app, simulator } = await openLiveShop(ORG);
  const visitors = Array.from({ length: 60 }, (_, n): Visitor => {
    const ecid = String(10n ** 37n + BigInt(n));
    const { segments, pages } = KINDS[n % KINDS.length] as (typeof KINDS)[number];
    simulator.visitor(ecid).in(...segments);
    return { cookie: `AMCV_${encodeURIComponent(ORG)}=MCMID%7C${ecid}%7CMCAAMLH-1796038911%7C9`, pages };
  });
  // And somebody without cookies.
  visitors.push({ cookie: '', pages: PLAIN });
  const site = express();
  site.get(SHARED, (_req, res) => void res.set('Cache-Control', 'max-age=600').send('From nine to five'));
  site.use(app);
  const server = createServer(site).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const nginx = await startNginx((server.address() as AddressInfo).port);
  closing.push(
    () => nginx.stop(),
    () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  );
  return { nginx, visitors };
}

/** Visits at random, the same in every run. How many got another page than theirs, and what the cache served. */
async function visitAll(): Promise<{ wrong: number; kept: Record<string, number> }> {
  const { nginx, visitors } = await open();
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  const kept: Record<string, number> = {};
  let wrong = 0;
  let left = VISITS;
  const browser = async () => {
    while (left-- > 0) {
      const { cookie, pages } = visitors[random(visitors.length)] as Visitor;
      const path = PATHS[random(PATHS.length)] as string;
      const { text, cache } = await nginx.get(path, cookie);
      if (cache === 'HIT') kept[path] = (kept[path] ?? 0) + 1;
      const expected = pages[path];
      if (expected !== undefined && !text.includes(expected)) wrong++;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, browser));
  return { wrong, kept };
}

describeBehindNginx('behind nginx', () => {
  it('nobody gets the page of another visitor, and what is nobody’s is kept', async () => {
    const { wrong, kept } = await visitAll();
    expect([wrong, Object.keys(kept)]).toEqual([0, [SHARED]]);
    expect(kept[SHARED]).toBeGreaterThan(VISITS / 10);
  });

  it('without the marking, visitors get the pages of others: the test would notice', async () => {
    jest.spyOn(LastWord.prototype, 'haveOn').mockImplementation(() => {});
    const { wrong, kept } = await visitAll();
    expect(wrong).toBeGreaterThan(VISITS / 10);
    expect(kept['/']).toBeGreaterThan(VISITS / 10);
  });
});

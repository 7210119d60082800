import apicache from 'apicache';
import compression from 'compression';
import type { VisitorSegments } from 'express-aam-segments';
import cacheController from 'express-cache-controller';
import session from 'express-session';
import helmet from 'helmet';
import { closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';
import { INTERFERENCES, type Interference, WAYS, type Way } from './response-table';
import {
  BARE_EXPRESS,
  closeServed,
  type Handler,
  HTTP1,
  HTTP2,
  isApplicable,
  type Sent,
  type Served,
  serve,
  WITH_EXPRESS,
} from './served-site';

beforeEach(() => void jest.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServed();
  await closeSites();
});

/** Those of packages that many sites mount. */
const PACKAGES: readonly Interference[] = [
  { name: 'express-cache-controller', before: cacheController({ public: true, maxAge: 600, sMaxAge: 600 }) as Handler },
  { name: 'compression', before: compression({ threshold: 0 }) as unknown as Handler },
  { name: 'helmet', before: helmet() as Handler },
  {
    name: 'express-session',
    before: session({ secret: 'x', resave: true, saveUninitialized: true, genid: () => 'same' }) as unknown as Handler,
  },
  { name: 'apicache', before: apicache.newInstance({}).middleware('1 minute') as unknown as Handler },
];

/** A site on which segments are read if the query says so, and where a visitor is known. */
async function readingSite(server: string, interference: Interference): Promise<Served> {
  const { aam, simulator } = await createSite();
  simulator.visitor(ECID).in(GOLF);
  const site = await serve(server, interference, aam as Handler, (req) => {
    if (req.url?.includes('read=true')) (req as { aamSegments?: VisitorSegments }).aamSegments?.has(GOLF);
  });
  return { get: (path, way) => site.get(path, way, cookieOf(ECID)) };
}

/** Those by which caches decide, and those that change by themselves. */
const OURS =
  /^(?:cache-control|expires|surrogate-control|[\w-]*cdn-cache-control|edge-control|x-accel-expires|x-litespeed-cache-control):/i;
const BY_CHANCE = /^(?:date|age|apicache-\w+):/i;

const others = ({ head }: Sent) => head.filter((line) => !OURS.test(line) && !BY_CHANCE.test(line));
const ours = ({ head }: Sent) => head.filter((line) => OURS.test(line)).map((line) => line.toLowerCase());

/** What shared caches make of it. */
function isPrivate(sent: Sent): boolean {
  const policy = ours(sent).join('\n');
  const lets =
    /public|s-maxage|surrogate-control|cdn-cache-control|edge-control|x-accel|litespeed|expires: fri, 01 jan 2100/;
  return /^cache-control: .*(?:private|no-store)/m.test(policy) && !lets.test(policy);
}

/**
 * Where no header was set, and a wrapper that was there before hands on the arguments, repeated names come together in one place
 * and one spelling: it cannot be known what the wrapper will make of them.
 */
const gathered = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())).sort();

describe.each([WITH_EXPRESS, BARE_EXPRESS, HTTP1, HTTP2])(
  '%s: a response leaves as private where segments are read, and all else as it would have',
  (server) => {
    const interferences = server === WITH_EXPRESS ? [...INTERFERENCES, ...PACKAGES] : INTERFERENCES;

    it.each(interferences)('with $name', async (interference) => {
      const site = await readingSite(server, interference);
      const wrong: unknown[] = [];
      let cells = 0;
      for (const [n, way] of WAYS.entries()) {
        if (!isApplicable(server, way)) continue;
        cells++;
        const unread = await site.get(`/${n}?read=false&${server}`.replaceAll(' ', ''), way);
        const read = await site.get(`/${n}?read=true&${server}`.replaceAll(' ', ''), way);
        const isGathered =
          /changes the arguments|hands on|Node itself/.test(interference.name) &&
          (server === BARE_EXPRESS || server === HTTP1);
        const same = isGathered ? gathered : (lines: readonly string[]) => [...lines];
        const isSame = JSON.stringify(same(others(read))) === JSON.stringify(same(others(unread)));
        if (!isSame || !isPrivate(read) || read.body !== unread.body) {
          wrong.push({ way: way.name, unread: unread.head, read: read.head, isBodySame: read.body === unread.body });
        }
      }
      expect(wrong).toEqual([]);
      expect(cells).toBeGreaterThan(15);
    });
  },
);

it('leaves everything as it is where nobody reads', async () => {
  const site = await readingSite(WITH_EXPRESS, { name: 'nothing else' });
  const sent = await site.get(
    `/${WAYS.findIndex(({ name }) => name === 'headers of CDNs')}?read=false`,
    WAYS[0] as Way,
  );
  expect(ours(sent)).toEqual([
    'surrogate-control: max-age=600',
    'cdn-cache-control: max-age=600',
    'cloudflare-cdn-cache-control: max-age=600',
    'edge-control: max-age=600',
    'x-accel-expires: 600',
    'x-litespeed-cache-control: public,max-age=600',
    'expires: fri, 01 jan 2100 00:00:00 gmt',
  ]);
});

/** What docs/guarantees.md promises: the same words and limits, which a test compares. */
export interface Promised {
  readonly what: string;
  readonly bound: 'at most' | 'at least';
  readonly limit: number;
  readonly unit: string;
  /** The major version of Node that it is promised for; any, if not given. */
  readonly node?: number;
  /** A target that is not reached yet. */
  readonly wanted?: number;
}

const atMost = (limit: number, unit: string, what: string): Promised => ({ what, bound: 'at most', limit, unit });
const atLeast = (limit: number, unit: string, what: string): Promised => ({ what, bound: 'at least', limit, unit });

const onNode24 = (limit: number, wanted: number, what: string): Promised => ({
  ...atMost(limit, 'times', what),
  node: 24,
  wanted,
});

const SILENT = 'a DCS that accepts calls and never answers, `maxWaitMs: 150`';
const CACHED = 'a cached visitor';
const BLACK_HOLE = 'a region is black-holed and its breaker open: CPU time of the page view';
const BULK = '`aam-segments bulk`, against a bare undici pool that makes the same calls';

export const PROMISES = {
  silentPages: atLeast(100, 'pages', `${SILENT}: pages served, of 100`),
  silentSlowest: atMost(175, 'ms', 'the same: the slowest page'),
  coldCalls: atMost(1, 'call', '200 simultaneous requests of one new visitor: calls to the DCS'),
  coldPages: atLeast(200, 'pages', 'the same: pages with their segments'),
  warmHit: onNode24(
    1.35,
    1,
    `${CACHED}: time in the middleware with its default checks, against \`cookie.parse\` of the same header`,
  ),
  warmRead: onNode24(
    1.6,
    1.15,
    `${CACHED}: CPU time of a bare page view that reads a segment, against a middleware that does nothing`,
  ),
  warmUnread: onNode24(1.4, 1.1, 'the same where nobody reads segments'),
  fleetHit: atMost(
    1.05,
    'times',
    `${CACHED} with \`cache.shared\`: time in the middleware, against \`cache.keySecret\` alone`,
  ),
  blackHoleUnknown: atMost(1.2, 'times', `${BLACK_HOLE} of a new visitor, against that of a cached visitor`),
  blackHoleStale: atMost(1.2, 'times', 'the same for a visitor whose cached answer is past its ttl'),
  recovery: atMost(2_000, 'ms', 'the region recovers: time from the call that probes it to fresh answers'),
  memory: {
    ...atMost(300, 'bytes', `${CACHED} with 20 segments, seen twice: memory, in a cache of 60 000`),
    wanted: 240,
  },
  memoryOfMany: { ...atMost(300, 'bytes', 'the same in a cache of 1 000 000'), wanted: 240 },
  churn: {
    ...atMost(
      300,
      'ms',
      'newcomers push visitors out of a cache of 1 000 000: p99.9 of the page view, above that with a cache of 1 000',
    ),
    wanted: 20,
  },
  hostile: atMost(1, 'ms', 'hostile consent strings and Cookie headers of 4, 16 and 64 KB: the slowest to read'),
  variant: atMost(3, 'µs', `${CACHED}: time of \`variantOf()\`, with two variants, on a page that reads a segment`),
  firstVariant: {
    ...atMost(6, 'µs', 'the same where nothing has read a segment, so that the response is made private as well'),
    node: 24,
    wanted: 3,
  },
  unusedExperiments: {
    ...atMost(1.1, 'times', 'the middleware with ten experiments that no page uses, against without'),
    node: 24,
  },
  exposedUnits: atMost(100, 'bytes', 'an exposed unit, of the 100 000 that each experiment remembers: memory'),
  call: atMost(1.5, 'times', 'CPU time of one call to the DCS, against a bare undici pool that makes the same call'),
  fewWaiting: atMost(1.1, 'times', 'the same with 64 visitors waiting for a connection, against 1'),
  manyWaiting: { ...atMost(1.6, 'times', 'the same with 5 000 visitors waiting'), wanted: 1.1 },
  bulk: atLeast(0.8, 'times', `${BULK}: throughput with a DCS that takes 20 ms`),
  bulkImmediate: atLeast(0.8, 'times', 'the same with a DCS on the same machine that answers at once'),
  bulkMemory: atMost(60, 'MB', 'the same: growth of its memory after the first 5 000 rows'),
  failedPages: atMost(0, 'pages', 'the scenarios of [comparison.md](comparison.md): pages with an error'),
  overlaps: atMost(0, 'calls', 'the same: calls about a visitor while another one about them is in flight'),
} satisfies Record<string, Promised>;

export function isKept({ bound, limit }: Promised, figure: number): boolean {
  return bound === 'at most' ? figure <= limit : figure >= limit;
}

/** Prints a figure beside its promise. If it misses the promise, the process will exit with 1. */
export function report(promise: Promised, figure: number): void {
  const { what, bound, limit, unit, node, wanted } = promise;
  const isPromisedHere = node === undefined || process.versions.node.startsWith(`${node}.`);
  const kept = isKept(promise, figure);
  if (isPromisedHere && !kept) process.exitCode = 1;
  const verdict = isPromisedHere ? (kept ? 'ok    ' : 'MISSED') : `Node ${node} only:`;
  const aim = wanted === undefined ? '' : `; wanted: ${wanted}`;
  console.log(`${verdict} ${Number(figure.toPrecision(4))}, ${bound} ${limit} ${unit}${aim}: ${what}`);
}

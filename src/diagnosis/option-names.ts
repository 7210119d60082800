/**
 * Owns: the names of all options, by the function that takes them and by group. It knows which option is meant by a name that is
 * wrong, or right in another place. Next: ../option-checks.ts, which checks options by these names.
 */
import { distance } from 'fastest-levenshtein';

/** Names of options. An option that is a group has those of the group; `*` is any key of a group that the site names. */
export interface OptionNames {
  readonly [name: string]: true | OptionNames;
}

const DCS_CLIENT = {
  orgId: true,
  partner: true,
  segments: true,
  destinations: { '*': { keys: true, keySeparator: true, pairSeparator: true, serialSeparator: true } },
  dcs: {
    timeoutMs: true,
    origins: true,
    defaultOrigin: true,
    segmentIds: true,
    method: true,
    connections: true,
    maxQueuedCalls: true,
    maxQueuedEvents: true,
    breaker: { minCalls: true, windowMs: true, failurePercent: true, probeAfterMs: true },
    failover: true,
    failureCooldownMs: true,
    maxCallsPerMinute: true,
    dispatcher: true,
  },
} as const;

/** By function: those that are called most often first, since they are more likely meant. */
export const OPTIONS = {
  'lookup()': { maxWaitMs: true, signal: true, tcString: true, req: true },
  'lookupMany()': { concurrency: true, ratePerSecond: true, signal: true },
  'sendEvent()': { refresh: true },
  'aamSegments()': {
    ...DCS_CLIENT,
    maxWaitMs: true,
    skip: true,
    excludeBots: true,
    signals: true,
    identity: { sEcid: true, adobeMc: true, uuidCookie: true, resolve: true, customerIds: true },
    consent: { required: true, gpc: true, tcfCookie: true, tcf: true, gpp: true, usPrivacy: true, given: true },
    privacy: { varyCookie: true },
    cache: {
      maxVisitors: true,
      maxBytes: true,
      ttlMs: true,
      staleWhileRevalidateMs: true,
      staleIfErrorMs: true,
      emptyTtlMs: true,
      keySecret: true,
      shared: true,
    },
    experiments: { onExposure: true, stickyCookie: { secret: true, name: true, maxAgeMs: true } },
    preview: { secret: true },
  },
  'createDcsClient()': { ...DCS_CLIENT, cache: { shared: true, keySecret: true, ttlMs: true } },
  'requireSegment()': { match: true, otherwise: true, preview: true },
  'experiment()': {
    name: true,
    variants: true,
    audience: { any: true, all: true },
    salt: true,
    unit: true,
    holdout: { name: true, percent: true },
  },
  'aamBootstrap()': { only: true, variants: true, nonce: true },
  'redisStore()': { prefix: true, timeoutMs: true },
  'previewUrl()': { segments: true, variants: true, expiresInMs: true },
} as const satisfies Readonly<Record<string, OptionNames>>;

/** A function that takes options. */
export type OptionTaker = keyof typeof OPTIONS;

/** As far as a name may be from one in another group to be taken for it. */
const MAX_DISTANCE_ELSEWHERE = 2;

interface Place {
  readonly taker: OptionTaker;
  readonly name: string;
  /** `dcs.timeoutMs` */
  readonly path: string;
}

/**
 * What a name that is no option here may mean: the same name in another group or function, else the most similar one.
 * @param names those that are options here
 * @param taker the function; `undefined` if its options are not in {@link OPTIONS}
 * @returns such as `'dcs.timeoutMs'` or `'maxWaitMs' of lookup()`
 */
export function optionMeantBy(wrong: string, names: readonly string[], taker: OptionTaker | undefined): string {
  const own = taker === undefined ? [] : placesIn(taker, OPTIONS[taker]);
  const moved = own.filter(({ name }) => name === wrong);
  if (moved.length > 0) return moved.map(({ path }) => `'${path}'`).join(' or ');
  const others = (Object.keys(OPTIONS) as OptionTaker[]).filter((each) => each !== taker);
  const foreign = others.flatMap((each) => placesIn(each, OPTIONS[each])).filter(({ name }) => name === wrong);
  if (foreign.length > 0) return foreign.map((place) => `'${place.path}' of ${place.taker}`).join(' or ');
  const nearest = closest(wrong, names, (name) => name) ?? '';
  const elsewhere = closest(wrong, own, ({ name }) => name);
  const isElsewhere =
    elsewhere !== undefined &&
    distance(wrong, elsewhere.name) <= MAX_DISTANCE_ELSEWHERE &&
    distance(wrong, elsewhere.name) < distance(wrong, nearest);
  return `'${isElsewhere ? elsewhere.path : nearest}'`;
}

function placesIn(taker: OptionTaker, names: OptionNames, path = ''): Place[] {
  return Object.entries(names).flatMap(([name, inside]) => {
    const here = path + (name === '*' ? '<name>' : name);
    const within = inside === true ? [] : placesIn(taker, inside, `${here}.`);
    return name === '*' ? within : [{ taker, name, path: here }, ...within];
  });
}

function closest<T>(wrong: string, all: readonly T[], nameOf: (each: T) => string): T | undefined {
  let found: T | undefined;
  for (const each of all) {
    if (found === undefined || distance(wrong, nameOf(each)) < distance(wrong, nameOf(found))) found = each;
  }
  return found;
}

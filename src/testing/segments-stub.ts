/**
 * Owns: a stub of `req.aamSegments` for unit tests of handlers. It is the real class with made-up content, so that it does in a
 * test what it does on a site; the simulator beside it shares nothing with the package.
 */
import type { RegisteredName } from '../express';
import type { Visitor } from '../identity/visitor';
import { ResponsePrivacy } from '../request/response-privacy';
import { NO_ANSWER, packAnswer, unpackAnswer } from '../segments/packed-answer';
import { canonicalId, type SegmentId, SegmentNames, type Wanted, wantedById } from '../segments/segment-refs';
import { recordOf } from '../segments/segment-set';
import type { SegmentStatus, ServedAnswer } from '../segments/served-answer';
import { VisitorSegments } from '../segments/visitor-segments';

type ReasonFor<Status extends SegmentStatus> = Extract<ServedAnswer, { readonly status: Status }>['reason'];

/** What the visitor of a stub is in. */
export interface StubbedSegments {
  /** Names of the segments that the visitor is in. Each gets an id, which `ids` and `size` show. */
  readonly names?: readonly RegisteredName[] | undefined;
  /** Ids of segments that the visitor is in besides. */
  readonly ids?: readonly (number | `${number}`)[] | undefined;
  /** Values of cookie destinations, for `has({ value })`. */
  readonly values?: readonly string[] | undefined;
  /** Cookie destinations, name to raw value. */
  readonly destinations?: Readonly<Record<string, string>> | undefined;
  /** @default 0 for `fresh`, 1 000 for `cached` and 120 000 for `stale` */
  readonly ageMs?: number | undefined;
  /** The region of the data centre that answered. @default none */
  readonly region?: number | undefined;
  /** The DCS's id of the call. @default none */
  readonly transactionId?: string | undefined;
}

/** What a stub shows: segments with a status that has some, or another status without any. */
export type SegmentsStubOptions = {
  /** The visitor with their ids. @default a visitor without any */
  readonly visitor?: Visitor | undefined;
} & (
  | (StubbedSegments & { readonly status?: 'fresh' | 'cached' | 'preview' | undefined; readonly reason?: undefined })
  | (StubbedSegments & {
      readonly status: 'stale';
      /** @default 'revalidating' */
      readonly reason?: ReasonFor<'stale'> | undefined;
    })
  | {
      readonly status: 'unknown';
      /** @default 'pending' */
      readonly reason?: ReasonFor<'unknown'> | undefined;
    }
  | {
      readonly status: 'anonymous';
      /** @default 'no-id' */
      readonly reason?: ReasonFor<'anonymous'> | undefined;
    }
  | {
      readonly status: 'excluded';
      /** @default 'no-consent' */
      readonly reason?: ReasonFor<'excluded'> | undefined;
    }
);

/** A status with its default reason and age. */
const STATUSES: Readonly<
  Record<SegmentStatus, Pick<ServedAnswer, 'reason' | 'ageMs'> & { readonly isKnown: boolean }>
> = {
  fresh: { reason: undefined, ageMs: 0, isKnown: true },
  cached: { reason: undefined, ageMs: 1_000, isKnown: true },
  stale: { reason: 'revalidating', ageMs: 120_000, isKnown: true },
  preview: { reason: undefined, ageMs: undefined, isKnown: true },
  unknown: { reason: 'pending', ageMs: undefined, isKnown: false },
  anonymous: { reason: 'no-id', ageMs: undefined, isKnown: false },
  excluded: { reason: 'no-consent', ageMs: undefined, isKnown: false },
};

/** Far from the ids that Audience Manager gives. */
const FIRST_ID = 900_000_000_001;

/**
 * `req.aamSegments` for a unit test: a real `VisitorSegments` with made-up content, without a request or a DCS. A name that it
 * was not given is a segment that the visitor is not in.
 * @throws TypeError for a status that does not exist, for segments with a status that has none, and for invalid ids
 *
 * @example
 * const req = { aamSegments: segmentsStub({ names: ['golfFans'] }) };
 * const slow = { aamSegments: segmentsStub({ status: 'unknown', reason: 'timeout' }) };
 */
export function segmentsStub(options: SegmentsStubOptions = {}): VisitorSegments<RegisteredName> {
  const { status = 'cached', visitor = {} } = options;
  const defaults = Object.hasOwn(STATUSES, status) ? STATUSES[status] : undefined;
  if (defaults === undefined) throw new TypeError(`segmentsStub(): ${JSON.stringify(status)} is not a status`);
  const { names = [], ids = [], values, destinations, ageMs, region, transactionId } = options as StubbedSegments;
  if (
    !defaults.isKnown &&
    [names, ids, values ?? [], Object.keys(destinations ?? {})].some(({ length }) => length > 0)
  ) {
    throw new TypeError(`segmentsStub(): a visitor whose status is '${status}' has no segments`);
  }
  if (transactionId !== undefined && !/^[\w+/=-]{1,64}$/.test(transactionId)) {
    throw new TypeError('segmentsStub(): transactionId must be up to 64 characters of base64');
  }
  const idOfName = new Map(names.map((name, n) => [name as string, String(FIRST_ID + n)]));
  const answer = packAnswer({
    ...unpackAnswer(NO_ANSWER),
    ids: [...new Set([...idOfName.values(), ...ids.map(checkedId)])],
    values,
    destinations: destinations === undefined ? undefined : recordOf(Object.entries(destinations)),
    region,
    transactionId,
  });
  const served = {
    status,
    reason: options.reason ?? defaults.reason,
    answer: defaults.isKnown ? answer : undefined,
    ageMs: defaults.ageMs === undefined ? undefined : (ageMs ?? defaults.ageMs),
    failure: undefined,
  } as ServedAnswer;
  const instance = { names: new StubbedNames(idOfName), privacy: new ResponsePrivacy({ varyCookie: false }) };
  return new VisitorSegments(instance, visitor, served);
}

function checkedId(id: unknown): string {
  const canonical = canonicalId(id);
  if (canonical === undefined) throw new TypeError('segmentsStub(): an id must be a number or a string of digits');
  return canonical;
}

/** A unit test does not know all the names of the site. */
class StubbedNames extends SegmentNames {
  readonly #known: ReadonlyMap<string, string>;

  constructor(idOfName: ReadonlyMap<string, string>) {
    super(new Map([...idOfName].map(([name, id]) => [name, wantedById(id as SegmentId) as Wanted])));
    this.#known = idOfName;
  }

  override resolve(ref: unknown): Wanted | undefined {
    const isOtherName = typeof ref === 'string' && !this.#known.has(ref) && canonicalId(ref) === undefined;
    return isOtherName ? undefined : super.resolve(ref);
  }
}

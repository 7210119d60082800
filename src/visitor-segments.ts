import type { DcsError, FailureReason } from './dcs/dcs-error';
import type { Exclusion } from './dcs/error-codes';
import type { Visitor } from './identity/visitor';
import { NO_SEGMENTS, type Remembered } from './remembered';
import { isIn, type SegmentNames, type SegmentRef, type Wanted } from './segments/segment-refs';
import { type SegmentSet, splitIds } from './segments/segment-set';

/**
 * - `fresh`: the DCS answered during this request;
 * - `cached`: from the cache, within its ttl;
 * - `stale`: from the cache, older than its ttl;
 * - `unknown`: no answer to serve;
 * - `anonymous`: no usable visitor id;
 * - `excluded`: deliberately not asked.
 */
export type SegmentStatus = 'fresh' | 'cached' | 'stale' | 'unknown' | 'anonymous' | 'excluded';

/**
 * Why it is so.
 * - `stale`: `revalidating`, or why the refresh failed;
 * - `unknown`: `pending` (still on its way: the next view has it), or why the call failed;
 * - `anonymous`: `no-id`, `bad-id`;
 * - `excluded`: `opted-out`, `denylisted`, `invalid-id`, `refused` (by the DCS), `skipped` (by the option `skip`).
 */
export type SegmentReason = 'revalidating' | 'pending' | 'no-id' | 'bad-id' | 'skipped' | FailureReason | Exclusion;

/** What is known when a request is decided. */
export interface Verdict {
  readonly status: SegmentStatus;
  readonly reason: SegmentReason | undefined;
  readonly remembered: Remembered | undefined;
  readonly ageMs: number | undefined;
  /** The failure behind `stale` and `unknown`, for those who want it thrown. */
  readonly failure: DcsError | undefined;
}

/**
 * What the instance with these names has served on a request before, itself or under what other instances have put in
 * its place since. The request keeps no more than one property of ours: a further one would cost as much as reading the
 * cookies, since Express gives every request object a shape of its own.
 */
export let servedBy: (segments: VisitorSegments | undefined, names: SegmentNames) => VisitorSegments | undefined;

/**
 * The segments of one visitor as of one request: what `req.aamSegments` is. Immutable. Whatever its status, `has()` can
 * be asked; where nothing is known the answer is `false`. Printing it or turning it into JSON shows no identifier.
 */
export class VisitorSegments<Name extends string = string> implements Iterable<string> {
  readonly #names: SegmentNames;
  readonly #visitor: Visitor;
  readonly #verdict: Verdict;
  readonly #replaced: VisitorSegments | undefined;

  /** Made by the middleware. */
  constructor(names: SegmentNames, visitor: Visitor, verdict: Verdict, replaced?: VisitorSegments) {
    this.#names = names;
    this.#visitor = visitor;
    this.#verdict = verdict;
    this.#replaced = replaced;
  }

  static {
    servedBy = (segments, names) => {
      for (let each = segments; each !== undefined; each = each.#replaced) {
        if (each.#names === names) return each;
      }
      return undefined;
    };
  }

  /**
   * Whether the visitor is in a segment: a configured name, an id, or `{ value }` of a cookie destination.
   * @throws {AamError} `ERR_AAM_UNKNOWN_SEGMENT` for an unknown name where `NODE_ENV` is `development` or `test`;
   * elsewhere it is `false` and warned about once
   */
  has(ref: SegmentRef<Name>): boolean {
    return this.#isIn(this.#names.resolve(ref));
  }

  /** Whether the visitor is in at least one of the segments; of none given: `false`. Throws as {@link has} does. */
  hasAny(...refs: readonly SegmentRef<Name>[]): boolean {
    // All are resolved before any is looked for: a misspelt name shows whoever the visitor is.
    return this.#resolved(refs).some((wanted) => this.#isIn(wanted));
  }

  /** Whether the visitor is in every one of the segments; of none given: `true`. Throws as {@link has} does. */
  hasAll(...refs: readonly SegmentRef<Name>[]): boolean {
    return this.#resolved(refs).every((wanted) => this.#isIn(wanted));
  }

  /** The ids of the visitor's segments, as canonical decimal strings. */
  get ids(): readonly string[] {
    return splitIds(this.#set.ids);
  }

  /** The configured names of the visitor's segments, in the order of their configuration. */
  get names(): readonly Name[] {
    return this.#names.namesIn(this.#set) as Name[];
  }

  /** How many ids there are. */
  get size(): number {
    return this.ids.length;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.ids[Symbol.iterator]();
  }

  /** Cookie destinations that the visitor qualifies for: cookie name to raw value, with or without a format. */
  get destinations(): Readonly<Record<string, string>> {
    return this.#set.destinations ?? NO_DESTINATIONS;
  }

  get status(): SegmentStatus {
    return this.#verdict.status;
  }

  /** Why it is so; `undefined` where it is `fresh` or `cached`. */
  get reason(): SegmentReason | undefined {
    return this.#verdict.reason;
  }

  /** Age of the answer in milliseconds; 0 for a fresh one, `undefined` without one. */
  get ageMs(): number | undefined {
    return this.#verdict.ageMs;
  }

  /** The data centre that answered. */
  get region(): number | undefined {
    return this.#verdict.remembered?.region;
  }

  /** The DCS's id of the call that brought the answer: Adobe support asks for it. */
  get transactionId(): string | undefined {
    return this.#verdict.remembered?.transactionId;
  }

  /** Who was asked about. Personal data: it is kept out of JSON and of what is printed. */
  get visitor(): Visitor {
    return this.#visitor;
  }

  /** Status, ids and names, nothing that tells who the visitor is. */
  toJSON(): { status: SegmentStatus; ids: readonly string[]; names: readonly Name[] } {
    return { status: this.status, ids: this.ids, names: this.names };
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    options: object,
    inspect: (value: object, options: object) => string,
  ) {
    return `VisitorSegments ${inspect({ ...this.toJSON(), reason: this.reason }, options)}`;
  }

  get #set(): SegmentSet {
    return this.#verdict.remembered ?? NO_SEGMENTS;
  }

  #resolved(refs: readonly SegmentRef<Name>[]): (Wanted | undefined)[] {
    return refs.map((ref) => this.#names.resolve(ref));
  }

  #isIn(wanted: Wanted | undefined): boolean {
    return wanted !== undefined && isIn(this.#set, wanted);
  }
}

const NO_DESTINATIONS: Readonly<Record<string, string>> = Object.freeze({});

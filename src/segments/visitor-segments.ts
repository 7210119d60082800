import type { ServerResponse } from 'node:http';
import type { Visitor } from '../identity/visitor';
import { isRecord } from '../option-checks';
import type { ResponsePrivacy } from '../request/response-privacy';
import { isIn, type SegmentNames, type SegmentRef, type Wanted } from './segment-refs';
import { NO_SEGMENTS, type SegmentSet, splitIds } from './segment-set';
import type { SegmentReason, SegmentStatus, ServedAnswer } from './served-answer';

/** One instance of the middleware or the client, as far as the segments that it serves depend on it. */
export interface Instance {
  readonly names: SegmentNames;
  /** Marks a response private once segments have been read for it. */
  readonly privacy: ResponsePrivacy;
}

/**
 * The segments of one visitor at one request: the type of `req.aamSegments`. Immutable. `has()` works with every status; it
 * is `false` where nothing is known. Logging it or serializing it as JSON shows no identifier.
 *
 * Reading segments makes the response private (`Cache-Control: private`) for every visitor: `has()`, `hasAny()`,
 * `hasAll()`, iteration, `size`, `ids`, `names`, `destinations`, `visitor` and `toJSON()`. Reading `status`, `reason`,
 * `ageMs`, `region` or `transactionId` does not.
 *
 * @example
 * app.get('/', (req, res) => res.render('home', { cta: req.aamSegments.has('highValue') ? 'upgrade' : 'join' }));
 */
export class VisitorSegments<Name extends string = string> implements Iterable<string> {
  readonly #instance: Instance;
  readonly #visitor: Visitor;
  readonly #served: ServedAnswer;
  readonly #replaced: VisitorSegments | undefined;
  readonly #tcString: string | undefined;
  /** The response to mark private at the first reading; `undefined` after it. */
  #unmarked: ServerResponse | undefined;

  /** Made by the middleware. @internal */
  constructor(
    instance: Instance,
    visitor: Visitor,
    served: ServedAnswer,
    res?: ServerResponse,
    replaced?: VisitorSegments,
    tcString?: string,
  ) {
    this.#instance = instance;
    this.#visitor = visitor;
    this.#served = served;
    this.#unmarked = res;
    this.#replaced = replaced;
    this.#tcString = tcString;
  }

  /**
   * The segments that `instance` served on a request: `segments` itself, or those that another instance replaced. Replaced
   * segments are linked from their successor rather than from the request: each further property on a request costs as much
   * as reading the cookies, because Express gives every request object its own shape.
   *
   * @internal
   */
  static servedBy(segments: VisitorSegments | undefined, instance: Instance): VisitorSegments | undefined {
    // The value may be from another copy of the package, or anything else.
    for (let each = segments; isRecord(each) && #instance in each; each = each.#replaced) {
      if (each.#instance === instance) return each;
    }
    return undefined;
  }

  /** The TC string that was sent along with the lookup. @internal */
  static tcStringOf(segments: VisitorSegments): string | undefined {
    return segments.#tcString;
  }

  /** The visitor, without marking the response private. @internal */
  static visitorOf(segments: VisitorSegments): Visitor {
    return segments.#visitor;
  }

  /** Newer segments of the same visitor, for the same response. @internal */
  static renewed<Name extends string>(segments: VisitorSegments<Name>, served: ServedAnswer): VisitorSegments<Name> {
    // Without a response if reading the older segments has already marked it.
    return new VisitorSegments(segments.#instance, segments.#visitor, served, segments.#unmarked);
  }

  /**
   * Whether the visitor is in a segment, given as a configured name, an id, or `{ value }` of a cookie destination.
   * @throws {AamError} `ERR_AAM_UNKNOWN_SEGMENT` for an unknown name when `NODE_ENV` is `development` or `test`; otherwise
   * the result is `false`, with one warning
   */
  has(ref: SegmentRef<Name>): boolean {
    return isInSet(this.#instance.names.resolve(ref), this.#read());
  }

  /** Whether the visitor is in at least one of the segments; `false` without arguments. Throws like {@link has}. */
  hasAny(...refs: readonly SegmentRef<Name>[]): boolean {
    // Resolves all first, so that a misspelt name throws for every visitor.
    const wanted = this.#resolved(refs);
    const set = this.#read();
    return wanted.some((each) => isInSet(each, set));
  }

  /** Whether the visitor is in all of the segments; `true` without arguments. Throws like {@link has}. */
  hasAll(...refs: readonly SegmentRef<Name>[]): boolean {
    const wanted = this.#resolved(refs);
    const set = this.#read();
    return wanted.every((each) => isInSet(each, set));
  }

  /** The ids of the visitor's segments, as canonical decimal strings. */
  get ids(): readonly string[] {
    return splitIds(this.#read().ids);
  }

  /** The configured names of the visitor's segments, in the order of the option `segments`. */
  get names(): readonly Name[] {
    return this.#instance.names.namesIn(this.#read()) as Name[];
  }

  /** The number of ids. */
  get size(): number {
    return this.ids.length;
  }

  /** Iterates over the ids. */
  [Symbol.iterator](): Iterator<string> {
    return this.ids[Symbol.iterator]();
  }

  /** The cookie destinations that the visitor qualifies for, by cookie name, with their raw values. */
  get destinations(): Readonly<Record<string, string>> {
    return this.#read().destinations ?? NO_DESTINATIONS;
  }

  /** Where the segments come from, or why there are none. */
  get status(): SegmentStatus {
    return this.#served.status;
  }

  /** The reason behind the status; `undefined` for `fresh` and `cached`. */
  get reason(): SegmentReason | undefined {
    return this.#served.reason;
  }

  /** The age of the answer in milliseconds: 0 for a fresh one, `undefined` without an answer. */
  get ageMs(): number | undefined {
    return this.#served.ageMs;
  }

  /** The region of the data centre that answered; `undefined` without an answer. */
  get region(): number | undefined {
    return this.#served.answer?.region;
  }

  /** The DCS transaction id of the answer, for Adobe support. */
  get transactionId(): string | undefined {
    return this.#served.answer?.transactionId;
  }

  /** The visitor's ids. Personal data: not in the JSON, and not shown when logged. */
  get visitor(): Visitor {
    this.#read();
    return this.#visitor;
  }

  /** Status, ids and names; no identifier. */
  toJSON(): { status: SegmentStatus; ids: readonly string[]; names: readonly Name[] } {
    return { status: this.status, ids: this.ids, names: this.names };
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    options: object,
    inspect: (value: object, options: object) => string,
  ) {
    const set = this.#set;
    const shown = { status: this.status, ids: splitIds(set.ids), names: this.#instance.names.namesIn(set) };
    return `VisitorSegments ${inspect({ ...shown, reason: this.reason }, options)}`;
  }

  get #set(): SegmentSet {
    return this.#served.answer ?? NO_SEGMENTS;
  }

  /** The segments, for the caller to use: marks the response private. */
  #read(): SegmentSet {
    if (this.#unmarked !== undefined) {
      this.#instance.privacy.keepPrivate(this.#unmarked);
      this.#unmarked = undefined;
    }
    return this.#set;
  }

  #resolved(refs: readonly SegmentRef<Name>[]): (Wanted | undefined)[] {
    return refs.map((ref) => this.#instance.names.resolve(ref));
  }
}

function isInSet(wanted: Wanted | undefined, set: SegmentSet): boolean {
  return wanted !== undefined && isIn(set, wanted);
}

const NO_DESTINATIONS: Readonly<Record<string, string>> = Object.freeze({});

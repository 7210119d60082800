import type { ServerResponse } from 'node:http';
import type { Visitor } from '../identity/visitor';
import { isRecord } from '../option-checks';
import type { ResponsePrivacy } from '../request/response-privacy';
import { isIn, type SegmentNames, type SegmentRef, type Wanted } from './segment-refs';
import { NO_SEGMENTS, type SegmentSet, splitIds } from './segment-set';
import type { SegmentReason, SegmentStatus, ServedAnswer } from './served-answer';

/** What all segments that one instance of the middleware serves have in common. */
export interface Instance {
  readonly names: SegmentNames;
  /** Keeps pages out of shared caches once segments have been read for them. */
  readonly privacy: ResponsePrivacy;
}

/**
 * The segments of one visitor as of one request: what `req.aamSegments` is. Immutable. Whatever its status, `has()` can
 * be asked; where nothing is known the answer is `false`. Printing it or turning it into JSON shows no identifier.
 *
 * Once segments have been read (`has()` and its like, iteration, `size`, `ids`, `names`, `destinations`, `visitor`, JSON;
 * not `status`, `reason` and the rest), the response leaves as private, whoever the visitor is.
 */
export class VisitorSegments<Name extends string = string> implements Iterable<string> {
  readonly #instance: Instance;
  readonly #visitor: Visitor;
  readonly #served: ServedAnswer;
  readonly #replaced: VisitorSegments | undefined;
  readonly #tcString: string | undefined;
  /** The response that will be made of it, until it has been read. */
  #unread: ServerResponse | undefined;

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
    this.#unread = res;
    this.#replaced = replaced;
    this.#tcString = tcString;
  }

  /**
   * The segments that this instance has served on a request: `segments` itself, or what another instance has replaced
   * since. Found through the objects themselves, so that a request carries one property of ours and no more: each further
   * one costs as much as reading the cookies, because Express gives every request object a shape of its own.
   *
   * @internal
   */
  static servedBy(segments: VisitorSegments | undefined, instance: Instance): VisitorSegments | undefined {
    // What is there may come from another copy of the package, or be something else altogether.
    for (let each = segments; isRecord(each) && #instance in each; each = each.#replaced) {
      if (each.#instance === instance) return each;
    }
    return undefined;
  }

  /** The consent string that went along with the question. @internal */
  static tcStringOf(segments: VisitorSegments): string | undefined {
    return segments.#tcString;
  }

  /** The visitor, without taking it for a reading. @internal */
  static visitorOf(segments: VisitorSegments): Visitor {
    return segments.#visitor;
  }

  /** The same segments, put back in front of what other instances have served since, which stays to be found. @internal */
  static restored(segments: VisitorSegments, replaced: VisitorSegments): VisitorSegments {
    return new VisitorSegments(
      segments.#instance,
      segments.#visitor,
      segments.#served,
      segments.#unread,
      replaced,
      segments.#tcString,
    );
  }

  /** The same visitor's newer segments, for the same response. @internal */
  static renewed<Name extends string>(segments: VisitorSegments<Name>, served: ServedAnswer): VisitorSegments<Name> {
    // What the response was made of before has made it private already, or may still do so.
    return new VisitorSegments(segments.#instance, segments.#visitor, served, segments.#unread);
  }

  /**
   * Whether the visitor is in a segment: a configured name, an id, or `{ value }` of a cookie destination.
   * @throws {AamError} `ERR_AAM_UNKNOWN_SEGMENT` for an unknown name where `NODE_ENV` is `development` or `test`;
   * elsewhere it is `false` and warned about once
   */
  has(ref: SegmentRef<Name>): boolean {
    return isInSet(this.#instance.names.resolve(ref), this.#read());
  }

  /** Whether the visitor is in at least one of the segments; of none given: `false`. Throws as {@link has} does. */
  hasAny(...refs: readonly SegmentRef<Name>[]): boolean {
    // All are resolved before any is looked for: a misspelt name shows whoever the visitor is.
    const wanted = this.#resolved(refs);
    const set = this.#read();
    return wanted.some((each) => isInSet(each, set));
  }

  /** Whether the visitor is in every one of the segments; of none given: `true`. Throws as {@link has} does. */
  hasAll(...refs: readonly SegmentRef<Name>[]): boolean {
    const wanted = this.#resolved(refs);
    const set = this.#read();
    return wanted.every((each) => isInSet(each, set));
  }

  /** The ids of the visitor's segments, as canonical decimal strings. */
  get ids(): readonly string[] {
    return splitIds(this.#read().ids);
  }

  /** The configured names of the visitor's segments, in the order of their configuration. */
  get names(): readonly Name[] {
    return this.#instance.names.namesIn(this.#read()) as Name[];
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
    return this.#read().destinations ?? NO_DESTINATIONS;
  }

  get status(): SegmentStatus {
    return this.#served.status;
  }

  /** Why it is so; `undefined` where it is `fresh` or `cached`. */
  get reason(): SegmentReason | undefined {
    return this.#served.reason;
  }

  /** Age of the answer in milliseconds; 0 for a fresh one, `undefined` without one. */
  get ageMs(): number | undefined {
    return this.#served.ageMs;
  }

  /** The data centre that answered. */
  get region(): number | undefined {
    return this.#served.answer?.region;
  }

  /** The DCS's id of the call that brought the answer: Adobe support asks for it. */
  get transactionId(): string | undefined {
    return this.#served.answer?.transactionId;
  }

  /** Who was asked about. Personal data: it is kept out of JSON and of what is printed. */
  get visitor(): Visitor {
    this.#read();
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
    const set = this.#set;
    const shown = { status: this.status, ids: splitIds(set.ids), names: this.#instance.names.namesIn(set) };
    return `VisitorSegments ${inspect({ ...shown, reason: this.reason }, options)}`;
  }

  get #set(): SegmentSet {
    return this.#served.answer ?? NO_SEGMENTS;
  }

  /** The segments, for whoever makes something of them: from now on the response is about this visitor. */
  #read(): SegmentSet {
    if (this.#unread !== undefined) {
      this.#instance.privacy.keepPrivate(this.#unread);
      this.#unread = undefined;
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

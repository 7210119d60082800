/**
 * Owns: `req.aamSegments`, and that reading it makes the response private. Next: ../routing/.
 */
import type { ServerResponse } from 'node:http';
import type { Visitor } from '../identity/visitor';
import { isRecord } from '../option-checks';
import type { ResponsePrivacy } from '../request/response-privacy';
import { destinationsOf, idsOf, NO_ANSWER, type PackedAnswer, regionOf, transactionIdOf } from './packed-answer';
import { isIn, type SegmentNames, type SegmentRef, type Wanted } from './segment-refs';
import type { ActivePreview, SegmentReason, SegmentStatus, ServedAnswer } from './served-answer';

/** What an instance of the middleware shares with all segments that it serves. */
export interface Instance {
  readonly names: SegmentNames;
  /** Keeps responses for which segments were read out of shared caches. */
  readonly privacy: ResponsePrivacy;
  /** What `aamSegments()` returned, which messages to those who watch are about. */
  readonly middleware?: object;
  /** Whether it has served any request; a standalone client has none. */
  readonly hasServed?: () => boolean;
}

/** A result that belongs to a request. */
interface Note {
  readonly owner: object;
  readonly result: object;
  readonly next: Note | undefined;
}

/** Whether the segments of a request have been read, and the responses that depend on them then. */
export class Reading {
  #res: ServerResponse;
  #earlier: ServerResponse[] | undefined;
  #hasHappened = false;
  /** A list, since a page has few of them, and a map keyed by requests costs more than what is worth noting. */
  #notes: Note | undefined;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  happens(privacy: ResponsePrivacy): void {
    if (this.#hasHappened) return;
    this.#hasHappened = true;
    privacy.keepPrivate(this.#res);
    for (const res of this.#earlier ?? []) privacy.keepPrivate(res);
  }

  /** What `owner` has noted of this request, whatever has become of its segments since. */
  noteOf(owner: object): object | undefined {
    let note = this.#notes;
    while (note !== undefined && note.owner !== owner) note = note.next;
    return note?.result;
  }

  note(owner: object, result: object): void {
    this.#notes = { owner, result, next: this.#notes };
  }

  /** Adds a cookie to the response. Returns whether there is still time for that. */
  addCookie(cookie: string, privacy: ResponsePrivacy): boolean {
    return privacy.addCookie(this.#res, cookie);
  }

  /** The request is served with another response. What was read for the first is on the request, and known to the second. */
  goesOnFor(res: ServerResponse, privacy: ResponsePrivacy): void {
    if (res === this.#res || this.#earlier?.includes(res)) return;
    this.#earlier = [...(this.#earlier ?? []), this.#res];
    this.#res = res;
    if (this.#hasHappened) privacy.keepPrivate(res);
  }
}

/**
 * The segments of the visitor of a request: `req.aamSegments`. Immutable, and present whatever the status; without an answer,
 * `has()` is `false`. Printing it or converting it to JSON shows no identifier.
 *
 * Reading segments (`has()`, `hasAny()`, `hasAll()`, iteration, `size`, `ids`, `names`, `destinations`, `visitor`, `region`,
 * `transactionId`, JSON; not `status`, `reason`, `isKnown` and `ageMs`, nor printing) makes the response private, for anonymous
 * visitors too.
 */
export class VisitorSegments<Name extends string = string> implements Iterable<string> {
  readonly #instance: Instance;
  readonly #visitor: Visitor;
  readonly #served: ServedAnswer;
  readonly #replaced: VisitorSegments | undefined;
  readonly #tcString: string | undefined;
  readonly #requestedAt: number;
  /** Where the segments may be read for; shared by all copies. */
  readonly #reading: Reading | undefined;

  /** Made by the middleware. @internal */
  constructor(
    instance: Instance,
    visitor: Visitor,
    served: ServedAnswer,
    reading?: Reading,
    replaced?: VisitorSegments,
    tcString?: string,
    requestedAt = 0,
  ) {
    this.#instance = instance;
    this.#visitor = visitor;
    this.#served = served;
    this.#reading = reading;
    this.#replaced = replaced;
    this.#tcString = tcString;
    this.#requestedAt = requestedAt;
  }

  /**
   * The segments that this instance has served on a request: `segments`, or those that another instance replaced with them.
   * Found through a linked list, because each property on a request costs as much as reading the cookies: Express gives
   * every request object its own shape.
   *
   * @internal
   */
  static servedBy(segments: VisitorSegments | undefined, instance: Instance): VisitorSegments | undefined {
    // `segments` may come from another copy of the package, or be any other object.
    for (let each = segments; isRecord(each) && #instance in each; each = each.#replaced) {
      if (each.#instance === instance) return each;
    }
    return undefined;
  }

  /** What an event of the same request goes by, without making the response private. @internal */
  static questionOf(segments: VisitorSegments): {
    readonly visitor: Visitor;
    /** The consent string that was sent with the lookup. */
    readonly tcString: string | undefined;
    /** When the request came, see `AnswerResolver.moment`. */
    readonly requestedAt: number;
  } {
    return { visitor: segments.#visitor, tcString: segments.#tcString, requestedAt: segments.#requestedAt };
  }

  /** What reading these segments makes private. @internal */
  static readingOf(segments: VisitorSegments): Reading | undefined {
    return segments.#reading;
  }

  /** The visitor, not as a copy; the response is private from now on. @internal */
  static readVisitorOf(segments: VisitorSegments): Visitor {
    segments.#read();
    return segments.#visitor;
  }

  /** The preview that has decided; `undefined` without one. Does not make the response private. @internal */
  static previewOf(segments: VisitorSegments): ActivePreview | undefined {
    const served = segments.#served;
    return served.status === 'preview' ? served.preview : undefined;
  }

  /** The middleware that has served these segments, without making the response private. @internal */
  static middlewareOf(segments: VisitorSegments): object | undefined {
    // `segments` may come from another copy of the package, or from a test.
    return isRecord(segments) && #instance in segments ? segments.#instance.middleware : undefined;
  }

  /**
   * The segments of a request that comes by again, possibly with another response, in front of those that other instances have
   * served since, which can still be found.
   *
   * @internal
   */
  static restored(
    segments: VisitorSegments,
    replaced: VisitorSegments | undefined,
    res: ServerResponse,
  ): VisitorSegments {
    segments.#reading?.goesOnFor(res, segments.#instance.privacy);
    if (segments === replaced) return segments;
    return new VisitorSegments(
      segments.#instance,
      segments.#visitor,
      segments.#served,
      segments.#reading,
      replaced,
      segments.#tcString,
      segments.#requestedAt,
    );
  }

  /** Newer segments of the same visitor, for the same response. @internal */
  static renewed<Name extends string>(segments: VisitorSegments<Name>, served: ServedAnswer): VisitorSegments<Name> {
    const { visitor, tcString, requestedAt } = VisitorSegments.questionOf(segments);
    return new VisitorSegments(
      segments.#instance,
      visitor,
      served,
      segments.#reading,
      undefined,
      tcString,
      requestedAt,
    );
  }

  /**
   * Whether the visitor is in a segment: a configured name, an id, or `{ value }` of a cookie destination.
   * @throws {AamError} `ERR_AAM_UNKNOWN_SEGMENT` for an unknown name where `NODE_ENV` is `development` or `test`;
   * elsewhere it returns `false`, with one warning per name
   */
  has(ref: SegmentRef<Name>): boolean {
    return isWanted(this.#instance.names.resolve(ref), this.#read());
  }

  /** Whether the visitor is in at least one of the segments; `false` without arguments. Throws as {@link has} does. */
  hasAny(...refs: readonly SegmentRef<Name>[]): boolean {
    // Resolve all first, so that a misspelt name fails for every visitor.
    const wanted = this.#resolved(refs);
    const answer = this.#read();
    return wanted.some((each) => isWanted(each, answer));
  }

  /** Whether the visitor is in all of the segments; `true` without arguments. Throws as {@link has} does. */
  hasAll(...refs: readonly SegmentRef<Name>[]): boolean {
    const wanted = this.#resolved(refs);
    const answer = this.#read();
    return wanted.every((each) => isWanted(each, answer));
  }

  /** The ids of the visitor's segments, as canonical decimal strings. */
  get ids(): readonly string[] {
    return idsOf(this.#read());
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

  /** Cookie destinations of the visitor: cookie name to raw value, also of those without a configured format. */
  get destinations(): Readonly<Record<string, string>> {
    return destinationsOf(this.#read()) ?? NO_DESTINATIONS;
  }

  /**
   * Whether there is an answer (`fresh`, `cached`, `stale`, `preview`). Without one `has()` is `false` for all segments, which
   * says nothing about the visitor.
   */
  get isKnown(): boolean {
    const { status } = this.#served;
    return status === 'fresh' || status === 'cached' || status === 'stale' || status === 'preview';
  }

  /** Where the segments come from, or why there are none. */
  get status(): SegmentStatus {
    return this.#served.status;
  }

  /** The reason for the status; `undefined` for `fresh`, `cached` and `preview`. */
  get reason(): SegmentReason | undefined {
    return this.#served.reason;
  }

  /** The age of the answer in milliseconds: 0 for a fresh one, `undefined` without an answer. */
  get ageMs(): number | undefined {
    return this.#served.ageMs;
  }

  /** The region of the data centre that answered; `undefined` without an answer. */
  get region(): number | undefined {
    return regionOf(this.#read());
  }

  /** The DCS's id of the call behind the answer, for Adobe support. */
  get transactionId(): string | undefined {
    return transactionIdOf(this.#read());
  }

  /** The visitor with their ids, as a copy. Personal data, which JSON and printing leave out. */
  get visitor(): Visitor {
    this.#read();
    return { ...this.#visitor };
  }

  /** Status, ids and names, without identifiers of the visitor. */
  toJSON(): { status: SegmentStatus; ids: readonly string[]; names: readonly Name[] } {
    return { status: this.status, ids: this.ids, names: this.names };
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    options: object,
    inspect: (value: object, options: object) => string,
  ) {
    const answer = this.#answer;
    const shown = { status: this.status, ids: idsOf(answer), names: this.#instance.names.namesIn(answer) };
    return `VisitorSegments ${inspect({ ...shown, reason: this.reason }, options)}`;
  }

  get #answer(): PackedAnswer {
    return this.#served.answer ?? NO_ANSWER;
  }

  /** The segments; the response is private from now on. */
  #read(): PackedAnswer {
    this.#reading?.happens(this.#instance.privacy);
    return this.#answer;
  }

  #resolved(refs: readonly SegmentRef<Name>[]): (Wanted | undefined)[] {
    return refs.map((ref) => this.#instance.names.resolve(ref));
  }
}

function isWanted(wanted: Wanted | undefined, answer: PackedAnswer): boolean {
  return wanted !== undefined && isIn(answer, wanted);
}

const NO_DESTINATIONS: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

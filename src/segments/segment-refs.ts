/**
 * Owns: references to segments, by configured name, id or destination value. They are resolved without regard to the visitor, so
 * that a misspelt name fails on the first request, not on the first visitor in the segment. Next: visitor-segments.ts.
 */
import { helpFor } from '../diagnosis/help';
import { Warnings } from '../diagnosis/warnings';
import { AamError } from '../errors';
import { fieldsOf } from '../handed-over/reading';
import { quoted } from '../handed-over/showing';
import { includesId, includesValue, type PackedAnswer, packedValue } from './packed-answer';
import { packedId } from './packed-ids';

/** A segment by id, as a number or a string of digits, or by a value of a configured cookie destination. */
export type SegmentId = number | `${number}` | { readonly value: string };

/** A reference to a segment: a configured name, an id, or `{ value }`. */
export type SegmentRef<Name extends string = string> = Name | SegmentId;

/** A resolved reference: exactly one of the two is set. */
export interface Wanted {
  /** An id as {@link packedId} writes it. */
  readonly id: string | undefined;
  /** A value as {@link packedValue} writes it. */
  readonly value: string | undefined;
}

/** The canonical id of a number or a string of digits; `undefined` for anything else. */
export function canonicalId(id: unknown): string | undefined {
  if (typeof id === 'number') return Number.isSafeInteger(id) && id >= 0 ? String(id) : undefined;
  return typeof id === 'string' && /^\d{1,20}$/.test(id) ? id.replace(/^0+(?=\d)/, '') : undefined;
}

/** Resolves an id or a `{ value }`; `undefined` for anything else. */
export function wantedById(ref: unknown): Wanted | undefined {
  const id = canonicalId(ref);
  if (id !== undefined) return { id: packedId(id), value: undefined };
  if (typeof ref !== 'object') return undefined;
  const value = fieldsOf(ref, ['value'])?.value;
  return typeof value === 'string' && value !== '' ? { id: undefined, value: packedValue(value) } : undefined;
}

export function isIn(answer: PackedAnswer, wanted: Wanted): boolean {
  if (wanted.id !== undefined) return includesId(answer, wanted.id);
  return includesValue(answer, wanted.value as string);
}

const VALUE_WITHOUT_SOURCE =
  "A segment is asked for as { value }, and the option 'destinations' is empty, so no visitor is in it. Configure the cookie " +
  "destination that has the value in 'destinations'.";

/** Names in a message. */
const MAX_LISTED = 20;

/** The names that a site has given to its segments. */
export class SegmentNames {
  readonly #byName: ReadonlyMap<string, Wanted>;
  readonly #warnings = new Warnings();

  readonly #hasDestinations: boolean;

  /** @param hasDestinations whether anything in an answer can be a `{ value }` */
  constructor(byName: ReadonlyMap<string, Wanted>, hasDestinations = true) {
    this.#byName = byName;
    this.#hasDestinations = hasDestinations;
  }

  /** The names of the segments that a visitor is in, in the order of their configuration. */
  namesIn(answer: PackedAnswer): string[] {
    const names: string[] = [];
    for (const [name, wanted] of this.#byName) {
      if (isIn(answer, wanted)) names.push(name);
    }
    return names;
  }

  /**
   * Resolves a reference. An unknown one is a mistake in the site's code: in development and tests it throws; in production it
   * matches no visitor, with one warning.
   * @throws {AamError} `ERR_AAM_UNKNOWN_SEGMENT` where `NODE_ENV` is `development` or `test`
   */
  resolve(ref: unknown): Wanted | undefined {
    return this.find(ref) ?? this.#unknown(ref);
  }

  /** Resolves a reference; `undefined` for an unknown one, which may be somebody else's mistake. */
  find(ref: unknown): Wanted | undefined {
    const named = typeof ref === 'string' ? this.#byName.get(ref) : undefined;
    if (named !== undefined) return named;
    const byId = wantedById(ref);
    if (byId?.value !== undefined && !this.#hasDestinations) {
      this.#warnings.warn('WRN_AAM_NO_SEGMENT_SOURCE', VALUE_WITHOUT_SOURCE);
    }
    return byId;
  }

  #unknown(ref: unknown): undefined {
    const message =
      typeof ref === 'string'
        ? `unknown segment name ${quoted(ref)}. The option 'segments' has ${this.#list()}`
        : `a segment must be a configured name, an id or { value: string }, got ${ref === null ? 'null' : typeof ref}`;
    const { NODE_ENV } = process.env;
    if (NODE_ENV === 'development' || NODE_ENV === 'test') {
      throw new AamError('ERR_AAM_UNKNOWN_SEGMENT', `${message}. See ${helpFor('ERR_AAM_UNKNOWN_SEGMENT')}`);
    }
    this.#warnings.warn('WRN_AAM_UNKNOWN_SEGMENT', `${message}. No visitor is in it.`);
    return undefined;
  }

  #list(): string {
    const names = [...this.#byName.keys()];
    if (names.length === 0) return 'none';
    const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
    return names.slice(0, MAX_LISTED).map(quoted).join(', ') + more;
  }
}

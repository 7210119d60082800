/**
 * Owns: what a DCS answer means for a visitor: the segments they are in. It must not know how long that holds (cache/)
 * or how it is asked for (visitor-segments.ts).
 */
import type { DcsReply } from '../dcs/protocol/reply';
import { destinationValues, type ResolvedDestinationFormat } from './destination-values';

/** The segments of one answer. A new answer's set replaces the old one whole: absence means "not in it". */
export interface SegmentSet {
  /** {@link joinIds joined} ids. */
  readonly ids: string;
  /** Values of configured cookie destinations; `undefined` rather than empty, since most visitors have none. */
  readonly values: readonly string[] | undefined;
  /** Cookie name to raw value, of every cookie destination; `undefined` rather than empty. */
  readonly destinations: Readonly<Record<string, string>> | undefined;
}

/** The segments of a visitor about whom nothing is known. */
export const NO_SEGMENTS: SegmentSet = { ids: '', values: undefined, destinations: undefined };

/** Formats by cookie name. */
export type DestinationFormats = ReadonlyMap<string, ResolvedDestinationFormat>;

/**
 * The ids that `d_cts` brought and the values of the configured cookie destinations. A value that is a canonical
 * number counts as an id too, since Audience Manager can fill destinations with segment ids.
 */
export function segmentSetOf(reply: DcsReply, formats: DestinationFormats): SegmentSet {
  const ids = new Set(reply.segments);
  const values = new Set<string>();
  const destinations = new Map<string, string>();
  for (const [name, value] of reply.destinations) {
    const format = formats.get(name);
    for (const each of format === undefined ? [] : destinationValues(value, format)) {
      values.add(each);
      if (/^(?:0|[1-9]\d{0,19})$/.test(each)) ids.add(each);
    }
    // Twice the same cookie: the segments of both count, the later raw value is shown, as in Adobe's mobile SDK.
    destinations.set(name, value);
  }
  return {
    ids: joinIds(ids),
    values: values.size === 0 ? undefined : [...values],
    // fromEntries defines properties rather than assigning them: `__proto__` is a name like any other.
    destinations: destinations.size === 0 ? undefined : Object.freeze(Object.fromEntries(destinations)),
  };
}

/**
 * Ids as one string, `,1,2,`: a visitor of 20 segments takes a quarter of the memory that a Set takes, and looking for
 * one id is one native search.
 */
export function joinIds(ids: Iterable<string>): string {
  // By one join: a string that is put together with `+` keeps its parts, which costs a third more.
  const joined = ['', ...ids, ''].join(',');
  return joined === ',' ? '' : joined;
}

export function splitIds(joined: string): string[] {
  return joined === '' ? [] : joined.slice(1, -1).split(',');
}

/** @param needle an id between commas: `,984263,` */
export function includesId(joined: string, needle: string): boolean {
  return joined.includes(needle);
}

/**
 * Owns: the segments in a DCS answer. It must not know how long they are valid (cache/) or how they are shown
 * (visitor-segments.ts). Next: segment-refs.ts.
 */
import type { DcsReply } from '../dcs/protocol/reply';
import { destinationValues, type ResolvedDestinationFormat } from './destination-values';

/** The segments of one answer. A new answer replaces the old one as a whole: a visitor is not in a segment that it lacks. */
export interface SegmentSet {
  /** Ids, {@link joinIds joined}. */
  readonly ids: string;
  /** Values of configured cookie destinations; `undefined` instead of empty, to save memory. */
  readonly values: readonly string[] | undefined;
  /** All cookie destinations, name to raw value; `undefined` instead of empty. */
  readonly destinations: Readonly<Record<string, string>> | undefined;
}

/** The segments of a visitor without an answer. */
export const NO_SEGMENTS: SegmentSet = { ids: '', values: undefined, destinations: undefined };

/** Formats by cookie name. */
export type DestinationFormats = ReadonlyMap<string, ResolvedDestinationFormat>;

/**
 * The ids that `d_cts` returns and the values of the configured cookie destinations. A value that is a canonical number is an
 * id, too, since Audience Manager can put segment ids into destinations.
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
    // For a repeated cookie, the segments of all values count, and the last raw value is shown, as in Adobe's mobile SDK.
    destinations.set(name, value);
  }
  return {
    ids: joinIds(ids),
    values: values.size === 0 ? undefined : [...values],
    // fromEntries defines properties instead of assigning them, so that `__proto__` is an ordinary name.
    destinations:
      destinations.size === 0
        ? undefined
        : Object.freeze(Object.setPrototypeOf(Object.fromEntries(destinations), null)),
  };
}

/**
 * Joins ids into one string, `,1,2,`. For 20 segments it takes a quarter of the memory of a Set, and finding an id is one native
 * search.
 */
export function joinIds(ids: Iterable<string>): string {
  // One join, since V8 keeps the parts of a string built with `+`, a third more memory.
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

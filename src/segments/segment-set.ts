/**
 * Owns: the segments in a DCS answer. It must not know how long they are valid (cache/) or how they are shown
 * (visitor-segments.ts). Next: packed-answer.ts.
 */
import type { DcsReply } from '../dcs/protocol/reply';
import { destinationValues, type ResolvedDestinationFormat } from './destination-values';

/** The segments of one answer. A new answer replaces the old one as a whole: a visitor is not in a segment that it lacks. */
export interface SegmentSet {
  /** Canonical decimal ids, each once. */
  readonly ids: readonly string[];
  /** Values of configured cookie destinations; `undefined` instead of empty. */
  readonly values: readonly string[] | undefined;
  /** All cookie destinations, name to raw value; `undefined` instead of empty. */
  readonly destinations: Readonly<Record<string, string>> | undefined;
}

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
    ids: [...ids],
    values: values.size === 0 ? undefined : [...values],
    destinations: destinations.size === 0 ? undefined : recordOf(destinations),
  };
}

/** A record without a prototype, on which `constructor` and `__proto__` are names like all others. */
export function recordOf(entries: Iterable<readonly [string, string]>): Readonly<Record<string, string>> {
  const record: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) record[name] = value;
  return Object.freeze(record);
}

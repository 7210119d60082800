import type {
  AamStats,
  ExperimentAssignment,
  RegisteredName,
  SegmentStatus,
  VisitorSegments,
} from 'express-aam-segments';
import { MAX_WAIT_MS } from './aam';
import { WHY } from './experiments';

/** What the middleware knew when the page was served, without the visitor's ids. */
export interface Panel {
  /** For visitors. */
  readonly headline: string;
  readonly mood: 'known' | 'waiting' | 'nobody';
  readonly isPending: boolean;
  /** For developers. */
  readonly facts: readonly Fact[];
  readonly heldMs: number;
  readonly maxWaitMs: number;
}

export interface Fact {
  readonly label: string;
  readonly value: string;
  readonly help: string;
}

const DESCRIPTION: Readonly<Record<RegisteredName, string>> = {
  golfFans: 'golf fan',
  highValue: 'high-value customer',
};

const MEANING: Readonly<Record<SegmentStatus, string>> = {
  fresh: 'answered during this request',
  cached: 'from the cache, within its ttl',
  stale: 'from the cache, past its ttl',
  unknown: 'no answer to serve',
  anonymous: 'no usable visitor id',
  excluded: 'deliberately not asked',
  preview: 'as a preview decides',
};

export function panelOf(
  segments: VisitorSegments<RegisteredName>,
  heldMs: number,
  stats: AamStats,
  { experiment, variant, reason: why }: ExperimentAssignment & { readonly experiment: string },
): Panel {
  const { status, reason, ids, names, region, ageMs } = segments;
  const views = Object.values(stats.requests).reduce((sum, count) => sum + count);
  return {
    headline: `${headlineOf(segments)}, waited ${Math.round(heldMs)} ms`,
    mood: segments.isKnown ? 'known' : status === 'unknown' ? 'waiting' : 'nobody',
    isPending: reason === 'pending',
    facts: [
      { label: 'Status', value: status, help: MEANING[status] },
      { label: 'Reason', value: reason ?? '–', help: 'of the status' },
      { label: 'Segments', value: names.join(', ') || '–', help: 'by their configured names' },
      {
        label: 'Segment ids',
        value: ids.join(', ') || '–',
        help: status === 'preview' ? 'of the preview' : 'all that the DCS returned',
      },
      { label: 'Age', value: ageMs === undefined ? '–' : `${(ageMs / 1000).toFixed(1)} s`, help: 'of the answer' },
      { label: 'Region', value: region === undefined ? '–' : String(region), help: 'that answered' },
      { label: 'Variant', value: variant, help: `of ${experiment}: ${WHY[why]}` },
      { label: 'Held', value: `${heldMs.toFixed(1)} ms`, help: `of ${MAX_WAIT_MS} ms at most` },
      { label: 'Calls so far', value: String(stats.calls), help: `page views: ${views}` },
    ],
    heldMs,
    maxWaitMs: MAX_WAIT_MS,
  };
}

function headlineOf(segments: VisitorSegments<RegisteredName>): string {
  const { status, reason, names, ageMs = 0 } = segments;
  const described = names.map((name) => DESCRIPTION[name]).join(' and ');
  const known = names.length > 0 ? `Known ${described}` : 'Known, but in no segment';
  const age = `${Math.round(ageMs / 1000)} s old`;
  switch (status) {
    case 'fresh':
      return `${known}, asked just now`;
    case 'cached':
      return `${known}, from the cache, ${age}`;
    case 'stale':
      return `${known}, from an older answer, ${age}`;
    case 'unknown':
      return reason === 'pending' ? 'Not known yet, the answer is pending' : 'Not known, the call failed';
    case 'anonymous':
      return reason === 'no-id' ? 'A first visit, no visitor id yet' : 'No usable visitor id in the cookies';
    case 'preview':
      return `A preview: ${described || 'in no segment'}`;
    case 'excluded':
      if (reason === 'opted-out') return 'Opted out, so no call was made';
      return reason === 'no-consent' ? 'Consent refused, so no call was made' : 'Excluded, so no call was made';
  }
}

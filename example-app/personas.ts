import type { SegmentStatus } from 'express-aam-segments';
import type { Fault } from 'express-aam-segments/testing';
import { SEGMENTS } from './aam';

/** Somebody in whose shoes the shop can be visited. */
export interface Persona {
  readonly key: string;
  readonly label: string;
  /** Whom Adobe's cookie names: always the same visitor, another one at every click, or nobody yet. */
  readonly ecid?: string | 'another';
  readonly region?: number;
  readonly optOut?: string;
  /** What Audience Manager says of them. */
  readonly segments?: readonly number[];
  /** What happens to the calls about them, and to no others. */
  readonly fault?: Fault;
  /** What there is to see, by the status that a page was served with. */
  readonly notes?: Partial<Record<SegmentStatus, string>>;
}

export const PERSONAS: readonly Persona[] = [
  {
    key: 'first-visit',
    label: 'First visit',
    notes: { anonymous: 'Adobe’s tag has not run in this browser yet: there is no cookie to read.' },
  },
  {
    key: 'golf-fan',
    label: 'Golf fan',
    ecid: '20265673158980419722735089753036633573',
    segments: [SEGMENTS.golfFans],
  },
  {
    key: 'high-value',
    label: 'High value',
    ecid: '41739460152863097554820613377592604418',
    region: 6,
    segments: [SEGMENTS.highValue],
  },
  {
    key: 'opted-out',
    label: 'Opted out',
    ecid: '68120937745120684139057746218309925701',
    optOut: 'global',
    segments: [SEGMENTS.golfFans],
    notes: { excluded: 'A golf fan too, but one who said no: nothing is asked, nothing is remembered.' },
  },
  {
    key: 'dcs-slow',
    label: 'DCS slow',
    ecid: 'another',
    segments: [SEGMENTS.golfFans],
    fault: { kind: 'latency', latencyMs: 700 },
    notes: {
      unknown: 'A golf fan, but the answer takes 700 ms and no page waits that long. Give it a second.',
      cached: 'The answer was too late for the first page and was kept: this page had it at once.',
    },
  },
  {
    key: 'dcs-down',
    label: 'DCS down',
    ecid: 'another',
    segments: [SEGMENTS.golfFans],
    fault: { kind: 'reset' },
    notes: { unknown: 'A golf fan, but every call about them breaks off. The shop is open all the same.' },
  },
];

/** The persona of this key, which may be anything that a browser sends. */
export function personaOf(key: unknown): Persona | undefined {
  return PERSONAS.find((persona) => persona.key === key);
}

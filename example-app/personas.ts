import type { SegmentStatus } from 'express-aam-segments';
import type { Fault } from 'express-aam-segments/testing';
import { SEGMENTS } from './aam';

/** A visitor whom the user can pretend to be. */
export interface Persona {
  readonly key: string;
  readonly label: string;
  /** The ECID in Adobe's cookie; `another` for a new one at each click; without it there is no cookie. */
  readonly ecid?: string | 'another';
  readonly region?: number;
  readonly optOut?: string;
  /** Their segments in Audience Manager. */
  readonly segments?: readonly number[];
  /** A fault for calls about this persona. */
  readonly fault?: Fault;
  /** Explanations, by the status of the page. */
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
    notes: { excluded: 'A golf fan too, but one who opted out: no call is made, nothing is cached.' },
  },
  {
    key: 'dcs-slow',
    label: 'DCS slow',
    ecid: 'another',
    segments: [SEGMENTS.golfFans],
    fault: { kind: 'latency', latencyMs: 700 },
    notes: {
      unknown: 'A golf fan, but the answer takes 700 ms and no page waits that long. Give it a second.',
      cached: 'The answer was too late for the first page, but was cached: this page had it at once.',
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

/** The persona with this key, which comes from the browser and may be anything. */
export function personaOf(key: unknown): Persona | undefined {
  return PERSONAS.find((persona) => persona.key === key);
}

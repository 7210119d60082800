/** The expectations of a chaos run. */
import { type ChaosReport, MAX_WAIT_MS } from './chaos';

export interface Verdict {
  readonly expectation: string;
  readonly isMet: boolean;
  readonly observed: string;
}

const TOLERANCE_MS = 25;
const HEAP_TOLERANCE = 0.1;

/** Expectations that hold for any duration and load. */
export function verdictsOfService(report: ChaosReport): Verdict[] {
  const { serverErrors, wrongSegments, crash, callsAboutOptedOut, overlaps, dcsSockets, maxDcsSockets } = report;
  return [
    { expectation: 'no 5xx', isMet: serverErrors === 0, observed: `${serverErrors}` },
    {
      expectation: 'no wrong segment for any visitor',
      isMet: wrongSegments.length === 0,
      observed: `${wrongSegments.length} ${wrongSegments.slice(0, 3).join('; ')}`,
    },
    {
      expectation: 'no call about a visitor who opted out',
      isMet: callsAboutOptedOut === 0,
      observed: `${callsAboutOptedOut}`,
    },
    { expectation: 'no overlapping calls for a visitor', isMet: overlaps === 0, observed: `${overlaps}` },
    { expectation: 'no unhandled rejection', isMet: crash === undefined, observed: crash ?? 'none' },
    {
      expectation: 'no more sockets than the pools allow',
      isMet: dcsSockets <= maxDcsSockets,
      observed: `${dcsSockets} of at most ${maxDcsSockets}`,
    },
  ];
}

/** Expectations that need a run of minutes on an otherwise idle machine. */
export function verdictsOfMeasure({ heldMs, idleExtraMs, ...report }: ChaosReport): Verdict[] {
  const beyondMs = percentile(heldMs, 99.9) - MAX_WAIT_MS;
  const machineMs = Math.max(0, percentile(idleExtraMs, 99.9));
  const growth = report.heapAtEndBytes / report.heapAfterWarmUpBytes - 1;
  return [
    {
      expectation: `p99.9 of the wait within maxWaitMs + ${TOLERANCE_MS} ms, plus what the machine adds`,
      isMet: beyondMs <= TOLERANCE_MS + machineMs,
      observed: `maxWaitMs ${signed(beyondMs)} ms; the machine adds ${machineMs.toFixed(1)} ms`,
    },
    {
      expectation: 'heap within 10 % of its level after warm-up',
      isMet: growth <= HEAP_TOLERANCE,
      observed: `${megabytes(report.heapAfterWarmUpBytes)}, then ${megabytes(report.heapAtEndBytes)}`,
    },
  ];
}

export function percentile(values: readonly number[], percent: number): number {
  const ascending = [...values].sort((x, y) => x - y);
  const at = Math.ceil((percent / 100) * ascending.length) - 1;
  return ascending[Math.max(0, at)] ?? Number.NaN;
}

function signed(ms: number): string {
  return `${ms < 0 ? '-' : '+'} ${Math.abs(ms).toFixed(1)}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

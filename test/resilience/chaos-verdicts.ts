/** Owns: the checks of a chaos run. */
import { type ChaosReport, MAX_WAIT_MS } from './chaos';

export interface Verdict {
  readonly wanted: string;
  readonly isMet: boolean;
  readonly seen: string;
}

const TOLERANCE_MS = 25;
const HEAP_TOLERANCE = 0.1;

/** Checks that hold for any length of the run and any load of the machine. */
export function verdictsOfService(report: ChaosReport): Verdict[] {
  const { serverErrors, wrongSegments, crash, callsAboutOptedOut, overlaps, dcsSockets, maxDcsSockets } = report;
  return [
    { wanted: 'no 5xx', isMet: serverErrors === 0, seen: `${serverErrors}` },
    {
      wanted: 'no wrong segment for any visitor',
      isMet: wrongSegments.length === 0,
      seen: `${wrongSegments.length} ${wrongSegments.slice(0, 3).join('; ')}`,
    },
    { wanted: 'no call about a visitor who opted out', isMet: callsAboutOptedOut === 0, seen: `${callsAboutOptedOut}` },
    { wanted: 'no simultaneous calls for a visitor', isMet: overlaps === 0, seen: `${overlaps}` },
    { wanted: 'no unhandled rejection', isMet: crash === undefined, seen: crash ?? 'none' },
    {
      wanted: 'sockets back to the size of the pools',
      isMet: dcsSockets <= maxDcsSockets,
      seen: `${dcsSockets} of at most ${maxDcsSockets}`,
    },
  ];
}

/** Checks that need a run of minutes on an idle machine. */
export function verdictsOfMeasure({ heldMs, idleExtraMs, ...report }: ChaosReport): Verdict[] {
  const beyondMs = percentile(heldMs, 99.9) - MAX_WAIT_MS;
  const machineMs = Math.max(0, percentile(idleExtraMs, 99.9));
  const growth = report.heapAtEndBytes / report.heapAfterWarmUpBytes - 1;
  return [
    {
      wanted: `no wait above maxWaitMs + ${TOLERANCE_MS} ms at p99.9, beyond the overhead of the machine`,
      isMet: beyondMs <= TOLERANCE_MS + machineMs,
      seen: `maxWaitMs ${signed(beyondMs)} ms; overhead of the machine ${machineMs.toFixed(1)} ms`,
    },
    {
      wanted: 'heap within 10 % of its level after warm-up',
      isMet: growth <= HEAP_TOLERANCE,
      seen: `${megabytes(report.heapAfterWarmUpBytes)}, then ${megabytes(report.heapAtEndBytes)}`,
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

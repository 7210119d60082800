/** Owns: the checks of a chaos run. */
import { type ChaosReport, MAX_CALLS_PER_MINUTE, MAX_WAIT_MS } from './chaos';
import {
  callsAfterRefusal,
  eventsAfterOptOut,
  eventsOutOfOrder,
  type LoggedCall,
  missingOptOuts,
  mostCallsInAMinute,
  overlappingCalls,
  repeatedEvents,
} from './chaos-calls';

export interface Verdict {
  readonly wanted: string;
  readonly isMet: boolean;
  readonly seen: string;
}

const TOLERANCE_MS = 25;
const HEAP_TOLERANCE = 0.1;

/** Checks that hold for any length of the run and any load of the machine. */
export function verdictsOfService(report: ChaosReport): Verdict[] {
  const { serverErrors, wrongSegments, crash, callsAboutOptedOut, dcsSockets, maxDcsSockets } = report;
  return [
    { wanted: 'no 5xx', isMet: serverErrors === 0, seen: `${serverErrors}` },
    {
      wanted: 'no wrong segment for any visitor',
      isMet: wrongSegments.length === 0,
      seen: `${wrongSegments.length} ${wrongSegments.slice(0, 3).join('; ')}`,
    },
    { wanted: 'no call about a visitor who opted out', isMet: callsAboutOptedOut === 0, seen: `${callsAboutOptedOut}` },
    ...verdictsOfCalls(report),
    { wanted: 'no unhandled rejection', isMet: crash === undefined, seen: crash ?? 'none' },
    {
      wanted: 'sockets back to the size of the pools',
      isMet: dcsSockets <= maxDcsSockets,
      seen: `${dcsSockets} of at most ${maxDcsSockets}`,
    },
  ];
}

/** Checks of what the DCS received, and of what is left when it is well again. */
export function verdictsOfCalls(
  report: Pick<ChaosReport, 'calls' | 'refusals' | 'optOuts' | 'settledInMs' | 'end'>,
): Verdict[] {
  const { calls, refusals, optOuts, settledInMs, end } = report;
  const none = (wanted: string, found: readonly object[], of: string): Verdict => {
    return { wanted, isMet: found.length === 0, seen: `${found.length} of ${of}${shown(found)}` };
  };
  const events = `${calls.filter(({ event }) => event !== undefined).length} events`;
  const most = mostCallsInAMinute(calls);
  const { made = 0, settled = 0 } = end?.promises ?? {};
  return [
    none('no simultaneous calls for a visitor', overlappingCalls(calls), `${calls.length} calls`),
    none('no event twice, unless it was turned away', repeatedEvents(calls), events),
    none('the events of a visitor in their order', eventsOutOfOrder(calls), events),
    none('no call after a refusal', callsAfterRefusal(calls, refusals), `${refusals.length} refusals`),
    none('every opt-out sent', missingOptOuts(calls, optOuts), `${optOuts.length} opt-outs`),
    none('nothing told after an opt-out that was to be told before', eventsAfterOptOut(calls, optOuts), events),
    {
      wanted: `at most ${MAX_CALLS_PER_MINUTE} calls a minute for a visitor`,
      isMet: most <= MAX_CALLS_PER_MINUTE,
      seen: `${most}`,
    },
    {
      wanted: 'nothing left when the DCS is well again',
      isMet: settledInMs !== undefined,
      seen: `${made - settled} of ${made} promises, ${settledInMs === undefined ? 'not' : `all`} done in ${Math.round(settledInMs ?? Number.NaN)} ms`,
    },
  ];
}

function shown(found: readonly object[]): string {
  const lines = found.slice(0, 3).map((each) => {
    const { visitor, at, event, seq } = each as Partial<LoggedCall>;
    return JSON.stringify({ visitor, at, event, seq });
  });
  return lines.length === 0 ? '' : `: ${lines.join('; ')}`;
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

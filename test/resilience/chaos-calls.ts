/**
 * Owns: what the simulator's log shows about the order of the calls: events, refusals, opt-outs, and how many calls there
 * were about one visitor. Next: chaos-verdicts.ts.
 */
import type { DcsRequest } from 'express-aam-segments/testing';

/** What is kept of a call. */
export interface LoggedCall {
  readonly visitor: string;
  readonly at: number;
  readonly endedAt: number | undefined;
  readonly isOptOut: boolean;
  /** Turned away unread. */
  readonly isTurnedAway: boolean;
  readonly overlapped: boolean;
  /** The number of the event. */
  readonly event: number | undefined;
  /** The place of the request that has set it off, where it shows that. */
  readonly seq: number | undefined;
}

/** A refusal, or an opt-out, that the site has answered. */
export interface Withdrawal {
  readonly visitor: string;
  readonly seq: number;
  readonly answeredAt: number;
}

/** An opt-out, and how it was rejected, if it was. */
export interface OptOut extends Withdrawal {
  readonly code: string | undefined;
}

/** A call that failed so may have been sent and not have arrived: on a busy machine, or because of a fault. */
const LOST: readonly (string | undefined)[] = ['ERR_AAM_DCS_TIMEOUT', 'ERR_AAM_DCS_NETWORK'];

const MINUTE_MS = 60_000;
/** Calls arrive a little later than they are sent, not all equally. */
const ARRIVAL_MS = 250;
/** A call that was sent before a refusal may be read after the answer to that: both were on their way here. */
const ON_ITS_WAY_MS = 30;
/** The close of a connection may be noticed after a call that was sent on another one later. */
const CLOSE_NOTICED_MS = 10;

export function loggedCall({ params, path, ...entry }: DcsRequest): LoggedCall {
  const number = (value: unknown) => (value === undefined ? undefined : Number(value));
  return {
    visitor: entry.visitor ?? '',
    at: entry.at,
    endedAt: entry.endedAt,
    isOptOut: path !== '/event',
    isTurnedAway: entry.answeredStatus === 429,
    overlapped: entry.overlapped,
    event: number(params.c_n),
    seq: number(params.c_seq),
  };
}

/** Each visitor's calls, in the order of arrival. */
function byVisitor(calls: readonly LoggedCall[]): Map<string, LoggedCall[]> {
  const map = new Map<string, LoggedCall[]>();
  for (const call of [...calls].sort((x, y) => x.at - y.at)) {
    const present = map.get(call.visitor);
    if (present === undefined) map.set(call.visitor, [call]);
    else present.push(call);
  }
  return map;
}

/** Events that arrived again, though they had not been turned away unread. */
export function repeatedEvents(calls: readonly LoggedCall[]): LoggedCall[] {
  const read = new Set<number>();
  return [...calls]
    .sort((x, y) => x.at - y.at)
    .filter(({ event, isTurnedAway }) => {
      if (event === undefined) return false;
      if (read.has(event)) return true;
      if (!isTurnedAway) read.add(event);
      return false;
    });
}

/** Events that arrived after a later one of the same visitor. */
export function eventsOutOfOrder(calls: readonly LoggedCall[]): LoggedCall[] {
  return [...byVisitor(calls).values()].flatMap((ofVisitor) => {
    let latest = -1;
    return ofVisitor.filter(({ event }) => {
      if (event === undefined) return false;
      if (event < latest) return true;
      latest = event;
      return false;
    });
  });
}

/** Calls that an older request had set off, and that arrived after the refusal had been answered. */
export function callsAfterRefusal(calls: readonly LoggedCall[], refusals: readonly Withdrawal[]): LoggedCall[] {
  const ofVisitor = new Map<string, Withdrawal[]>();
  for (const refusal of refusals) {
    const { visitor } = refusal;
    ofVisitor.set(visitor, [...(ofVisitor.get(visitor) ?? []), refusal]);
  }
  return calls.filter(({ visitor, seq, at }) => {
    if (seq === undefined) return false;
    return ofVisitor.get(visitor)?.some((refusal) => seq < refusal.seq && refusal.answeredAt + ON_ITS_WAY_MS < at);
  });
}

/** Opt-outs that never arrived, and whose caller was not told that they failed on the way. */
export function missingOptOuts(calls: readonly LoggedCall[], optOuts: readonly OptOut[]): OptOut[] {
  const sent = new Set(calls.filter(({ isOptOut }) => isOptOut).map(({ visitor }) => visitor));
  return optOuts.filter(({ visitor, code }) => !sent.has(visitor) && !LOST.includes(code));
}

/** What was to be told before the opt-out, and arrived after it. */
export function eventsAfterOptOut(calls: readonly LoggedCall[], optOuts: readonly Withdrawal[]): LoggedCall[] {
  const seqs = new Map(optOuts.map(({ visitor, seq }) => [visitor, seq]));
  return [...byVisitor(calls)].flatMap(([visitor, ofVisitor]) => {
    const first = ofVisitor.findIndex(({ isOptOut }) => isOptOut);
    const optOutSeq = seqs.get(visitor);
    if (first === -1 || optOutSeq === undefined) return [];
    return ofVisitor.slice(first).filter(({ seq }) => seq !== undefined && seq < optOutSeq);
  });
}

/** Calls that arrived before an earlier one about the same visitor had ended. */
export function overlappingCalls(calls: readonly LoggedCall[]): LoggedCall[] {
  return [...byVisitor(calls).values()].flatMap((ofVisitor) =>
    ofVisitor.filter(({ at, overlapped }, n) => {
      const isOpen = ({ endedAt }: LoggedCall) => endedAt === undefined || endedAt > at + CLOSE_NOTICED_MS;
      return overlapped && ofVisitor.slice(0, n).some(isOpen);
    }),
  );
}

/** The most lookups and events about one visitor within a minute. */
export function mostCallsInAMinute(calls: readonly LoggedCall[]): number {
  let most = 0;
  for (const ofVisitor of byVisitor(calls).values()) {
    const counted = ofVisitor.filter(({ isOptOut }) => !isOptOut);
    let first = 0;
    for (const [n, { at }] of counted.entries()) {
      while ((counted[first] as LoggedCall).at <= at - MINUTE_MS + ARRIVAL_MS) first++;
      most = Math.max(most, n - first + 1);
    }
  }
  return most;
}

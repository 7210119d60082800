/** What holds after every step: nothing waits for nothing, and the counts say what is. */
import type { DcsStats } from '../../src/dcs/dcs';
import { must } from './broken-rule';
import type { FakeClock } from './fake-clock';
import type { FakeTransport } from './fake-transport';
import type { OriginRules } from './origin-rules';
import type { RecordedCall } from './recorded-calls';
import type { WireRulesHost } from './wire-rules';

export interface WaitingRulesHost extends WireRulesHost {
  readonly clock: FakeClock;
  readonly transport: FakeTransport;
  /** How the events have ended that are over. */
  readonly ended: { sent: number; failed: number; dropped: number };
}

/** Timers may fire a little late. */
const SLACK_MS = 1;

export function checkWaiting(host: WaitingRulesHost): void {
  const { calls, transport } = host;
  const stats = calls.stats();
  const waitingEvents: RecordedCall[] = [];
  const busy = new Set<string>();
  let queued = 0;
  for (const record of calls.live) {
    if (record.isOver) {
      must(record.result !== undefined, 'what is over has ended', () => String(record));
      calls.live.delete(record);
      continue;
    }
    const phase = record.call?.phase;
    if (phase === 'waiting') {
      if (record.kind === 'event') waitingEvents.push(record);
      continue;
    }
    must(!busy.has(record.key), 'one call about a visitor has its turn', () => String(record));
    busy.add(record.key);
    if (phase === 'queued') {
      queued++;
      record.wasQueued = true;
      continue;
    }
    must(transport.onWire.has(record.exchange as never), 'what runs is on the wire', () => String(record));
  }
  checkCounts(host, stats, queued, waitingEvents.length);
  for (const record of calls.live) {
    if (record.call?.phase === 'waiting' && !busy.has(record.key)) checkWaitingCall(host, record, waitingEvents);
  }
}

function checkCounts(host: WaitingRulesHost, stats: DcsStats, queued: number, waitingEvents: number): void {
  const { calls, limits, coverage, clock, transport, ended } = host;
  const { events } = stats;
  must(stats.inFlight === calls.live.size, 'stats().inFlight', () => `${stats.inFlight}, not ${calls.live.size}`);
  must(stats.calls === transport.attempts, 'stats().calls');
  must(events.queued === waitingEvents, 'stats().events.queued', () => `${events.queued}, not ${waitingEvents}`);
  must(events.queued <= limits.maxQueuedEvents, 'no more events wait than maxQueuedEvents', () => `${events.queued}`);
  must(
    events.sent === ended.sent && events.failed === ended.failed && events.dropped === ended.dropped,
    'stats().events',
    () => `${JSON.stringify(events)}, not ${JSON.stringify(ended)}`,
  );
  let queuedAtGates = 0;
  let running = 0;
  for (const [name, origin] of Object.entries(stats.origins)) {
    queuedAtGates += origin.queued;
    running += origin.running;
    must(
      origin.running === host.originOf(name).running,
      'stats().origins.running',
      () => `${origin.running} at ${name}`,
    );
    must(origin.queued <= limits.maxQueuedCalls, 'no more calls are queued than maxQueuedCalls');
    if (origin.queued === limits.maxQueuedCalls) coverage.count('limit: queue full');
    if (origin.queued === 0) continue;
    must(origin.running >= limits.connections, 'no call is queued while a connection is free', () => name);
    must(clock.nextAtMs <= clock.nowMs() + limits.timeoutMs, 'what is queued has a deadline');
  }
  must(queuedAtGates === queued, 'stats().origins.queued', () => `${queuedAtGates}, not ${queued}`);
  must(running === transport.onWire.size, 'what runs is counted');
}

/** A call that waits although no other call about its visitor has its turn. */
function checkWaitingCall(host: WaitingRulesHost, record: RecordedCall, waitingEvents: RecordedCall[]): void {
  const { facts, limits, clock, coverage } = host;
  const details = () => String(record);
  must(record.kind !== 'opt-out', 'an opt-out waits for nothing but a running call', details);
  const freeAtMs = facts.of(record.key).freeAtMs(limits.maxCallsPerMinute);
  if (freeAtMs > clock.nowMs()) {
    must(record.kind === 'event', 'a lookup does not wait for a cooldown', details);
    must(freeAtMs < Number.POSITIVE_INFINITY, 'nothing waits for ever', details);
    must(clock.nextAtMs <= freeAtMs + SLACK_MS, 'a timer is set for the end of a cooldown', details);
    coverage.count('event waits for its visitor');
    return;
  }
  // Those behind the first are after it.
  const first = waitingEvents.find(({ key }) => key === record.key);
  if (record.kind === 'event' && record !== first) return;
  if (record.kind === 'lookup') {
    must(first !== undefined && first.n < record.n, 'a lookup waits for its turn only', details);
  }
  const { home, target } = host.originsOf(first as RecordedCall);
  const server = host.originOf(target);
  if (!server.isShut) {
    must(!server.hasRoomForEvent, 'no event waits while there is room', () => `${details()} for ${target}`);
    coverage.count('event waits for room');
    return;
  }
  must(record.kind === 'event', 'a lookup overtakes an event that is held back', details);
  coverage.count('event held back');
  if (server.probe !== undefined || host.originOf(home).probe !== undefined) return;
  must(clock.nextAtMs <= wakeUpAtMs(server) + SLACK_MS, 'a timer is set for the opening of a server', details);
}

function wakeUpAtMs(server: OriginRules): number {
  return server.opensAtMs;
}

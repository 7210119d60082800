import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel';
import type {
  AamStats,
  BreakerMessage,
  DcsCallMessage,
  DcsClientStats,
  DecisionMessage,
  EventMessage,
  RequestMessage,
} from 'express-aam-segments';

/** All messages, in their order on each channel. */
export interface Watch {
  readonly requests: RequestMessage[];
  readonly decisions: DecisionMessage[];
  readonly breakers: BreakerMessage[];
  readonly events: EventMessage[];
  /** Each message about a call, with the name of its channel. */
  readonly calls: (readonly [name: string, message: DcsCallMessage])[];
  stop(): void;
}

const PHASES = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;
const open: (() => void)[] = [];

export const CHANNELS = {
  requests: channel('express-aam-segments:request'),
  decisions: channel('express-aam-segments:request:decision'),
  breakers: channel('express-aam-segments:breaker'),
  events: channel('express-aam-segments:event'),
};
export const dcsCalls = tracingChannel<unknown, DcsCallMessage>('express-aam-segments:dcs-call');

/** Subscribes to a channel, until {@link stopWatching}. */
export function on<Message>(to: Channel, subscriber: (message: Message) => void): () => void {
  const listener = (message: unknown) => subscriber(message as Message);
  to.subscribe(listener);
  const stop = () => void to.unsubscribe(listener);
  open.push(stop);
  return stop;
}

/** Subscribes to all channels, until {@link stopWatching}. */
export function watch(): Watch {
  const seen = { requests: [], decisions: [], breakers: [], events: [] };
  const calls: Watch['calls'] = [];
  const stops = [
    ...Object.entries(CHANNELS).map(([name, each]) =>
      on(each, (message: never) => seen[name as keyof typeof seen].push(message)),
    ),
    ...PHASES.map((phase) => on(dcsCalls[phase], (message: DcsCallMessage) => calls.push([phase, message]))),
  ];
  return {
    ...seen,
    calls,
    stop() {
      for (const stop of stops) stop();
    },
  };
}

/** Ends all subscriptions of a test. */
export function stopWatching(): void {
  for (const stop of open.splice(0)) stop();
}

/** When all messages about what has happened have been published. */
export function published(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The calls about an instance that have no `asyncEnd` yet. */
export function runningCalls({ calls }: Watch, instance: object): DcsCallMessage[] {
  const running = new Set<DcsCallMessage>();
  for (const [phase, message] of calls) {
    if (message.instance !== instance) continue;
    if (phase === 'start') running.add(message);
    if (phase === 'asyncEnd') running.delete(message);
  }
  return [...running];
}

interface Stats extends Omit<DcsClientStats, 'advice'>, Partial<Pick<AamStats, 'requests'>> {}

/** What a subscriber that only counts messages knows of an instance. */
export function countedBy(watched: Watch, instance: object) {
  const isMeant = (message: { readonly instance: object }) => message.instance === instance;
  const events = { queued: 0, sent: 0, failed: 0, dropped: 0 };
  for (const { outcome } of watched.events.filter(isMeant)) events[outcome]++;
  const running = runningCalls(watched, instance);
  // A rate limited event waits again when its connection is free.
  const onTheirWay = running.filter(
    ({ kind, outcome, reason }) => kind === 'event' && (outcome === undefined || reason === 'rate-limited'),
  );
  events.queued -= events.sent + events.failed + events.dropped + onTheirWay.length;
  const requests: Record<string, number> = {};
  for (const { status } of watched.requests.filter(isMeant)) requests[status] = (requests[status] ?? 0) + 1;
  const breakers: Record<string, string> = {};
  for (const { origin, state } of watched.breakers.filter(isMeant)) breakers[origin] = state;
  let calls = 0;
  for (const [phase, message] of watched.calls) if (phase === 'start' && isMeant(message)) calls += message.attempts;
  return { requests, breakers, calls, running: running.length, events };
}

/** The same according to `stats()`: what was never counted is left out, as no message tells of it. */
export function countsIn({ requests = {} as never, origins, calls, events }: Stats) {
  const breakers = Object.entries(origins).map(([origin, { breaker }]) => [origin, breaker] as const);
  return {
    requests: Object.fromEntries(Object.entries(requests).filter(([, count]) => count > 0)),
    breakers: Object.fromEntries(breakers),
    calls,
    running: Object.values(origins).reduce((sum, { running }) => sum + running, 0),
    events,
  };
}

/** That both agree. A breaker that never changed is closed. */
export function expectEqualCounts(watched: Watch, instance: object & { stats(): Stats }): void {
  const stated = countsIn(instance.stats());
  const counted = countedBy(watched, instance);
  const closed = Object.fromEntries(Object.keys(stated.breakers).map((origin) => [origin, 'closed']));
  expect({ ...counted, breakers: { ...closed, ...counted.breakers } }).toEqual(stated);
}

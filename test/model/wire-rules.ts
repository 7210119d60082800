/** What holds whenever a call is sent, answered, given up or released. */
import type { CallResult } from '../../src/dcs/flow/call';
import { must } from './broken-rule';
import type { Coverage } from './coverage';
import { meaningOf, type Outcome } from './dcs-outcomes';
import type { FakeExchange, WireListener, WireResult } from './fake-transport';
import type { Limits } from './limits';
import type { OriginRules } from './origin-rules';
import type { CallsListener, Moments, RecordedCall, RecordedDcs } from './recorded-calls';
import type { AllFacts } from './visitor-facts';

/** What the rules need of the modelled site. */
export interface WireRulesHost {
  readonly limits: Limits;
  readonly coverage: Coverage;
  readonly moments: Moments;
  readonly facts: AllFacts;
  readonly calls: RecordedDcs;
  readonly closedAtMs: number | undefined;
  /** Whether close() has ended what it was waiting for. */
  readonly isTimeUpForEvents: boolean;
  readonly isTimeUp: boolean;
  nowMs(): number;
  broken(error: unknown): void;
  originOf(name: string): OriginRules;
  /** The server of the visitor's region, and the one that would be called now. */
  originsOf(record: RecordedCall): { readonly home: string; readonly target: string };
}

export class WireRules implements WireListener, CallsListener {
  readonly #host: WireRulesHost;
  /** What the model has made the DCS answer. */
  readonly outcomes = new WeakMap<FakeExchange, Outcome>();
  readonly sentAt = new Map<number, { readonly moment: number; readonly record: RecordedCall }>();

  constructor(host: WireRulesHost) {
    this.#host = host;
  }

  making(record: RecordedCall): void {
    this.#host.coverage.count(`made: ${record.kind}`);
    record.madeAt = this.#host.moments.next();
    record.isAboutKnown = this.#host.facts.of(record.key).isRemembered;
  }

  sending(exchange: FakeExchange): void {
    const { calls, facts, coverage, moments, closedAtMs, isTimeUp, isTimeUpForEvents, limits } = this.#host;
    const record = calls.ofExchange(exchange);
    const { key, kind, keys } = record;
    const about = facts.of(key);
    const nowMs = this.#host.nowMs();
    const details = () => String(record);
    must(about.onWire === undefined, 'one call about a visitor at a time', () => `${record} beside ${about.onWire}`);
    must(record.result === undefined, 'what has ended is not sent', details);
    must(record.sends === 0 || record.isTurnedAway, 'nothing is sent twice', details);
    if (closedAtMs !== undefined) {
      must(kind !== 'lookup', 'no lookup after close()', details);
      must(record.madeAtMs <= closedAtMs, 'after close() only what came before is sent', details);
      const isLate = isTimeUp || (kind === 'event' && isTimeUpForEvents);
      must(!isLate, 'nothing is sent later than its time after close()', details);
    }
    if (kind !== 'opt-out') {
      must(facts.withdrawnAt(keys) <= record.requestedAt, 'nothing is asked or told after a refusal', details);
      must(!about.isDenylisted, 'no call about a denylisted id', details);
      must(nowMs >= about.cooldownUntilMs, 'no call during the cooldown', details);
      must(nowMs >= about.budgetFreeAtMs(limits.maxCallsPerMinute), 'no more than maxCallsPerMinute', details);
    }
    if (kind === 'event') {
      const last = about.lastEvent;
      must(
        last === undefined || last === record || last.n < record.n,
        'events in order',
        () => `${record} after ${last}`,
      );
      about.lastEvent = record;
      if (record.isTurnedAway) coverage.count('event: sent again after a 429');
    }
    this.#mustBeItsOrigin(exchange, record);
    about.onWire = record;
    record.isBetween = keys.some((each) => facts.of(each).isOptOutEnding);
    record.exchange = exchange;
    record.sends++;
    record.isTurnedAway = false;
    this.#host.originOf(exchange.origin).sending(record);
    this.sentAt.set(exchange.id, { moment: moments.next(), record });
  }

  attempting(exchange: FakeExchange): void {
    this.#host.facts.of(this.#host.calls.ofExchange(exchange).key).sentAtMs.push(this.#host.nowMs());
  }

  settling(exchange: FakeExchange, result: WireResult): void {
    const { calls, facts, coverage, limits } = this.#host;
    const record = calls.ofExchange(exchange);
    if (record.result !== undefined) return;
    const outcome = this.outcomes.get(exchange) ?? ('reason' in result ? result.reason : 'segments');
    const meaning = meaningOf(outcome as Outcome, record.kind === 'opt-out');
    coverage.count(`${record.kind}: ${outcome}`);
    const about = facts.of(record.key);
    const nowMs = this.#host.nowMs();
    const cooldownMs = { none: 0, failure: limits.failureCooldownMs, 'no-data': limits.noDataCooldownMs }[
      meaning.cooldown
    ];
    about.cooldownUntilMs = Math.max(about.cooldownUntilMs, nowMs + cooldownMs);
    if (record.kind === 'event' && outcome.startsWith('429')) record.isTurnedAway = true;
    if (meaning.is !== 'failure' && record.kind !== 'opt-out') about.answeredAt = this.#host.moments.next();
    if (meaning.reason === 'denylisted') about.isDenylisted = true;
    this.#remember(record, exchange, meaning);
    this.#host.originOf(exchange.origin).settling(record, meaning, result);
  }

  settled(exchange: FakeExchange): void {
    this.#host.originOf(exchange.origin).look();
  }

  releasing(exchange: FakeExchange): void {
    const record = this.#host.calls.ofExchange(exchange);
    this.#host.facts.of(record.key).onWire = undefined;
    this.#host.originOf(exchange.origin).released(record);
  }

  broken(error: unknown): void {
    this.#host.broken(error);
  }

  ended(record: RecordedCall, result: CallResult): void {
    const { coverage } = this.#host;
    if ('failure' in result)
      coverage.count(`ended: ${record.kind} ${result.failure.reason}${record.sends === 0 ? ' unsent' : ''}`);
    else if ('isDropped' in result) this.#mustBeFair(record);
    else coverage.count(`ended: ${record.kind} answered`);
    if (record.kind !== 'opt-out') return;
    for (const key of record.keys) this.#host.facts.of(key).isOptOutEnding = true;
    this.#mustHaveBeenSent(record, result);
  }

  givingUp(isMeant: (record: RecordedCall) => boolean): void {
    for (const record of this.#host.calls.live) if (isMeant(record)) this.#giveUp(record);
  }

  #giveUp(record: RecordedCall): void {
    const { exchange } = record;
    if (exchange === undefined || exchange.isSettled || record.isGivenUp || record.result !== undefined) return;
    record.isGivenUp = true;
    this.#host.originOf(exchange.origin).givenUp(record);
  }

  #remember(record: RecordedCall, exchange: FakeExchange, meaning: ReturnType<typeof meaningOf>): void {
    if (record.kind === 'opt-out' || meaning.is === 'failure') return;
    const { facts } = this.#host;
    const about = facts.of(record.key);
    if (record.isBetween) {
      about.said = undefined;
      about.rememberedFrom.clear();
      return;
    }
    const sentAt = this.sentAt.get(exchange.id)?.moment as number;
    if (facts.outdatedAt(record.keys) > sentAt) return;
    if (record.kind === 'event') about.eventAt = this.#host.moments.next();
    const { reason, holdsForMs = 0 } = meaning;
    if (reason === undefined) {
      about.said = undefined;
      about.rememberedFrom.set(record.variant, sentAt);
    } else {
      about.said = { reason, untilMs: this.#host.nowMs() + holdsForMs };
      about.rememberedFrom.clear();
    }
  }

  #mustBeItsOrigin(exchange: FakeExchange, record: RecordedCall): void {
    if (record.kind === 'opt-out' || record.wasQueued) return;
    const { home } = this.#host.originsOf(record);
    if (exchange.origin === home) return;
    const region = this.#host.originOf(home);
    region.noticeOpening();
    // A refusal may be about to end its probe, too.
    const isShut = region.isBreakerShut || region.stats.breaker === 'half-open';
    must(
      this.#host.limits.failover && isShut,
      'another origin only while the breaker of the region is open',
      () => `${record} at ${exchange.origin}`,
    );
    this.#host.coverage.count('failover');
  }

  #mustHaveBeenSent(record: RecordedCall, result: CallResult): void {
    const { closedAtMs, isTimeUp } = this.#host;
    const isClosed = 'failure' in result && result.failure.reason === 'closed';
    must(record.sends > 0 || isClosed, 'an opt-out is always sent', () => `${record}: ${JSON.stringify(result)}`);
    if (!isClosed) return;
    const cameAfter = record.call === undefined && closedAtMs !== undefined;
    must(cameAfter || isTimeUp, 'close() waits for opt-outs', () => String(record));
  }

  /** Those go first whose visitor has the most waiting; of several, one about whom nothing is known. */
  #mustBeFair(dropped: RecordedCall): void {
    const { calls, facts, coverage, limits } = this.#host;
    coverage.count('limit: event dropped');
    const counts = new Map<string, number>();
    const about = facts.of(dropped.key);
    let waiting = 0;
    let isKnown = true;
    for (const record of calls.live) {
      // The one that is just being made waits, too.
      const waits = record.call === undefined || record.call.phase === 'waiting';
      if (record.kind !== 'event' || !(waits || record === dropped)) continue;
      counts.set(record.key, (counts.get(record.key) ?? 0) + 1);
      waiting++;
      // Of those that were told before and after a forget() the later ones decide.
      if (record.key === dropped.key) isKnown &&= record.isAboutKnown || about.answeredAt > record.madeAt;
    }
    must(waiting > limits.maxQueuedEvents, 'nothing is dropped while there is room', () => `${waiting} waiting`);
    const most = Math.max(...counts.values());
    must(counts.get(dropped.key) === most, 'events of the most crowded visitor are dropped', () => String(dropped));
    if (!isKnown) return;
    const stranger = [...counts].find(([key, count]) => count === most && facts.of(key).answeredAt === 0);
    const isWrong = stranger !== undefined && !canForget(limits);
    must(!isWrong, 'events of strangers are dropped first', () => `${dropped} before ${stranger?.[0]}`);
    coverage.count('dropped: of a known visitor');
    if (most === 1) coverage.count('dropped: all have one waiting');
  }
}

/** Whether the cache is so small that answers leave it before their time. */
export function canForget({ maxVisitors }: Limits): boolean {
  return maxVisitors < 1_000;
}

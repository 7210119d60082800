/**
 * A modelled site: the real core on a transport and a clock of the model's. It takes one step after the other, and after
 * each checks every rule. Where a request goes through the middleware, the few lines of it that decide on the way are
 * repeated here: it cannot be had without HTTP.
 */
import { DcsCalls } from '../../src/dcs/dcs-calls';
import { Regions } from '../../src/dcs/protocol/regions';
import type { NoAnswer } from '../../src/lookup/answer-loader';
import { AnswerResolver, type PendingAnswer } from '../../src/lookup/answer-resolver';
import { lookupVisitor } from '../../src/lookup/lookup-visitor';
import { sendEventOf } from '../../src/lookup/send-event';
import { ResponsePrivacy } from '../../src/request/response-privacy';
import { transactionIdOf } from '../../src/segments/packed-answer';
import { SegmentNames } from '../../src/segments/segment-refs';
import { excluded, type ServedAnswer } from '../../src/segments/served-answer';
import { type Instance, VisitorSegments } from '../../src/segments/visitor-segments';
import { must } from './broken-rule';
import type { Coverage } from './coverage';
import { wireResultOf } from './dcs-outcomes';
import { FakeClock } from './fake-clock';
import { type FakeExchange, FakeTransport } from './fake-transport';
import type { Limits } from './limits';
import { OriginRules } from './origin-rules';
import { Moments, type RecordedCall, RecordedDcs } from './recorded-calls';
import { checkBegun, checkMade, checkServed, type PageRequest } from './serving-rules';
import type { Step } from './steps';
import { AllFacts } from './visitor-facts';
import { inventedVisitor, type ModelVisitor, VISITORS, variantOf } from './visitors';
import { checkWaiting, type WaitingRulesHost } from './waiting-rules';
import { WireRules } from './wire-rules';

const DEFAULT_ORIGIN = 'https://default.test';
const REGIONS = [6, 7, 9];
const UNKNOWN_REGION = 5;
/** Requests whose events may come late. */
const MAX_RECENT = 8;
const MAX_ROUNDS = 5_000;
/** Room for all who come. The default takes longer to set up than a history to run. */
const MAX_CALLED_VISITORS = 3_000;

interface HeldRequest extends PageRequest {
  readonly untilMs: number;
  readonly pending: PendingAnswer;
}

interface ServedRequest extends PageRequest {
  readonly segments: VisitorSegments;
}

export class Site implements WaitingRulesHost {
  readonly limits: Limits;
  readonly coverage: Coverage;
  readonly clock = new FakeClock();
  readonly moments = new Moments();
  readonly facts = new AllFacts();
  readonly transport: FakeTransport;
  readonly calls: RecordedDcs;
  readonly ended = { sent: 0, failed: 0, dropped: 0 };
  closedAtMs: number | undefined;
  /** Whether close() has ended what it was waiting for. */
  isTimeUpForEvents = false;
  isTimeUp = false;
  readonly #wire: WireRules;
  readonly #resolver: AnswerResolver;
  readonly #instance: Instance = {
    names: new SegmentNames(new Map()),
    privacy: new ResponsePrivacy({ varyCookie: false }),
  };
  readonly #origins = new Map<string, OriginRules>();
  readonly #regions: Regions;
  readonly #asked: PageRequest[] = [];
  readonly #held = new Set<HeldRequest>();
  readonly #recent: ServedRequest[] = [];
  #invented = 0;
  #signals = 0;
  #unsettled = 0;
  #hasClosed = false;
  /** What broke where the code under test would have swallowed it. */
  #broken: unknown;

  constructor(limits: Limits, coverage: Coverage) {
    this.limits = limits;
    this.coverage = coverage;
    this.#wire = new WireRules(this);
    const origins = REGIONS.slice(0, limits.regions).map((id) => [id, new URL(`https://r${id}.test`)] as const);
    this.#regions = new Regions(new Map(origins), new URL(DEFAULT_ORIGIN));
    this.transport = new FakeTransport(limits, this.clock, this.#wire);
    const dcs = new DcsCalls(
      { ...limits, orgId: 'org', maxCalledVisitors: MAX_CALLED_VISITORS, regions: this.#regions, segmentIds: 'sid' },
      this.transport,
      this.clock,
    );
    const nowMs = () => this.nowMs();
    const listener = {
      making: (record: RecordedCall) => {
        checkMade(this, record);
        this.#wire.making(record);
      },
      ended: (...[record, result]: Parameters<WireRules['ended']>) => {
        if (record.kind === 'event')
          this.ended['reply' in result ? 'sent' : 'failure' in result ? 'failed' : 'dropped']++;
        if (record.call !== undefined && 'failure' in result && result.failure.reason === 'closed') {
          if (record.kind === 'event') this.isTimeUpForEvents ||= this.isEnding;
          if (record.kind === 'opt-out') this.isTimeUp ||= this.isEndingOptOuts;
        }
        this.#wire.ended(record, result);
      },
      givingUp: (isMeant: Parameters<WireRules['givingUp']>[0]) => this.#wire.givingUp(isMeant),
    };
    this.calls = new RecordedDcs(dcs, listener, nowMs);
    this.#resolver = new AnswerResolver(
      {
        destinations: new Map(),
        dcs: { segmentIds: 'sid' },
        cache: { ...limits, maxBytes: 134_217_728, keySecret: undefined },
      },
      this.calls,
      nowMs,
    );
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  get isEnding(): boolean {
    return this.closedAtMs !== undefined && this.nowMs() >= this.closedAtMs + this.limits.timeoutMs;
  }

  /** An opt-out may have waited for an event as long as a call may take, and has as long again. */
  get isEndingOptOuts(): boolean {
    return this.closedAtMs !== undefined && this.nowMs() >= this.closedAtMs + 2 * this.limits.timeoutMs;
  }

  broken(error: unknown): void {
    this.#broken ??= error;
  }

  originOf(name: string): OriginRules {
    let origin = this.#origins.get(name);
    if (origin === undefined) {
      const statsOf = () => this.calls.stats().origins[name];
      origin = new OriginRules(this.limits, this.coverage, statsOf, this);
      this.#origins.set(name, origin);
    }
    return origin;
  }

  originsOf(record: RecordedCall): { readonly home: string; readonly target: string } {
    const home = this.#regions.originOf(record.region).origin;
    if (!this.limits.failover || home === DEFAULT_ORIGIN || !this.originOf(home).isBreakerShut)
      return { home, target: home };
    const standIn = this.originOf(DEFAULT_ORIGIN);
    const { connections, maxQueuedCalls } = this.limits;
    // An event waits for room.
    const isFull = record.kind === 'lookup' && standIn.running >= connections && standIn.stats.queued >= maxQueuedCalls;
    return { home, target: standIn.isShut || isFull ? home : DEFAULT_ORIGIN };
  }

  async take(step: Step): Promise<void> {
    this.coverage.count(`step: ${step.do}`);
    await this.#do(step);
    await this.#settle();
    this.#check();
  }

  /** All servers are well and time runs on: everything is done. */
  async finish(): Promise<void> {
    this.transport.isNextBroken = false;
    while (this.#asked.length > 0) this.#decide(0, 'agrees');
    await this.#getAllDone('when the DCS is well, everything is done');
    if (this.closedAtMs === undefined) {
      await this.#mustServeStrangers();
      this.#close();
    }
    await this.#getAllDone('after close(), everything is done');
    must(this.#hasClosed, 'close() settles');
    must(this.transport.onWire.size === 0, 'after close() nothing is on the wire');
  }

  async #getAllDone(rule: string): Promise<void> {
    await this.#settle();
    for (let round = 0; !this.#isAllDone; round++) {
      must(round < MAX_ROUNDS, rule, () => [...this.calls.live].join(', '));
      const [exchange] = this.transport.onWire;
      if (exchange !== undefined) this.#answer(exchange, 'segments', 0, true);
      else await this.clock.advance(this.#nextAtMs() - this.nowMs(), false, () => this.#settle());
      this.#giveUpHolding();
      await this.#settle();
      this.#check();
    }
    const { inFlight, origins, events } = this.calls.stats();
    must(inFlight === 0 && events.queued === 0, 'nothing is left in stats()');
    for (const { running, queued } of Object.values(origins))
      must(running + queued === 0, 'nothing is left in stats()');
    must(this.#unsettled === 0, 'every promise settles', () => `${this.#unsettled} did not`);
  }

  get #isAllDone(): boolean {
    if (this.closedAtMs !== undefined && !this.#hasClosed) return false;
    return this.calls.live.size + this.clock.pending + this.transport.onWire.size + this.#held.size === 0;
  }

  /** When something happens next by itself. */
  #nextAtMs(): number {
    const nextAtMs = Math.min(this.clock.nextAtMs, ...[...this.#held].map(({ untilMs }) => untilMs));
    must(nextAtMs < Number.POSITIVE_INFINITY, 'nothing waits for nothing', () => [...this.calls.live].join(', '));
    return nextAtMs;
  }

  /** Whoever comes when all is well is served; where a breaker was open, the second one at the latest. */
  async #mustServeStrangers(): Promise<void> {
    await this.clock.advance(600_000, false, () => this.#settle());
    for (const region of [undefined, ...REGIONS.slice(0, this.limits.regions)]) {
      for (let visit = 0; visit < 2; visit++) {
        this.#view({ visitor: inventedVisitor(this.#invented++), region });
        const [exchange] = this.transport.onWire;
        must(exchange !== undefined, 'a well server is asked');
        this.#answer(exchange as FakeExchange, 'segments', 0, true);
        await this.#settle();
        this.#check();
      }
      const last = this.#recent.at(-1)?.segments;
      const isServed = last?.status === 'fresh' || this.limits.maxWaitMs === 0;
      must(isServed, 'a well server serves', () => `${last?.status}/${last?.reason}`);
    }
  }

  async #do(step: Step): Promise<void> {
    const { onWire } = this.transport;
    switch (step.do) {
      case 'view': {
        const request = { visitor: visitorOf(step.visitor), region: regionOf(step.region) };
        this.#view(request, step);
        return;
      }
      case 'decide':
        if (this.#asked.length > 0) this.#decide(step.which % this.#asked.length, step.how);
        return;
      case 'lookup':
        this.#lookup(visitorOf(step.visitor), regionOf(step.region));
        return;
      case 'event':
        if (this.#recent.length > 0) this.#event(this.#recent[step.which % this.#recent.length] as ServedRequest);
        return;
      case 'tell':
        this.#tell(visitorOf(step.visitor), regionOf(step.region), step.isAwaited);
        return;
      case 'refuse':
        this.#withdraw(visitorOf(step.visitor), step.reason);
        return;
      case 'opt out':
        this.#optOut(visitorOf(step.visitor));
        return;
      case 'forget': {
        const visitor = visitorOf(step.visitor);
        this.#renew(visitor);
        for (const key of visitor.keys) this.facts.of(key).said = undefined;
        this.#resolver.forget(visitor.visitor);
        return;
      }
      case 'flood':
        for (let n = 0; n < step.count; n++) {
          const visitor = inventedVisitor(this.#invented++);
          if (step.what === 'view') this.#view({ visitor, region: regionOf(step.region) });
          else this.#tell(visitor, regionOf(step.region), true);
        }
        return;
      case 'answer': {
        const open = [...onWire].filter(({ phase }) => phase === 'open');
        const exchange = open[step.which % open.length];
        if (exchange !== undefined) this.#answer(exchange, step.outcome, step.retryAfterMs, step.isAll);
        return;
      }
      case 'release': {
        const closing = [...onWire].filter(({ phase }) => phase === 'closing' || phase === 'answered');
        closing[step.which % closing.length]?.release();
        return;
      }
      case 'send again': {
        const open = [...onWire].filter(({ phase, outgoing }) => phase === 'open' && outgoing.isRepeatable);
        open[step.which % open.length]?.attempt();
        return;
      }
      case 'break next':
        this.transport.isNextBroken = true;
        return;
      case 'wait':
        await this.#wait(step.ms, step.isLate);
        return;
      case 'close':
        if (this.closedAtMs === undefined) this.#close();
    }
  }

  async #wait(ms: number, isLate: boolean): Promise<void> {
    const untilMs = this.nowMs() + ms;
    const settle = async () => {
      await this.#settle();
      // What is due now is not done yet.
      if (this.clock.nextAtMs > this.nowMs()) this.#check();
    };
    for (;;) {
      const nextMs = isLate ? untilMs : Math.min(untilMs, ...[...this.#held].map((held) => held.untilMs));
      await this.clock.advance(nextMs - this.nowMs(), isLate, settle);
      this.#giveUpHolding();
      if (nextMs === untilMs) return;
    }
  }

  #view(
    { visitor, region }: Pick<PageRequest, 'visitor' | 'region'>,
    { hasTcString = false, mayCall = true, hasSignals = false, isConsentPending = false } = {},
  ): void {
    const request: PageRequest = {
      visitor,
      region,
      tcString: hasTcString ? 'tc' : undefined,
      resolverMoment: this.#resolver.moment,
      cameAt: this.moments.next(),
      begunAt: 0,
      rememberedFrom: 0,
    };
    if (isConsentPending) this.#asked.push(request);
    else this.#begin(request, mayCall, hasSignals);
  }

  #decide(at: number, how: Extract<Step, { do: 'decide' }>['how']): void {
    const [request] = this.#asked.splice(at, 1) as [PageRequest];
    const { visitor, resolverMoment } = request;
    if (how === 'refuses' || how === 'is late and refuses') {
      this.#withdraw(visitor, 'no-consent');
      this.#serve(request, excluded('no-consent'));
    } else if (this.#resolver.hasWithdrawnSince(resolverMoment, this.#located(request))) {
      const hasWithdrawn = this.facts.withdrawnAt(visitor.keys) > request.cameAt;
      must(hasWithdrawn, 'only who has withdrawn is taken for it');
      this.#serve(request, excluded('no-consent'));
    } else {
      this.#begin(request, true, false);
    }
  }

  #begin(request: PageRequest, mayCall: boolean, hasSignals: boolean): void {
    const { visitor, tcString } = request;
    const about = this.facts.of(visitor.key);
    must(
      this.facts.withdrawnAt(visitor.keys) <= request.cameAt,
      'nobody is looked up for a request from before a refusal',
    );
    request.begunAt = this.moments.next();
    request.rememberedFrom = about.rememberedFrom.get(variantKey(request)) ?? 0;
    this.calls.requestedAt = request.cameAt;
    const asker = { mayCall, signals: () => (hasSignals ? '&c_page=1' : '') };
    const begun = this.#resolver.begin(this.#located(request), tcString, asker, this.nowMs());
    if ('look' in begun) throw new Error('unreachable: there is no fleet');
    checkBegun(this, this.#wire, request, mayCall, begun);
    if ('flight' in begun) this.#hold(request, begun);
    else this.#serve(request, begun);
  }

  #hold(request: PageRequest, pending: PendingAnswer): void {
    const waitMs = pending.flight.isProbe ? 0 : this.limits.maxWaitMs;
    if (waitMs === 0) {
      this.#serve(request, this.#resolver.pending(pending.fallback, this.nowMs()));
      return;
    }
    const held: HeldRequest = Object.assign(request, { untilMs: this.nowMs() + waitMs, pending });
    this.#held.add(held);
    pending.flight.promise.then(
      (answer) => this.#quietly(() => this.#held.delete(held) && this.#serve(held, this.#resolver.arrived(answer))),
      (why: NoAnswer) =>
        this.#quietly(() => {
          if (!this.#held.delete(held)) return;
          this.#serve(held, this.#resolver.failed(why, pending.fallback, this.nowMs()));
        }),
    );
  }

  /** Those who have waited long enough. */
  #giveUpHolding(): void {
    for (const held of this.#held) {
      if (held.untilMs > this.nowMs()) continue;
      this.#held.delete(held);
      this.#serve(held, this.#resolver.pending(held.pending.fallback, this.nowMs()));
    }
  }

  #serve(request: PageRequest, served: ServedAnswer): void {
    const { status, reason, answer } = served;
    const transactionId = answer === undefined ? undefined : transactionIdOf(answer);
    checkServed(this, this.#wire, request, { status, reason, transactionId });
    const { resolverMoment, tcString } = request;
    const visitor = this.#located(request);
    const segments = new VisitorSegments(
      this.#instance,
      visitor,
      served,
      undefined,
      undefined,
      tcString,
      resolverMoment,
    );
    this.#recent.push(Object.assign(request, { segments }));
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
  }

  #event({ segments, cameAt }: ServedRequest): void {
    this.calls.requestedAt = cameAt;
    const req = { headers: {}, aamSegments: segments } as never;
    this.#mustSettle('event', sendEventOf(this.#resolver, this.#instance, req, { c_n: ++this.#signals }, {}));
  }

  #tell({ visitor }: ModelVisitor, region: number | undefined, isAwaited: boolean): void {
    this.calls.requestedAt = this.moments.next();
    const signals = `&c_n=${++this.#signals}`;
    this.#mustSettle('event', this.#resolver.sendEvent({ ...visitor, region }, undefined, signals, isAwaited));
  }

  #lookup(visitor: ModelVisitor, region: number | undefined): void {
    const request: PageRequest = {
      visitor,
      region,
      tcString: undefined,
      resolverMoment: this.#resolver.moment,
      cameAt: this.moments.next(),
      begunAt: this.moments.next(),
      rememberedFrom: 0,
    };
    request.rememberedFrom = this.facts.of(visitor.key).rememberedFrom.get(variantKey(request)) ?? 0;
    this.calls.requestedAt = request.cameAt;
    const looked = lookupVisitor(this.#resolver, this.#instance, this.#located(request) as never, {});
    this.#mustSettle(
      'lookup',
      looked.then(({ status, reason, transactionId }) => {
        checkServed(this, this.#wire, request, { status, reason, transactionId });
      }),
    );
  }

  #withdraw(visitor: ModelVisitor, reason: 'no-consent' | 'opted-out'): void {
    this.#renew(visitor);
    for (const key of visitor.keys) this.facts.of(key).withdrawnAt = this.moments.next();
    this.#resolver.withdraw(visitor.visitor, reason);
  }

  #optOut(visitor: ModelVisitor): void {
    this.#renew(visitor);
    for (const key of visitor.keys) this.facts.of(key).withdrawnAt = this.moments.next();
    this.calls.requestedAt = this.moments.next();
    const ended = () => {
      this.#renew(visitor);
      for (const key of visitor.keys) this.facts.of(key).isOptOutEnding = false;
    };
    this.#mustSettle('opt-out', this.#resolver.optOut(visitor.visitor).finally(ended));
  }

  /** Earlier answers are out of date. */
  #renew({ keys }: ModelVisitor): void {
    for (const key of keys) {
      this.facts.of(key).renewals.push(this.moments.next());
      this.facts.of(key).rememberedFrom.clear();
    }
  }

  #answer(
    exchange: FakeExchange,
    outcome: Extract<Step, { do: 'answer' }>['outcome'],
    retryAfterMs: number,
    isAll: boolean,
  ): void {
    if (exchange.phase !== 'open') {
      exchange.release();
      return;
    }
    const isOptOut = this.calls.ofExchange(exchange).kind === 'opt-out';
    this.#wire.outcomes.set(exchange, outcome);
    const result = wireResultOf(outcome, exchange.id, retryAfterMs, isOptOut);
    if (outcome === 'network') exchange.fail(result as never);
    else exchange.answer(result, isAll);
  }

  #close(): void {
    this.closedAtMs = this.nowMs();
    this.#mustSettle(
      'close',
      this.calls.close().then(() => {
        this.#hasClosed = true;
      }),
    );
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken;
    for (const origin of this.#origins.values()) origin.look();
    checkWaiting(this);
  }

  #mustSettle(what: string, promise: Promise<unknown>): void {
    this.#unsettled++;
    promise.then(
      () => {
        this.#unsettled--;
        this.coverage.count(`${what}: resolved`);
      },
      (error: { code?: string; rule?: string }) => {
        this.#unsettled--;
        // What a rule has thrown into the code under test.
        if (error.code === undefined) this.#broken ??= error;
        else this.coverage.count(`${what}: ${error.code}`);
      },
    );
  }

  /** In a callback of a promise, where nobody would see it throw. */
  #quietly(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#broken ??= error;
    }
  }

  /** All that promises set off. */
  #settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  #located({ visitor, region }: Pick<PageRequest, 'visitor' | 'region'>): ModelVisitor['visitor'] {
    return { ...visitor.visitor, region };
  }
}

function visitorOf(n: number): ModelVisitor {
  return VISITORS[n] as ModelVisitor;
}

function regionOf(n: number): number | undefined {
  return [undefined, ...REGIONS, UNKNOWN_REGION][n];
}

function variantKey({ visitor, tcString }: PageRequest): string {
  return variantOf(visitor.visitor, tcString);
}

/** What holds when a request is answered, at once or later. */
import type { Call } from '../../src/dcs/flow/call';
import type { PendingAnswer } from '../../src/lookup/answer-resolver';
import type { SegmentReason, SegmentStatus, ServedAnswer } from '../../src/segments/served-answer';
import { must } from './broken-rule';
import type { RecordedCall } from './recorded-calls';
import { type ModelVisitor, variantOf } from './visitors';
import { canForget, type WireRules, type WireRulesHost } from './wire-rules';

export interface PageRequest {
  readonly visitor: ModelVisitor;
  readonly region: number | undefined;
  readonly tcString: string | undefined;
  /** When it came, in the moments of the resolver and in those of the model. */
  readonly resolverMoment: number;
  readonly cameAt: number;
  /** When the visitor was looked up. */
  begunAt: number;
  /** When the call was sent whose answer was remembered then. */
  rememberedFrom: number;
}

/** Statuses that say that the DCS was not asked because it could not be. */
const TURNED_AWAY: ReadonlySet<string | undefined> = new Set(['overloaded', 'circuit-open', 'rate-limited']);

/** Whoever can be served at once is; whoever can join a call does. */
export function checkBegun(
  host: WireRulesHost,
  wire: WireRules,
  request: PageRequest,
  mayCall: boolean,
  begun: ServedAnswer | PendingAnswer,
): void {
  const { facts, calls, coverage } = host;
  const about = facts.of(request.visitor.key);
  if (about.isDenylisted) coverage.count('limit: denylisted');
  if (about.cooldownUntilMs > host.nowMs()) coverage.count('limit: cooldown');
  if (about.budgetFreeAtMs(host.limits.maxCallsPerMinute) > host.nowMs()) coverage.count('limit: maxCallsPerMinute');
  if ('flight' in begun) {
    must(mayCall, 'who may not call does not wait');
    checkWaitedFor(host, begun);
    return;
  }
  const { said } = about;
  if (said !== undefined && host.nowMs() < said.untilMs && !canForget(host.limits)) {
    // A denylisted id is one for good, whatever was said before.
    const isLater = about.isDenylisted && begun.reason === 'denylisted';
    must(
      begun.status === 'excluded' && (begun.reason === said.reason || isLater),
      'what the DCS has said about a visitor stays',
      () => `${begun.status}/${begun.reason}, not ${said.reason}`,
    );
    if (about.withdrawnAt > 0) coverage.count('what the DCS said, after a withdrawal');
  }
  if (!mayCall || !TURNED_AWAY.has(begun.reason)) return;
  coverage.count(`turned away: ${begun.reason}`);
  const variant = variantOf(request.visitor.visitor, request.tcString);
  for (const record of calls.live) {
    const isSame = record.key === request.visitor.key && record.variant === variant && record.kind === 'lookup';
    if (!isSame || record.result !== undefined) continue;
    const sentAt = record.exchange && wire.sentAt.get(record.exchange.id)?.moment;
    const isOutdated = sentAt !== undefined && facts.outdatedAt(record.keys) > sentAt;
    must(isOutdated, 'joining comes before refusing', () => `${record} and ${begun.reason}`);
  }
}

/** Nobody is held by a probe or by an event that is held back, and no call is made that has to be refused. */
function checkWaitedFor(host: WireRulesHost, { flight }: PendingAnswer): void {
  const { call } = flight as unknown as { readonly call: Call };
  const record = host.calls.of(call);
  if (record.result !== undefined) return;
  const { target } = host.originsOf(record);
  const isProbe = record.exchange !== undefined && host.originOf(record.exchange.origin).probe === record;
  must(flight.isProbe === isProbe, 'a probe holds nobody', () => String(record));
  if (call.phase === 'running') {
    must(!record.isTurnedAway, 'an event that was turned away holds nobody', () => String(record));
    return;
  }
  if (record.kind === 'event') {
    const { facts, limits } = host;
    must(!host.originOf(target).isShut, 'an event that is held back holds nobody', () => String(record));
    const freeAtMs = facts.of(record.key).freeAtMs(limits.maxCallsPerMinute);
    must(freeAtMs <= host.nowMs(), 'an event that has to wait for its visitor holds nobody', () => String(record));
  }
}

/** A lookup is made only where it can be expected to be sent. */
export function checkMade(host: WireRulesHost, record: RecordedCall): void {
  if (record.kind !== 'lookup') return;
  const { target } = host.originsOf(record);
  must(!host.originOf(target).isShut, 'a server that takes no calls refuses at once', () => String(record));
  const freeAtMs = host.facts.of(record.key).freeAtMs(host.limits.maxCallsPerMinute);
  must(freeAtMs <= host.nowMs(), 'a visitor who must not be asked about is refused at once', () => String(record));
}

/** What a page shows of its answer. Each call has a transaction id of its own. */
export interface Shown {
  readonly status: SegmentStatus;
  readonly reason: SegmentReason | undefined;
  readonly transactionId: string | undefined;
}

/** Nothing is served that is older than what the request may see. */
export function checkServed(host: WireRulesHost, wire: WireRules, request: PageRequest, served: Shown): void {
  host.coverage.count(`served: ${served.status}${served.reason === undefined ? '' : `/${served.reason}`}`);
  const { status, transactionId } = served;
  const isKnown = status === 'fresh' || status === 'cached' || status === 'stale';
  must(isKnown === (transactionId !== undefined), 'segments come with an answer', () => status);
  if (!isKnown) return;
  const callId = Number(transactionId?.slice('call'.length));
  const source = wire.sentAt.get(callId);
  must(source !== undefined, 'an answer is from a call');
  const { moment, record } = source as NonNullable<typeof source>;
  const details = () => `${record}, sent at ${moment}, to a request of ${request.begunAt}`;
  must(record.key === request.visitor.key, 'an answer is about the visitor', details);
  must(
    record.variant === variantOf(request.visitor.visitor, request.tcString),
    'an answer is to the question',
    details,
  );
  must(moment >= request.rememberedFrom, 'nothing older than what is known is served', details);
  if (record.isBetween) return;
  for (const renewedAt of host.facts.renewals(record.keys)) {
    must(
      moment >= renewedAt || request.begunAt < renewedAt,
      'nothing from before a withdrawal or forget() is served to a later request',
      details,
    );
  }
}

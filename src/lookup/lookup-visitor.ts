import type { IncomingMessage } from 'node:http';
import { DcsError } from '../dcs/protocol/dcs-error';
import { OPTIONS } from '../diagnosis/option-names';
import { AamError } from '../errors';
import { fieldsOf } from '../handed-over/reading';
import { checkedVisitor, type VisitorId } from '../identity/visitor';
import { group, ms, optional } from '../option-checks';
import { middlewareMissing } from '../segments/middleware-missing';
import type { ServedAnswer } from '../segments/served-answer';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import { isAbortSignal, onAbort } from './abort-signal';
import { type AnswerResolver, type PendingAnswer, type PendingLook, WITHOUT_REQUEST } from './answer-resolver';

const TAKER = 'lookup()';
/** As long as a cookie may be. */
const MAX_TC_STRING_LENGTH = 4_000;

/** Options of `lookup()`. */
export interface LookupOptions {
  /** Milliseconds to wait for an answer that is not in the cache. @default until the call has ended */
  readonly maxWaitMs?: number | undefined;
  /** Ends the wait; `lookup()` rejects with the signal's reason. A call in flight continues, and its answer is cached. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The visitor's IAB TC string, which is sent along with the call. The answer is shared with the visitor's pages on which a TC
   * string consents; whether this one does is up to the caller.
   * @default the call is made without one
   */
  readonly tcString?: string | undefined;
  /**
   * The request whose page is made from the answer: reading its segments then makes the response private, as reading
   * `req.aamSegments` does. The request must have passed the middleware. On a request in a preview nothing is looked up, and
   * the result is what the preview shows.
   * @default reading marks no response
   */
  readonly req?: IncomingMessage | undefined;
}

/** The segments of a visitor outside of a request: what `aam.lookup()` does. */
export async function lookupVisitor<Name extends string>(
  resolver: AnswerResolver,
  instance: Instance,
  visitorId: VisitorId,
  options: LookupOptions,
): Promise<VisitorSegments<Name>> {
  const visitor = checkedVisitor(visitorId);
  const { maxWaitMs, signal, tcString, req } = group<LookupOptions>('options', options, OPTIONS[TAKER], TAKER);
  if (maxWaitMs !== undefined) ms('options.maxWaitMs', maxWaitMs, 0);
  optional('options.signal', signal, 'an AbortSignal', isAbortSignal);
  optional('options.tcString', tcString, 'a TC string', isTcString);
  const page = req === undefined ? undefined : segmentsOf<Name>(req, instance);
  signal?.throwIfAborted();
  if (page?.status === 'preview') return page;
  const answer = resolver.begin(visitor, tcString, WITHOUT_REQUEST, resolver.nowMs());
  const served = 'status' in answer ? answer : await settled(resolver, answer, maxWaitMs, signal);
  if (served.status === 'unknown') {
    if (served.failure !== undefined) throw DcsError.from(served.failure);
    throw new AamError('ERR_AAM_DCS_TIMEOUT', `No answer within ${maxWaitMs} ms.`);
  }
  return new VisitorSegments<Name>(instance, visitor, served, page && VisitorSegments.readingOf(page));
}

/** What this instance has served on a request. */
function segmentsOf<Name extends string>(req: unknown, instance: Instance): VisitorSegments<Name> {
  const shown = fieldsOf(req, ['aamSegments'])?.aamSegments as VisitorSegments | undefined;
  const segments = VisitorSegments.servedBy(shown, instance);
  if (segments === undefined) {
    throw middlewareMissing('options.req has not passed the middleware', shown, instance);
  }
  return segments as VisitorSegments<Name>;
}

function isTcString(given: unknown): boolean {
  return typeof given === 'string' && given.length <= MAX_TC_STRING_LENGTH && /^[\w.-]+$/.test(given);
}

/** What is served once the call has ended or `maxWaitMs` has passed. Rejects only when the signal aborts. */
function settled(
  resolver: AnswerResolver,
  pending: PendingAnswer | PendingLook,
  maxWaitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ServedAnswer> {
  return new Promise((resolve, reject) => {
    const onTimeout = () => resolve(resolver.pending(pending.fallback, resolver.nowMs()));
    const timer = maxWaitMs === undefined ? undefined : setTimeout(onTimeout, maxWaitMs);
    const forgetSignal = signal && onAbort(signal, reject);
    resolver.settled(pending).then((served) => {
      resolve(served);
      clearTimeout(timer);
      forgetSignal?.();
    });
  });
}

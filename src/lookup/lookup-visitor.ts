import { AamError } from '../errors';
import { checkedVisitor, type VisitorId } from '../identity/visitor';
import { group, ms } from '../option-checks';
import type { ServedAnswer } from '../segments/served-answer';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import { type AnswerResolver, asDcsError, type PendingAnswer } from './answer-resolver';

/** How long `lookup()` waits. */
export interface LookupOptions {
  /** The longest to wait for an answer that is not in the cache. @default as long as the call may take */
  readonly maxWaitMs?: number | undefined;
  /** Ends the waiting with its own reason. A call that is on its way goes on and is remembered. */
  readonly signal?: AbortSignal | undefined;
}

/** The segments of a visitor outside of a request: what `aam.lookup()` does. */
export async function lookupVisitor<Name extends string>(
  lookup: AnswerResolver,
  instance: Instance,
  visitorId: VisitorId,
  options: LookupOptions,
): Promise<VisitorSegments<Name>> {
  const visitor = checkedVisitor(visitorId);
  const { maxWaitMs, signal } = group<LookupOptions>('options', options, { maxWaitMs: true, signal: true });
  if (maxWaitMs !== undefined) ms('options.maxWaitMs', maxWaitMs, 0);
  signal?.throwIfAborted();
  const found = lookup.begin(visitor, undefined, true, lookup.nowMs());
  const verdict = 'flight' in found ? await settled(lookup, found, maxWaitMs, signal) : found;
  if (verdict.status === 'unknown') {
    throw verdict.failure ?? new AamError('ERR_AAM_DCS_TIMEOUT', `no answer within ${maxWaitMs} ms`);
  }
  return new VisitorSegments<Name>(instance, visitor, verdict);
}

function settled(
  lookup: AnswerResolver,
  { flight, instead }: PendingAnswer,
  maxWaitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ServedAnswer> {
  return new Promise((resolve, reject) => {
    const giveUp = () => resolve(lookup.pending(instead, lookup.nowMs()));
    const timer = maxWaitMs === undefined ? undefined : setTimeout(giveUp, maxWaitMs);
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    flight.promise
      .then(
        (remembered) => resolve(lookup.arrived(remembered)),
        (error: unknown) => resolve(lookup.failed(asDcsError(error), instead, lookup.nowMs())),
      )
      .finally(() => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      });
  });
}

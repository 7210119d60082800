import { AamError } from '../errors';
import type { Visitor } from '../identity/identity-reader';
import { type VisitorId, visitorOf } from '../identity/site-identity';
import { group, ms } from '../option-checks';
import { type Instance, type Verdict, VisitorSegments } from '../segments/visitor-segments';
import { asDcsError, type OnItsWay, type SegmentLookup } from './answer-resolver';

/** How long `lookup()` waits. */
export interface LookupOptions {
  /** The longest to wait for an answer that is not in the cache. @default as long as the call may take */
  readonly maxWaitMs?: number | undefined;
  /** Ends the waiting with its own reason. A call that is on its way goes on and is remembered. */
  readonly signal?: AbortSignal | undefined;
}

/** The segments of a visitor outside of a request: what `aam.lookup()` does. */
export async function lookupVisitor<Name extends string>(
  lookup: SegmentLookup,
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

/** @throws {AamError} `ERR_AAM_INVALID_OPTION`; the message does not repeat the id */
export function checkedVisitor(visitorId: unknown): Visitor {
  const { visitor, problem } = visitorOf(visitorId);
  if (visitor === undefined || problem !== undefined) throw new AamError('ERR_AAM_INVALID_OPTION', problem as string);
  return visitor;
}

function settled(
  lookup: SegmentLookup,
  { flight, instead }: OnItsWay,
  maxWaitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
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

import type { IncomingMessage } from 'node:http';
import { encodedSignals, type Signals } from '../dcs/protocol/signals';
import { OPTIONS } from '../diagnosis/option-names';
import { fieldsOf } from '../handed-over/reading';
import { flag, group } from '../option-checks';
import { isPrefetch } from '../request/prefetch';
import { middlewareMissing } from '../segments/middleware-missing';
import { excluded } from '../segments/served-answer';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import type { AnswerResolver } from './answer-resolver';

const TAKER = 'sendEvent()';

/** Options of `sendEvent()`. */
export interface SendEventOptions {
  /** Whether the visitor's next page waits for the answer. `false`: it goes by what is known. @default true */
  readonly refresh?: boolean | undefined;
}

/** Sends an event for the visitor of a request: what `aam.sendEvent()` does. */
export async function sendEventOf<Name extends string>(
  resolver: AnswerResolver,
  instance: Instance,
  req: IncomingMessage,
  signals: Signals,
  options: SendEventOptions,
): Promise<VisitorSegments<Name>> {
  const { refresh } = group<SendEventOptions>('options', options, OPTIONS[TAKER], TAKER);
  const isAwaited = flag('options.refresh', refresh, true);
  const encoded = encodedSignals(signals);
  const shown = fieldsOf(req, ['aamSegments'])?.aamSegments as VisitorSegments<Name> | undefined;
  const segments = VisitorSegments.servedBy(shown, instance) as VisitorSegments<Name> | undefined;
  if (segments === undefined) {
    throw middlewareMissing('The request has not passed the middleware', shown, instance);
  }
  const { status } = segments;
  // Nothing is sent without a visitor, without consent, in a preview, or for a prefetch, which is not the visitor's doing.
  if (status === 'anonymous' || status === 'excluded' || status === 'preview' || isPrefetch(req.headers))
    return segments;
  const { visitor, tcString, requestedAt } = VisitorSegments.questionOf(segments);
  if (resolver.hasWithdrawnSince(requestedAt, visitor)) {
    return VisitorSegments.renewed(segments, excluded('no-consent'));
  }
  const served = await resolver.sendEvent(visitor, tcString, encoded, isAwaited);
  return VisitorSegments.renewed(segments, served);
}

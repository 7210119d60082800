import type { IncomingMessage } from 'node:http';
import { encodedSignals, type Signals } from '../dcs/protocol/signals';
import { AamError } from '../errors';
import { isPrefetch } from '../request/prefetch';
import { type Instance, VisitorSegments } from '../segments/visitor-segments';
import type { AnswerResolver } from './answer-resolver';

/** Tells the DCS what the visitor of a request has done: what `aam.sendEvent()` does. */
export async function sendEventOf<Name extends string>(
  lookup: AnswerResolver,
  instance: Instance,
  req: IncomingMessage,
  signals: Signals,
): Promise<VisitorSegments<Name>> {
  const encoded = encodedSignals(signals);
  const { aamSegments } = req as { aamSegments?: VisitorSegments<Name> };
  const segments = VisitorSegments.servedBy(aamSegments, instance) as VisitorSegments<Name> | undefined;
  if (segments === undefined) {
    throw new AamError(
      'ERR_AAM_MIDDLEWARE_MISSING',
      'this request has not been through the middleware whose sendEvent() was called',
    );
  }
  const { status } = segments;
  // Nobody to speak of, nobody who may be spoken of, or not their doing: the browser fetches ahead.
  if (status === 'anonymous' || status === 'excluded' || isPrefetch(req.headers)) return segments;
  const answer = await lookup.tell(VisitorSegments.visitorOf(segments), VisitorSegments.tcStringOf(segments), encoded);
  return VisitorSegments.renewed(segments, answer);
}

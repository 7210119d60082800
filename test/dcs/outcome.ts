import { DcsError } from '../../src/dcs/protocol/dcs-error';
import { type DcsReply, replyFromBody } from '../../src/dcs/protocol/reply';

/** The reply or the DcsError that parsing an answer results in. Any other error is rethrown. */
export function outcomeOf(body: unknown, errorHeader?: string): DcsReply | DcsError {
  try {
    return replyFromBody(typeof body === 'string' ? body : JSON.stringify(body), errorHeader);
  } catch (error) {
    if (error instanceof DcsError) return error;
    throw error;
  }
}

/** The reply for an answer with a uuid and these fields. */
export function replyTo(fields: object, errorHeader?: string): DcsReply {
  const outcome = outcomeOf({ uuid: '1', stuff: [], ...fields }, errorHeader);
  if (outcome instanceof DcsError) throw outcome;
  return outcome;
}

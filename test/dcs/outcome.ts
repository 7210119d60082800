import { DcsError } from '../../src/dcs/protocol/dcs-error';
import { type DcsReply, replyFromBody } from '../../src/dcs/protocol/reply';

/** What an answer leads to: a reply, or the error that the caller gets. Anything else that is thrown goes on. */
export function outcomeOf(body: unknown, errorHeader?: string): DcsReply | DcsError {
  try {
    return replyFromBody(typeof body === 'string' ? body : JSON.stringify(body), errorHeader);
  } catch (error) {
    if (error instanceof DcsError) return error;
    throw error;
  }
}

/** The reply of an answer with a uuid and these fields. */
export function replyTo(fields: object, errorHeader?: string): DcsReply {
  const outcome = outcomeOf({ uuid: '1', stuff: [], ...fields }, errorHeader);
  if (outcome instanceof DcsError) throw outcome;
  return outcome;
}

/** Owns: holding a request until an answer arrives, its time is up, or the client has gone. Next: response-privacy.ts. */
import { AsyncResource } from 'node:async_hooks';
import type { ServerResponse } from 'node:http';

/** How a wait ends. Exactly one is called, once, in the async context of the request. */
export interface WaitEnd<V> {
  arrived(value: V): void;
  failed(error: unknown): void;
  /** The time is up, or the client has gone. */
  gaveUp(): void;
}

/**
 * Holds a request until `promise` settles, at most for `waitMs` (0 or less: not at all) and until the client disconnects.
 * Giving up does not cancel the work behind the promise.
 */
export function holdRequest<V>(promise: Promise<V>, waitMs: number, res: ServerResponse, end: WaitEnd<V>): void {
  if (waitMs <= 0) {
    end.gaveUp();
    return;
  }
  const request = new WaitingRequest(waitMs, res, end);
  promise.then(
    (value) => request.leave()?.arrived(value),
    (error: unknown) => request.leave()?.failed(error),
  );
}

/** A wait that the promise's callbacks refer to. Emptied when it ends, so that a slow call keeps no request in memory. */
class WaitingRequest<V> {
  #waiting: { end: WaitEnd<V>; res: ServerResponse; timer: NodeJS.Timeout; onClose: () => void } | undefined;

  constructor(waitMs: number, res: ServerResponse, end: WaitEnd<V>) {
    const giveUp = () => this.leave()?.gaveUp();
    // Socket events run in the async context of the connection, not of the request.
    const onClose = AsyncResource.bind(giveUp);
    res.once('close', onClose);
    this.#waiting = { end, res, timer: setTimeout(giveUp, waitMs), onClose };
  }

  /** Ends the wait. Returns the callbacks the first time only. */
  leave(): WaitEnd<V> | undefined {
    if (this.#waiting === undefined) return undefined;
    const { end, res, timer, onClose } = this.#waiting;
    this.#waiting = undefined;
    clearTimeout(timer);
    res.removeListener('close', onClose);
    return end;
  }
}

import { AsyncResource } from 'node:async_hooks';
import type { ServerResponse } from 'node:http';

/** How a wait ended: with what was waited for, with its failure, or without either. */
export interface WaitEnd<V> {
  arrived(value: V): void;
  failed(error: unknown): void;
  /** The time was up, or the client has gone away. */
  gaveUp(): void;
}

/**
 * Holds one request until a promise settles, for so many milliseconds at most (0 or less: not at all), and no longer than
 * the client stays. Calls exactly one of the three, once, in the async context of the request. Whatever is waited for
 * goes on without us.
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

/**
 * What the promise holds until it settles. A request that gives up lets go of everything, so that a slow call
 * does not keep it in memory.
 */
class WaitingRequest<V> {
  #waiting: { end: WaitEnd<V>; res: ServerResponse; timer: NodeJS.Timeout; onClose: () => void } | undefined;

  constructor(waitMs: number, res: ServerResponse, end: WaitEnd<V>) {
    const giveUp = () => this.leave()?.gaveUp();
    // The socket's events come in the context of the connection, not in that of the request.
    const onClose = AsyncResource.bind(giveUp);
    res.once('close', onClose);
    this.#waiting = { end, res, timer: setTimeout(giveUp, waitMs), onClose };
  }

  /** Ends the wait; what is to be told, the first time only. */
  leave(): WaitEnd<V> | undefined {
    if (this.#waiting === undefined) return undefined;
    const { end, res, timer, onClose } = this.#waiting;
    this.#waiting = undefined;
    clearTimeout(timer);
    res.removeListener('close', onClose);
    return end;
  }
}

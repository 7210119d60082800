import { AsyncResource } from 'node:async_hooks';
import type { ServerResponse } from 'node:http';
import type { Flight } from './cache/segment-cache';

/** How a wait ended: with the flight, with its failure, or without either. */
export interface WaitEnd<V> {
  arrived(value: V): void;
  failed(error: unknown): void;
  /** The time was up, or the client has gone away. */
  gaveUp(): void;
}

/**
 * Holds one request until a flight lands, for so many milliseconds at most, and no longer than the client stays. Calls
 * exactly one of the three, once, in the async context of the request. The flight goes on without us.
 */
export function waitFor<V>(flight: Flight<V>, waitMs: number, res: ServerResponse, end: WaitEnd<V>): void {
  // What the flight's promise holds until it settles is this small object, not the request.
  const wait: { end: WaitEnd<V> | undefined } = { end };
  const timer = setTimeout(() => leave()?.gaveUp(), waitMs);
  // The socket's events come in the context of the connection, not in that of the request.
  const onClose = AsyncResource.bind(() => leave()?.gaveUp());
  res.once('close', onClose);

  function leave(): WaitEnd<V> | undefined {
    const { end } = wait;
    wait.end = undefined;
    clearTimeout(timer);
    res.removeListener('close', onClose);
    return end;
  }

  flight.promise.then(
    (value) => leave()?.arrived(value),
    (error: unknown) => leave()?.failed(error),
  );
}

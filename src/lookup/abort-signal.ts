import { fieldsOf } from '../handed-over/reading';

interface Waiting {
  readonly callbacks: Set<(reason: unknown) => void>;
  readonly listener: () => void;
}

/** Whether a value is an `AbortSignal`, of this realm or of another. */
export function isAbortSignal(given: unknown): given is AbortSignal {
  const signal = fieldsOf(given, ['aborted', 'addEventListener', 'removeEventListener', 'throwIfAborted']);
  return (
    typeof signal?.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function' &&
    typeof signal.throwIfAborted === 'function'
  );
}

/** By signal, everybody who wants to know. */
const waitingFor = new WeakMap<AbortSignal, Waiting>();

/**
 * Calls back when a caller's signal aborts. However many of our promises wait for one signal, it has one listener of ours,
 * and none while nobody waits: Node takes more than ten for a leak.
 * @returns a function that takes the callback back
 */
export function onAbort(signal: AbortSignal, callback: (reason: unknown) => void): () => void {
  const { callbacks, listener } = waitingFor.get(signal) ?? listenTo(signal);
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size > 0 || waitingFor.get(signal)?.callbacks !== callbacks) return;
    signal.removeEventListener('abort', listener);
    waitingFor.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Waiting {
  const callbacks = new Set<(reason: unknown) => void>();
  const listener = () => {
    for (const callback of callbacks) callback(signal.reason);
  };
  const waiting = { callbacks, listener };
  waitingFor.set(signal, waiting);
  signal.addEventListener('abort', listener, { once: true });
  return waiting;
}

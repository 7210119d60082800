/** By signal, everybody who wants to know. */
const callbacks = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/**
 * Calls back when a caller's signal aborts. However many of our promises wait for one signal, it has one listener of ours:
 * Node takes more than ten for a leak.
 * @returns a function that takes the callback back
 */
export function onAbort(signal: AbortSignal, callback: (reason: unknown) => void): () => void {
  const present = callbacks.get(signal) ?? listenTo(signal);
  present.add(callback);
  return () => {
    present.delete(callback);
  };
}

function listenTo(signal: AbortSignal): Set<(reason: unknown) => void> {
  const waiting = new Set<(reason: unknown) => void>();
  callbacks.set(signal, waiting);
  signal.addEventListener(
    'abort',
    () => {
      for (const callback of waiting) callback(signal.reason);
    },
    { once: true },
  );
  return waiting;
}

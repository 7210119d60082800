/**
 * Owns: the addresses of the servers. Node resolves names on a pool of few threads that the whole process shares, and a name
 * server that is silent keeps each of them for many seconds. So there is never more than one of our lookups in the process,
 * every caller shares it, and what it finds is remembered for a while.
 */
import dns, { type LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { performance } from 'node:perf_hooks';
import { LRUCache } from 'lru-cache';

type Callback = (error: Error | undefined, addresses: readonly LookupAddress[]) => void;

interface Known {
  readonly addresses: readonly LookupAddress[];
  readonly foundAtMs: number;
}

/** After this time the addresses are looked up again, behind the callers' backs. */
const FRESH_MS = 30_000;
/** After this time callers wait for that. */
const USABLE_MS = 600_000;
const MAX_HOSTS = 100;

const known = new LRUCache<string, Known>({ max: MAX_HOSTS });
/** Those whose lookup is running or waits for that of another host, in their order. */
const waiting = new Map<string, Set<Callback>>();
/** The host whose lookup is running. */
let current: string | undefined;

/**
 * The addresses of a host, IPv4 first: the DCS sees IPv4 clients only (Audience Manager docs). Calls back at once where they
 * are known. The function that it returns cancels the waiting.
 */
export function addressesOf(hostname: string, callback: Callback): () => void {
  // URLs put IPv6 addresses into brackets.
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const family = isIP(host);
  if (family !== 0) {
    callback(undefined, [{ address: host, family }]);
    return () => {};
  }
  const found = known.get(host);
  const ageMs = found === undefined ? Number.POSITIVE_INFINITY : performance.now() - found.foundAtMs;
  if (found !== undefined && ageMs <= USABLE_MS) {
    // Nobody waits for that: it is not queued behind another host's, but left to the next caller.
    if (ageMs > FRESH_MS && current === undefined) waiting.set(host, new Set());
    lookUpNext();
    callback(undefined, found.addresses);
    return () => {};
  }
  const callbacks = waiting.get(host) ?? new Set<Callback>();
  waiting.set(host, callbacks);
  callbacks.add(callback);
  lookUpNext();
  return () => {
    callbacks.delete(callback);
    // Nobody is left to ask for.
    if (callbacks.size === 0 && current !== host && waiting.get(host) === callbacks) waiting.delete(host);
  };
}

/** An address has answered: the next connection begins with it. */
export function preferAddress(hostname: string, address: string): void {
  const found = known.peek(hostname);
  if (found === undefined || found.addresses[0]?.address === address) return;
  const [first, rest] = [found.addresses.filter((each) => each.address === address), found.addresses];
  known.set(hostname, { ...found, addresses: [...first, ...rest.filter((each) => each.address !== address)] });
}

/** None of its addresses can be reached: it may have moved. */
export function forgetAddresses(hostname: string): void {
  known.delete(hostname);
}

function lookUpNext(): void {
  if (current !== undefined) return;
  for (const [host, callbacks] of waiting) {
    current = host;
    dns.lookup(host, { all: true, order: 'ipv4first' }, (error, addresses) => {
      current = undefined;
      waiting.delete(host);
      const isFound = error === null && addresses.length > 0;
      if (isFound) known.set(host, { addresses, foundAtMs: performance.now() });
      for (const callback of callbacks)
        callback(isFound ? undefined : (error ?? new Error('no address')), addresses ?? []);
      lookUpNext();
    });
    return;
  }
}

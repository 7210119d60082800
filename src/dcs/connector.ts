import dns from 'node:dns';
import type { LookupFunction, Socket } from 'node:net';
import { buildConnector } from 'undici';

type Connect = (...args: Parameters<buildConnector.connector>) => Socket;

/** Opens connections for the pool, which can end only those that are open: what is still opening is kept here. */
export class Connector {
  readonly #opening = new Set<Socket>();
  readonly #connect: Connect;
  readonly #nowMs: () => number;
  /** Since when the socket was open that an error comes from. */
  readonly #openSinceMs = new WeakMap<object, number>();

  /** @param timeoutMs for address, connection and TLS together; 0 is taken for 1, since undici takes it for never */
  constructor(timeoutMs: number, nowMs: () => number) {
    this.#nowMs = nowMs;
    // It returns the socket, though its type does not say so.
    this.#connect = buildConnector({ timeout: Math.max(1, timeoutMs), lookup: ipv4First }) as Connect;
  }

  readonly connect: buildConnector.connector = (options, callback) => {
    // TLS is with the data centre that we connect to; the pool's own choice is the name in the Host header.
    const socket = this.#connect({ ...options, servername: '' }, (...result) => {
      this.#opening.delete(socket);
      const openSinceMs = this.#nowMs();
      socket.on('error', (error) => this.#openSinceMs.set(error, openSinceMs));
      callback(...result);
    });
    this.#opening.add(socket);
  };

  /** Whether an error comes from a socket that was open before then: one that had served other calls. */
  isOfSocketOpenBefore(error: unknown, atMs: number): boolean {
    const openSinceMs = this.#openSinceMs.get(error as object);
    return openSinceMs !== undefined && openSinceMs < atMs;
  }

  /** Ends what is still opening. */
  destroy(reason: Error): void {
    for (const socket of this.#opening) socket.destroy(reason);
  }
}

/** The DCS sees IPv4 clients only (Audience Manager docs); IPv6 is the second choice where there is no IPv4. */
const ipv4First: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, verbatim: false }, callback);
};

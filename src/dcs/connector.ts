import dns from 'node:dns';
import type { LookupFunction, Socket } from 'node:net';
import { buildConnector } from 'undici';

type Connect = (...args: Parameters<buildConnector.connector>) => Socket;

/** Opens connections for the pool and tracks those still opening, which the pool itself cannot destroy. */
export class Connector {
  readonly #opening = new Set<Socket>();
  readonly #connect: Connect;
  readonly #nowMs: () => number;
  /** When the socket that an error came from was opened. */
  readonly #openSinceMs = new WeakMap<object, number>();

  /** @param timeoutMs for DNS, connect and TLS together; 0 counts as 1, because undici reads 0 as no timeout */
  constructor(timeoutMs: number, nowMs: () => number) {
    this.#nowMs = nowMs;
    // Returns the socket, though its type does not say so.
    this.#connect = buildConnector({ timeout: Math.max(1, timeoutMs), lookup: ipv4First }) as Connect;
  }

  readonly connect: buildConnector.connector = (options, callback) => {
    // The TLS name is that of the data centre we connect to; by default the pool takes it from the Host header.
    const socket = this.#connect({ ...options, servername: '' }, (...result) => {
      this.#opening.delete(socket);
      const openSinceMs = this.#nowMs();
      socket.on('error', (error) => this.#openSinceMs.set(error, openSinceMs));
      callback(...result);
    });
    this.#opening.add(socket);
  };

  /** Whether an error came from a socket opened before `atMs`, that is, a kept-alive one. */
  isOfSocketOpenBefore(error: unknown, atMs: number): boolean {
    const openSinceMs = this.#openSinceMs.get(error as object);
    return openSinceMs !== undefined && openSinceMs < atMs;
  }

  /** Destroys the sockets that are still opening. */
  destroy(reason: Error): void {
    for (const socket of this.#opening) socket.destroy(reason);
  }
}

/** The DCS supports only IPv4 clients (Audience Manager docs); IPv6 is the fallback for networks without IPv4. */
const ipv4First: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, verbatim: false }, callback);
};

/**
 * Owns: opening a connection to a server: its addresses, a race between them, TLS. It has no deadline of its own: the call
 * that needs the connection has one, and cancels. Next: connections.ts, which keeps them.
 */
import { connect, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { addressesOf, forgetAddresses, preferAddress } from './host-addresses';

type Callback = buildConnector.Callback;
type Secure = (options: buildConnector.Options, callback: Callback) => Socket;

/** A server that has not answered in this time gets company, as in RFC 8305; the attempt itself goes on. */
const NEXT_ADDRESS_AFTER_MS = 250;

export class Connector {
  readonly #nextAddressAfterMs: number;
  /** Of undici, for TLS and its sessions. It returns the socket, though its type does not say so. */
  readonly #secure = buildConnector({ timeout: 0 }) as unknown as Secure;

  /** @param timeoutMs of the calls: no address may use up all of it */
  constructor(timeoutMs: number) {
    this.#nextAddressAfterMs = Math.max(1, Math.min(NEXT_ADDRESS_AFTER_MS, Math.floor(timeoutMs / 4)));
  }

  /** Opens a connection and calls back once. The function that it returns cancels that, and leaves nothing behind. */
  open(options: buildConnector.Options, callback: Callback): () => void {
    let isOver = false;
    let cancelRace: () => string | undefined = () => undefined;
    let cancelTls: () => void = () => {};
    const end: Callback = (...result: Parameters<Callback>) => {
      if (isOver) return;
      isOver = true;
      callback(...result);
    };
    // The addresses may be known: then this calls back before it returns.
    const cancelLookup = addressesOf(options.hostname, (error, addresses) => {
      if (error !== undefined) {
        end(error, null);
        return;
      }
      const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80);
      const hosts = addresses.map(({ address }) => address);
      cancelRace = race(hosts, port, this.#nextAddressAfterMs, (failure, socket) => {
        if (failure !== null) {
          forgetAddresses(options.hostname);
          end(failure, null);
          return;
        }
        preferAddress(options.hostname, socket.remoteAddress ?? '');
        if (options.protocol !== 'https:') {
          end(null, socket);
          return;
        }
        // TLS is with the data centre that we connect to; the pool's own choice is the name in the Host header.
        const secured = this.#secure({ ...options, servername: '', httpSocket: socket } as buildConnector.Options, end);
        cancelTls = () => {
          secured.destroy();
          socket.destroy();
        };
      });
    });
    return () => {
      if (isOver) return;
      isOver = true;
      cancelLookup();
      const latest = cancelRace();
      if (latest !== undefined) preferAddress(options.hostname, latest);
      cancelTls();
    };
  }
}

/**
 * Connects to the first of several addresses that answers. None is given up before another one has. The function that it
 * returns cancels that, and returns the address that had the least time to answer: it is the one to begin with next time.
 */
function race(hosts: readonly string[], port: number, staggerMs: number, done: Callback): () => string | undefined {
  const open = new Set<Socket>();
  let started = 0;
  let timer: NodeJS.Timeout | undefined;
  const stop = (winner?: Socket) => {
    clearTimeout(timer);
    started = hosts.length;
    for (const socket of open) if (socket !== winner) socket.destroy();
    open.clear();
  };
  const startNext = () => {
    clearTimeout(timer);
    const host = hosts[started++];
    if (host === undefined) return;
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    open.add(socket);
    const onError = (failure: Error) => {
      open.delete(socket);
      if (started < hosts.length) startNext();
      else if (open.size === 0) done(failure, null);
    };
    socket.once('error', onError);
    // A destroyed socket may still report one.
    socket.on('error', () => {});
    socket.once('connect', () => {
      socket.removeListener('error', onError);
      stop(socket);
      done(null, socket);
    });
    if (started < hosts.length) timer = setTimeout(startNext, staggerMs);
  };
  startNext();
  return () => {
    const latest = open.size > 0 ? hosts[started - 1] : undefined;
    stop();
    return latest;
  };
}

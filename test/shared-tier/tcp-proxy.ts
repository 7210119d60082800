/** Stands between a client and a server, notes all that is said, and can do what networks do. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #said: Buffer[] = [];
  /** How long the server's bytes are held back. */
  delayMs = 0;
  /** Whether the server's bytes are swallowed, from now on. */
  swallows = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server);
    server.on('connection', (client) => proxy.#join(client, connect(targetPort, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All bytes so far, in both directions. */
  get said(): Buffer {
    return Buffer.concat(this.#said);
  }

  /** Every connection breaks, in the middle of whatever was being said. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }

  #join(client: Socket, target: Socket): void {
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from);
      let arrived = Promise.resolve();
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on('data', (bytes) => {
        this.#said.push(bytes);
        if (from === client) {
          to.write(bytes);
          return;
        }
        if (this.swallows) return;
        // In their order, also when the delay becomes shorter.
        const { delayMs } = this;
        const cameAt = performance.now();
        arrived = arrived
          .then(() => (delayMs > 0 ? sleep(Math.max(0, delayMs - (performance.now() - cameAt))) : undefined))
          .then(() => {
            if (!to.destroyed) to.write(bytes);
          });
      });
    }
  }
}

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export const ANSWER = '{"stuff":[],"uuid":"1","segments":[984263],"dcs_region":9}';

/** A whole HTTP/1.1 answer. */
export function http(body = ANSWER, status = '200 OK', headers = ''): string {
  return `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

export interface DcsServer extends AsyncDisposable {
  readonly origin: URL;
  /** Raw request heads received so far. */
  readonly heads: readonly string[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Open connections. */
  readonly sockets: ReadonlySet<Socket>;
  /** Writes to every open connection. */
  answer(bytes: string): void;
  /** Resolves once `count` requests have arrived. */
  received(count: number): Promise<void>;
  /** Resolves once no connection is open. */
  deserted(): Promise<void>;
}

/** A server on loopback; `answer` writes the raw bytes of each answer. */
export async function dcsServer(answer: (socket: Socket, nth: number) => unknown): Promise<DcsServer> {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  const changed = () => new Promise<void>((resolve) => waiting.add(resolve));
  const notify = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      notify();
    });
    socket.on('data', (data) => {
      heads.push(data.toString('latin1'));
      notify();
      answer(socket, heads.length);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    origin,
    heads,
    sockets,
    get connections() {
      return connections;
    },
    answer(bytes) {
      for (const socket of sockets) socket.write(bytes);
    },
    received: async (count) => {
      while (heads.length < count) await changed();
    },
    deserted: async () => {
      while (sockets.size > 0) await changed();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

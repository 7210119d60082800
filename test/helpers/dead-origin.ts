import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/**
 * An origin where nobody listens, nor can until it is disposed of: its port is taken by one end of a connection. A port
 * that was listened on and freed could be another test's a moment later.
 */
export async function deadOrigin(): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  return {
    url: `http://127.0.0.1:${socket.localPort}`,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await once(server.close(), 'close');
    },
  };
}

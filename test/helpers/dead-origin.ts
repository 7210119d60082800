import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/**
 * An origin that refuses connections. One end of a connection keeps its port in use, so that no other test can listen on
 * it until the origin is disposed of.
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

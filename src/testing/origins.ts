import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type OriginName, REGIONS } from './simulator-options';

/** Answers the requests that arrive at one origin. */
export type OriginHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Origins in the shape of the `dcs` option. */
export interface DcsOrigins {
  /** Origins by region id. */
  readonly origins: Record<number, string>;
  /** The origin of the partner's alias. */
  readonly defaultOrigin: string;
}

/** One HTTP server per region and one for the alias. */
export interface OriginServers extends DcsOrigins {
  close(): Promise<void>;
}

/**
 * @param port the port of the alias, followed by those of the regions; `undefined` for free ports
 * @throws the system's error if a port is taken; then no server is left running
 */
export async function startOrigins(
  port: number | undefined,
  handlerFor: (origin: OriginName) => OriginHandler,
): Promise<OriginServers> {
  const names: readonly OriginName[] = [...REGIONS, 'alias'];
  const portOf = (index: number) => (port === undefined ? 0 : port + ((index + 1) % names.length));
  const starting = names.map((name, index) => startServer(handlerFor(name), portOf(index)));
  const servers = await allOrNone(starting);
  const urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    origins: Object.fromEntries(REGIONS.map((region, index) => [region, urls[index] as string])),
    defaultOrigin: urls[REGIONS.length] as string,
    async close() {
      await Promise.all(servers.map(stopServer));
    },
  };
}

async function allOrNone(starting: readonly Promise<Server>[]): Promise<Server[]> {
  try {
    return await Promise.all(starting);
  } catch (error) {
    const settled = await Promise.allSettled(starting);
    await Promise.all(settled.map((each) => (each.status === 'fulfilled' ? stopServer(each.value) : undefined)));
    throw error;
  }
}

function startServer(handler: OriginHandler, port: number): Promise<Server> {
  // A DCS has its own answers to a call without a Host and to one that is too long, so Node must not reject them.
  const server = createServer({ requireHostHeader: false, maxHeaderSize: 64 * 1024 }, handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

import { channel } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { type Connection, OwnConnections } from '../../src/dcs/connections';
import { Connector } from '../../src/dcs/connector';
import { PROCESS_CLOCK } from '../../src/dcs/flow/clock';
import { HttpTransport } from '../../src/dcs/http-exchange';
import { dcsServer, http } from './dcs-server';

function setup(maxKept = 2) {
  const connections = new OwnConnections(new Connector(5_000), maxKept);
  return Object.assign(connections, { [Symbol.asyncDispose]: () => connections.destroy() });
}

/** Makes a call and leaves the connection as it is after the answer. */
function call(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.dispatch(
      { path: '/event', method: 'GET' },
      {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: () => {},
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

/** Connections to this origin that have each carried a call, none of them released. */
async function used(connections: OwnConnections, origin: URL, count: number) {
  const taken = Array.from({ length: count }, () => connections.take(origin));
  await Promise.all(taken.map(call));
  return taken;
}

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise(setImmediate);
};

describe('the connections to an origin', () => {
  it('are kept, and the one that was used last carries the next call', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using connections = setup();
    const [a, b] = (await used(connections, server.origin, 2)) as [Connection, Connection];
    expect([a.isKept, b.isKept]).toEqual([false, false]);
    b.release();
    a.release();
    expect([connections.take(server.origin), connections.take(server.origin)]).toEqual([a, b]);
    expect([a.isKept, b.isKept]).toEqual([true, true]);
    await Promise.all([call(a), call(b)]);
    expect([server.heads.length, server.connections]).toEqual([4, 2]);
  });

  it('are kept up to a number, and closed beyond it', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using connections = setup(2);
    const taken = await used(connections, server.origin, 4);
    for (const each of taken) each.release();
    await until(() => server.sockets.size === 2);
    expect([connections.take(server.origin), connections.take(server.origin)]).toEqual([taken[1], taken[0]]);
    expect(taken).not.toContain(connections.take(server.origin));
  });

  it('carry no call to another origin', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using other = await dcsServer((socket) => socket.write(http()));
    await using connections = setup();
    const [connection] = await used(connections, server.origin, 1);
    connection?.release();
    expect(connections.take(other.origin)).not.toBe(connection);
    expect(connections.takeNew(server.origin)).not.toBe(connection);
    expect(connections.take(server.origin)).toBe(connection);
  });

  it('are dropped when the server closes them while they carry no call', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using connections = setup();
    const [a, b] = (await used(connections, server.origin, 2)) as [Connection, Connection];
    a.release();
    b.release();
    for (const socket of server.sockets) socket.end();
    await server.deserted();
    await new Promise(setImmediate);
    const next = connections.take(server.origin);
    expect([a, b]).not.toContain(next);
    expect(next.isKept).toBe(false);
    await call(next);
    expect(server.connections).toBe(3);
  });

  it('are not kept when the answer said that they would be closed', async () => {
    await using server = await dcsServer((socket) => socket.end(http('', '200 OK', 'Connection: close\r\n')));
    await using connections = setup();
    const [connection] = (await used(connections, server.origin, 1)) as [Connection];
    connection.release();
    await server.deserted();
    await new Promise(setImmediate);
    expect(connections.take(server.origin)).not.toBe(connection);
  });

  it('are not kept after they were destroyed', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using connections = setup();
    const [a, b] = (await used(connections, server.origin, 2)) as [Connection, Connection];
    a.destroy(() => {});
    a.release();
    b.release();
    b.destroy(() => {});
    expect([a, b]).not.toContain(connections.take(server.origin));
    await server.deserted();
  });

  it('all close with destroy(), those that carry a call or are released later too', async () => {
    await using server = await dcsServer((socket, nth) => nth < 3 && socket.write(http()));
    const connections = setup();
    const [kept, late] = (await used(connections, server.origin, 2)) as [Connection, Connection];
    kept.release();
    const failed = expect(call(connections.takeNew(server.origin))).rejects.toThrow('closed');
    await server.received(3);
    const destroyed = connections.destroy();
    late.release();
    await Promise.all([destroyed, failed, server.deserted()]);
    expect(connections.take(server.origin)).not.toBe(late);
  });
});

describe('a call that is aborted', () => {
  const CONFIG = { dispatcher: undefined, partnerHost: 'acme.demdex.net', timeoutMs: 5_000, connections: 2 };

  /** A call, what became of it, and the socket that it was sent on. */
  async function send(origin: URL) {
    const sockets: Socket[] = [];
    const connected = channel('undici:client:connected');
    const note = (message: unknown) => sockets.push((message as { socket: Socket }).socket);
    connected.subscribe(note);
    const transport = new HttpTransport(CONFIG, PROCESS_CLOCK);
    const settled = jest.fn();
    const released = jest.fn(() => sockets.map((socket) => socket.closed));
    const exchange = transport.send(
      {
        origin,
        request: { method: 'GET', path: '/event', body: undefined },
        isRepeatable: true,
        readsBody: true,
      },
      { attempted: () => {}, settled, released },
    );
    const stop = async () => {
      connected.unsubscribe(note);
      await transport.destroy({ reason: 'closed', message: '' });
    };
    return { exchange, settled, released, [Symbol.asyncDispose]: stop };
  }

  it('is over when its socket has closed, not before, and has no result', async () => {
    await using server = await dcsServer(() => {});
    await using sent = await send(server.origin);
    await server.received(1);
    sent.exchange.abort();
    expect(sent.released).not.toHaveBeenCalled();
    await server.deserted();
    await until(() => sent.released.mock.calls.length > 0);
    // Closed on this side by then.
    expect(sent.released).toHaveReturnedWith([true]);
    sent.exchange.abort();
    await new Promise(setImmediate);
    expect([sent.released.mock.calls.length, sent.settled.mock.calls]).toEqual([1, []]);
  });

  it('is over also when it had no socket yet', async () => {
    await using server = await dcsServer(() => {});
    await using sent = await send(server.origin);
    sent.exchange.abort();
    await until(() => sent.released.mock.calls.length > 0);
    await new Promise(setImmediate);
    expect([sent.released.mock.calls.length, sent.settled.mock.calls, server.heads.length]).toEqual([1, [], 0]);
  });

  it('is over once when its answer has come', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using sent = await send(server.origin);
    await until(() => sent.released.mock.calls.length > 0);
    sent.exchange.abort();
    await new Promise(setImmediate);
    expect([sent.released.mock.calls.length, sent.settled.mock.calls.length, server.sockets.size]).toEqual([1, 1, 1]);
  });
});

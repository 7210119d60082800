import dns from 'node:dns';
import { Regions } from '../../src/dcs/protocol/regions';
import { about, clientOf, ECID, OTHER_ECID } from './client-of';
import { ANSWER, dcsServer, http } from './dcs-server';

const CLOSED = { reason: 'closed', code: 'ERR_AAM_CLOSED', message: 'close() was called.' };
const visitor = { ecid: ECID };

describe('DcsClient.close', () => {
  it.each([
    ['have no answer yet', ''],
    ['wait for the rest of the headers', 'HTTP/1.1 200 OK\r\n'],
    ['wait for the rest of the body', `HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n${ANSWER}`],
  ])('aborts calls that %s, and closes their sockets', async (_, begun) => {
    await using server = await dcsServer((socket) => socket.write(begun));
    await using client = clientOf(server.origin);
    const lookups = ['a', 'b'].map((key) => client.lookup(key, about(visitor)));
    await server.received(2);
    const closed = client.close();
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject(CLOSED);
    await closed;
    await server.deserted();
    expect(client.stats().inFlight).toBe(0);
  });

  it('aborts calls that wait for a socket', async () => {
    await using server = await dcsServer(() => {});
    await using client = clientOf(server.origin, { connections: 1 });
    const lookups = ['a', 'b', 'c'].map((key) => client.lookup(key, about(visitor)));
    await server.received(1);
    void client.close();
    for (const lookup of lookups) await expect(lookup).rejects.toMatchObject(CLOSED);
    await server.deserted();
    expect(server.heads).toHaveLength(1);
  });

  it('aborts a call in the same turn of the event loop as it started', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using client = clientOf(server.origin);
    const lookup = client.lookup('a', about(visitor));
    void client.close();
    await expect(lookup).rejects.toMatchObject(CLOSED);
    await server.deserted();
    expect(server.heads).toHaveLength(0);
  });

  it('aborts a TLS handshake that the server does not answer', async () => {
    await using server = await dcsServer(() => {});
    const { port } = server.origin;
    await using client = clientOf(new URL(`https://127.0.0.1:${port}`), { timeoutMs: 60_000 });
    const lookup = client.lookup('a', about(visitor));
    await server.received(1);
    void client.close();
    await expect(lookup).rejects.toMatchObject(CLOSED);
    await server.deserted();
  });

  it('aborts a call that waits for DNS, and does not connect when the address arrives', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const asked: (() => void)[] = [];
    const spy = jest.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      options: object,
      callback: CallableFunction,
    ) => {
      const isAll = 'all' in options && options.all === true;
      asked.push(() =>
        isAll ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4),
      );
    }) as unknown as typeof dns.lookup);
    try {
      await using client = clientOf(new URL(`http://dcs.example:${server.origin.port}`));
      const lookup = client.lookup('a', about(visitor));
      expect(asked).toHaveLength(1);
      await Promise.all([client.close(), expect(lookup).rejects.toMatchObject(CLOSED)]);
      asked[0]?.();
      await new Promise(setImmediate);
      expect(server.connections).toBe(0);
    } finally {
      spy.mockRestore();
    }
  });

  it('closes idle keep-alive sockets of all origins', async () => {
    await using first = await dcsServer((socket) => socket.write(http()));
    await using second = await dcsServer((socket) => socket.write(http()));
    await using client = clientOf(first.origin, { regions: new Regions(new Map([[9, second.origin]]), first.origin) });
    await Promise.all([client.lookup('a', about(visitor)), client.lookup('b', about({ ecid: OTHER_ECID, region: 9 }))]);
    expect([first.sockets.size, second.sockets.size]).toEqual([1, 1]);
    await client.close();
    await Promise.all([first.deserted(), second.deserted()]);
  });

  it('closes the socket of an HTTP error whose body does not end', async () => {
    await using server = await dcsServer((socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n'));
    await using client = clientOf(server.origin, { timeoutMs: 60_000 });
    await expect(client.lookup('a', about(visitor))).rejects.toMatchObject({ reason: 'http-status' });
    await client.close();
    await server.deserted();
  });

  it('can be called again, before and after it has finished', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const client = clientOf(server.origin);
    await client.lookup('a', about(visitor));
    await Promise.all([client.close(), client.close()]);
    await client.close();
    await server.deserted();
  });

  it('rejects every later lookup without a call', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const client = clientOf(server.origin, { failureCooldownMs: 1_000 });
    await client.lookup('a', about(visitor));
    void client.close();
    expect(client.unavailable('a', visitor)).toMatchObject({ reason: 'closed' });
    expect(client.unavailable('never seen', visitor)).toMatchObject({ reason: 'closed' });
    await expect(client.lookup('a', about(visitor))).rejects.toMatchObject(CLOSED);
    await client.close();
    await expect(client.lookup('b', about(visitor))).rejects.toMatchObject(CLOSED);
    expect(client.stats().calls).toBe(1);
  });
});

import dns from 'node:dns';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { DcsError } from '../../src/dcs/protocol/dcs-error';
import { about, clientOf, ECID, OTHER_ECID } from './client-of';
import { dcsServer } from './dcs-server';

const ENDLESS_500 = 'HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n';
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n';

function drip(socket: Socket, text = ' '): void {
  const timer = setInterval(() => socket.write(text), 5);
  socket.on('close', () => clearInterval(timer));
}

/** The reason of a lookup that fails within its deadline and a little tolerance. */
function reasonAtDeadline(lookup: Promise<unknown>, timeoutMs: number): Promise<unknown> {
  const late = new Promise((resolve) => setTimeout(resolve, timeoutMs + 100, 'still pending'));
  return Promise.race([lookup.catch(({ reason }: DcsError) => reason), late]);
}

describe('the deadline of a call', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['without an answer', () => {}],
    ['whose answer stops within the headers', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-')],
    ['whose headers do not end', (socket) => socket.write('HTTP/1.1 200 OK\r\n') && drip(socket, 'X-A: b\r\n')],
    ['whose answer stops after the headers', (socket) => socket.write(HEAD)],
    ['whose answer stops within the body', (socket) => socket.write(`${HEAD}{"segments":[1]`)],
    ['whose body drips', (socket) => socket.write(HEAD) && drip(socket)],
    ['with only interim answers', (socket) => drip(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n')],
  ])('aborts one %s, and closes its socket', async (_, answer) => {
    await using server = await dcsServer(answer);
    await using client = clientOf(server.origin, { timeoutMs: 100 });
    const startedAtMs = performance.now();
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({
      reason: 'timeout',
      code: 'ERR_AAM_DCS_TIMEOUT',
      message: 'The DCS did not answer within 100 ms.',
    });
    expect(performance.now() - startedAtMs).toBeGreaterThan(95);
    await server.deserted();
    while (client.stats().inFlight > 0) await new Promise(setImmediate);
  });

  it('is one for the wait for a free socket too, after which no call has been made', async () => {
    await using server = await dcsServer(() => {});
    await using client = clientOf(server.origin, { timeoutMs: 200, connections: 1 });
    const before = Array.from({ length: 30 }, (_, index) => client.lookup(`${index}`, about({ ecid: OTHER_ECID })));
    const others = Promise.allSettled(before);
    expect(await reasonAtDeadline(client.lookup('a', about({ ecid: ECID })), 200)).toBe('overloaded');
    // Only what was sent says something about the server. The next in line may get the connection in its last millisecond.
    const [first, , ...reasons] = (await others).map((settled) => (settled as PromiseRejectedResult).reason.reason);
    expect([first, ...reasons]).toEqual(['timeout', ...Array(28).fill('overloaded')]);
    await server.deserted();
  });

  it('covers a TLS handshake that is not answered', async () => {
    await using server = await dcsServer(() => {});
    await using client = clientOf(new URL(`https://localhost:${server.origin.port}`), { timeoutMs: 200 });
    expect(await reasonAtDeadline(client.lookup('a', about({ ecid: ECID })), 200)).toBe('timeout');
    await server.deserted();
  });

  it('covers a host name that does not resolve', async () => {
    await using client = clientOf(new URL('http://name.invalid'), { timeoutMs: 200 });
    const lookup = jest.spyOn(dns, 'lookup').mockImplementation((() => {}) as unknown as typeof dns.lookup);
    try {
      expect(await reasonAtDeadline(client.lookup('a', about({ ecid: ECID })), 200)).toBe('timeout');
      expect(lookup).toHaveBeenCalledTimes(1);
    } finally {
      lookup.mockRestore();
    }
  });

  it('covers draining the body of an HTTP error, though the caller fails at once', async () => {
    await using server = await dcsServer((socket) => socket.write(ENDLESS_500));
    await using client = clientOf(server.origin, { timeoutMs: 200 });
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason: 'http-status' });
    expect(server.sockets.size).toBe(1);
    await server.deserted();
  });

  it('does not delay closing the socket of an HTTP error whose body is too long to drain', async () => {
    await using server = await dcsServer((socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 16385\r\n\r\n'));
    await using client = clientOf(server.origin, { timeoutMs: 60_000 });
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason: 'http-status' });
    await server.deserted();
  });
});

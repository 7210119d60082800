import type { Socket } from 'node:net';
import { about, clientOf, ECID, OTHER_ECID } from './client-of';
import { dcsServer, http } from './dcs-server';

const visitor = { ecid: ECID };
const reset = (socket: Socket) => socket.resetAndDestroy();
const end = (socket: Socket) => socket.end();
const inPart = (how: (socket: Socket) => unknown) => (socket: Socket) => socket.write('HTTP/1.1 2', () => how(socket));

/** A client with one kept-alive socket, opened at an earlier time of its clock. */
async function usedClient(...others: ((socket: Socket) => unknown)[]) {
  const answers = [(socket: Socket) => socket.write(http()), ...others];
  const server = await dcsServer((socket, nth) => answers[nth - 1]?.(socket));
  let nowMs = 0;
  const client = clientOf(server.origin, { nowMs: () => nowMs++ });
  await client.lookup('first', about({ ecid: OTHER_ECID }));
  await new Promise(setImmediate);
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const answer = (socket: Socket) => socket.write(http());

describe('a call on a kept-alive socket that the server closes instead of answering', () => {
  it.each([
    ['resets', reset],
    ['ends', end],
  ])('is retried (the server %s it)', async (_how, close) => {
    await using used = await usedClient(close, answer);
    expect(await used.client.lookup('a', about(visitor))).toMatchObject({ segments: ['984263'] });
    expect(used.server.heads).toHaveLength(3);
    expect(used.server.heads[1]).toBe(used.server.heads[2]);
    expect(used.client.stats().calls).toBe(3);
  });

  it('is retried only once', async () => {
    await using used = await usedClient(reset, reset, answer);
    await expect(used.client.lookup('a', about(visitor))).rejects.toMatchObject({ reason: 'network' });
    expect(used.server.heads).toHaveLength(3);
  });

  it('has one deadline for both attempts', async () => {
    const server = await dcsServer((socket, nth) => [answer, reset, () => {}][nth - 1]?.(socket));
    await using client = clientOf(server.origin, { timeoutMs: 300 });
    await client.lookup('first', about({ ecid: OTHER_ECID }));
    await new Promise(setImmediate);
    await expect(client.lookup('a', about(visitor))).rejects.toMatchObject({ reason: 'timeout' });
    expect(server.heads).toHaveLength(3);
    await client.close();
    await server[Symbol.asyncDispose]();
  });
});

describe('a call is not retried', () => {
  it.each([
    ['resets', reset],
    ['ends', end],
  ])('on a new socket (the server %s it)', async (_how, close) => {
    await using server = await dcsServer(close);
    await using client = clientOf(server.origin);
    await expect(client.lookup('a', about(visitor))).rejects.toMatchObject({ reason: 'network' });
    expect(server.heads).toHaveLength(1);
  });

  it.each([
    ['resets', reset],
    ['ends', end],
  ])('once part of an answer has arrived (then the server %s it)', async (_how, close) => {
    await using used = await usedClient(inPart(close), answer);
    await expect(used.client.lookup('a', about(visitor))).rejects.toMatchObject({ reason: 'network' });
    expect(used.server.heads).toHaveLength(2);
  });

  it('after close()', async () => {
    await using used = await usedClient(() => {}, answer);
    const lookup = used.client.lookup('a', about(visitor));
    await used.server.received(2);
    void used.client.close();
    await expect(lookup).rejects.toMatchObject({ reason: 'closed' });
    expect(used.server.heads).toHaveLength(2);
  });
});

import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { DcsError } from '../../src/dcs/protocol/dcs-error';
import type { DcsReply } from '../../src/dcs/protocol/reply';
import { about, clientOf, ECID } from './client-of';
import { ANSWER, dcsServer, http } from './dcs-server';

const LIMIT = 262_144;
const SECRET = 'secret-of-the-body';

type Outcome = Partial<DcsReply> & Partial<DcsError>;

/** The outcome of a lookup, and whether its socket was reused. Only the client closes sockets. */
async function outcomeOf(answer: (socket: Socket) => unknown): Promise<Outcome & { isSocketKept: boolean }> {
  await using server = await dcsServer(answer);
  await using client = clientOf(server.origin, { timeoutMs: 2_000 });
  const outcome: Outcome = await client.lookup('a', about({ ecid: ECID })).catch((error) => error);
  // A second call shows whether the socket was kept, and whether the first left anything in it.
  await new Promise(setImmediate);
  await client.lookup('b', about({ ecid: ECID })).catch(() => {});
  const isSocketKept = server.connections === 1;
  await client.close();
  await server.deserted();
  return Object.assign(outcome, { isSocketKept });
}

const chunked = (...chunks: string[]) =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`;

const padded = (length: number) => ANSWER + ' '.repeat(length - ANSWER.length);

describe('an answer', () => {
  it.each<[string, (socket: Socket) => unknown]>([
    ['in chunks', (socket) => socket.write(chunked(ANSWER.slice(0, 9), ANSWER.slice(9)))],
    [
      'with interim answers before it',
      (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${http()}`),
    ],
    [
      'with a cookie and duplicate headers',
      (socket) => socket.write(http(ANSWER, '200 OK', 'Set-Cookie: demdex=1\r\nP3P: a\r\nP3P: b\r\n')),
    ],
    ['with the identity encoding', (socket) => socket.write(http(ANSWER, '200 OK', 'Content-Encoding: Identity\r\n'))],
    ['with an empty content encoding', (socket) => socket.write(http(ANSWER, '200 OK', 'Content-Encoding:\r\n'))],
    ['of the maximum size', (socket) => socket.write(http(padded(LIMIT)))],
    [
      'of the maximum size in chunks',
      (socket) => socket.write(chunked(...(padded(LIMIT).match(/.{1,65536}/g) as string[]))),
    ],
    [
      'of JSON with another content type',
      (socket) => socket.write(http(ANSWER, '200 OK', 'Content-Type: image/gif\r\n')),
    ],
  ])('%s is read, and its socket reused', async (_, answer) => {
    expect(await outcomeOf(answer)).toMatchObject({ segments: ['984263'], errors: [], isSocketKept: true });
  });

  it.each<[string, (socket: Socket) => unknown]>([
    ['of HTTP/1.0, which ends with its socket', (socket) => socket.end(`HTTP/1.0 200 OK\r\n\r\n${ANSWER}`)],
    ['without a length, which ends with its socket', (socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${ANSWER}`)],
    ['with Connection: close', (socket) => socket.end(http(ANSWER, '200 OK', 'Connection: close\r\n'))],
    ['with more bytes behind it', (socket) => socket.write(`${http()}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`)],
    ['with garbage behind it', (socket) => socket.write(`${http()}garbage`)],
  ])('%s is read, and its socket not reused', async (_, answer) => {
    expect(await outcomeOf(answer)).toMatchObject({ segments: ['984263'], isSocketKept: false });
  });

  it('has the codes of all its X-Error headers', async () => {
    const headers = 'X-Error: 300, 301\r\nx-error: 309\r\n';
    expect(await outcomeOf((socket) => socket.write(http(ANSWER, '200 OK', headers)))).toMatchObject({
      errors: [300, 301, 309],
    });
    expect(await outcomeOf((socket) => socket.write(http(ANSWER, '200 OK', 'X-Error: 306\r\n')))).toMatchObject({
      reason: 'denylisted',
      dcsCode: 306,
    });
  });

  it('above the maximum size is a bad reply, and its socket is closed', async () => {
    const reason = 'bad-reply';
    const message = `The DCS answered with more than ${LIMIT} bytes.`;
    const tooLong = padded(LIMIT + 1);
    const outcome = await outcomeOf((socket) => socket.write(http(tooLong)));
    expect(outcome).toMatchObject({ reason, message });
    const endless = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
    for (const head of [endless, 'HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n']) {
      const flood = (socket: Socket) => {
        socket.write(head);
        for (let count = 0; count < 8; count++) socket.write(chunk);
      };
      expect(await outcomeOf(flood)).toMatchObject({ reason, message, isSocketKept: false });
    }
  });

  it.each([true, false])(
    'in an encoding that was not requested is a bad reply, arrived completely: %p',
    async (whole) => {
      const body = gzipSync(ANSWER);
      const outcome = await outcomeOf((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
        if (whole) socket.write(body);
      });
      expect(outcome).toMatchObject({ reason: 'bad-reply', message: expect.stringContaining('content encoding') });
    },
  );

  it.each<[string, (socket: Socket) => unknown]>([
    ['is missing: the socket is reset', (socket) => socket.resetAndDestroy()],
    ['is missing: the socket ends', (socket) => socket.end()],
    ['ends within the headers', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
    ['ends before its length', (socket) => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n${ANSWER}`)],
    [
      'is reset before its length',
      (socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n${SECRET}`, () => socket.resetAndDestroy()),
    ],
    ['ends before its last chunk', (socket) => socket.end(chunked(ANSWER).slice(0, -5))],
    [
      'has garbage for chunks',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${SECRET}\r\n`),
    ],
    [
      'has garbage after a chunk',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}${SECRET}\r\n`),
    ],
    ['is not HTTP', (socket) => socket.write(`${SECRET}\r\n\r\n`)],
    ['is HTTP/2', (socket) => socket.write(Buffer.from('000012040000000000', 'hex'))],
    ['has an invalid length', (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SECRET}\r\n\r\n{}`)],
    [
      'has two lengths',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'),
    ],
    [
      'has a length and chunks',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ],
    ['is a flood of headers', (socket) => socket.write(`HTTP/1.1 200 OK\r\n${`X-A: ${SECRET}\r\n`.repeat(5_000)}\r\n`)],
    ['is one endless header', (socket) => socket.write(`HTTP/1.1 200 OK\r\nX-A: ${SECRET.repeat(5_000)}`)],
    [
      'switches protocols',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    ],
    ['is only 100 Continue', (socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n')],
  ])('that %s is a network error, and its socket is closed', async (_, answer) => {
    const outcome = await outcomeOf(answer);
    expect(outcome).toMatchObject({ reason: 'network', code: 'ERR_AAM_DCS_NETWORK', isSocketKept: false });
    expect(outcome.message).toMatch(/^The call to the DCS failed: (?:UND_ERR_[A-Z_]+|ECONNRESET|HTTPParserError)\.$/);
  });

  it('from a closed port is a network error', async () => {
    const server = await dcsServer(() => {});
    await server[Symbol.asyncDispose]();
    await using client = clientOf(server.origin);
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({
      reason: 'network',
      message: 'The call to the DCS failed: ECONNREFUSED.',
    });
  });

  it.each<[string, string]>([
    ['an HTTP error', http(SECRET, '500 No')],
    ['text', http(SECRET)],
    ['a DCS error', http(`{"errors":[{"code":1,"msg":"${SECRET}"}],"uuid":"${SECRET}"}`)],
    ['an opt-out', http(`{"errors":[{"code":171,"msg":"opt out tag for ${ECID} ${SECRET}"}]}`)],
    ['garbage', `HTTP/1.1 200 OK\r\n${SECRET}\r\n\r\n`],
  ])('that is %s leaves neither identifier nor body in its error', async (_, answer) => {
    const error = await outcomeOf((socket) => socket.write(answer));
    const shown = `${error.message}\n${error.stack}\n${JSON.stringify(error)}\n${inspect(error, { depth: 9, showHidden: true })}`;
    expect(error.message).toMatch(/^The /);
    expect(shown).not.toContain(ECID);
    expect(shown).not.toContain(SECRET);
    expect(error.cause).toBeUndefined();
  });
});

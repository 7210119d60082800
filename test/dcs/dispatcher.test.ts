import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type AamSegmentsOptions, aamSegments } from 'express-aam-segments';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { ECID } from './client-of';
import { dcsServer, http } from './dcs-server';

const visitor = { ecid: ECID, region: 9 };

function aamOf(origin: URL, dcs: Partial<NonNullable<AamSegmentsOptions['dcs']>>) {
  return aamSegments({
    orgId: '1FD6776A524453CC0A490D44',
    partner: 'acme',
    dcs: { defaultOrigin: origin.origin, origins: { 9: origin.origin }, ...dcs },
  });
}

/** An HTTP proxy that supports only CONNECT. */
async function proxy() {
  const targets: string[] = [];
  const open = new Set<Socket>();
  const server = createServer().listen(0, '127.0.0.1');
  server.on('connect', ({ url = '' }, socket: Socket) => {
    targets.push(url);
    const [host, port] = url.split(':') as [string, string];
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const each of [socket, onward]) {
      open.add(each);
      each.on('error', () => {}).on('close', () => open.delete(each));
    }
  });
  await once(server, 'listening');
  return {
    targets,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('dcs.dispatcher', () => {
  it('can be a proxy: calls go through it with the alias in Host', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using through = await proxy();
    const dispatcher = new ProxyAgent(through.url);
    const aam = aamOf(server.origin, { dispatcher });
    expect((await aam.lookup(visitor)).has(984263)).toBe(true);
    expect(through.targets).toEqual([server.origin.host]);
    expect(server.heads[0]).toContain('host: acme.demdex.net');
    await aam.close();
    await dispatcher.close();
  });

  it('remains open after close(), which aborts only our calls', async () => {
    await using server = await dcsServer((socket, nth) => nth > 1 && socket.write(http()));
    await using dispatcher = disposable(new Agent());
    const aam = aamOf(server.origin, { dispatcher });
    const lookup = aam.lookup(visitor);
    await server.received(1);
    void aam.close();
    await expect(lookup).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    const { body } = await dispatcher.request({ origin: server.origin, path: '/', method: 'GET' });
    expect(await body.text()).toContain('984263');
  });

  it('is subject to the deadline of a call', async () => {
    await using server = await dcsServer(() => {});
    await using dispatcher = disposable(new Agent());
    const aam = aamOf(server.origin, { dispatcher, timeoutMs: 20 });
    await expect(aam.lookup(visitor)).rejects.toMatchObject({ code: 'ERR_AAM_DCS_TIMEOUT' });
    await aam.close();
  });

  it('failing is a network error', async () => {
    const dispatch = () => {
      throw new Error(`no way for ${ECID}`);
    };
    const aam = aamOf(new URL('http://127.0.0.1:9'), { dispatcher: { dispatch } as unknown as Dispatcher });
    const failure = (await aam.lookup(visitor).catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'ERR_AAM_DCS_NETWORK' });
    expect(failure.message).not.toContain(ECID);
    await aam.close();
  });
});

function disposable<D extends Dispatcher>(dispatcher: D): D & AsyncDisposable {
  return Object.assign(dispatcher, { [Symbol.asyncDispose]: () => dispatcher.destroy() });
}

import { execFile } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { Connector } from '../../src/dcs/connector';
import { Regions } from '../../src/dcs/protocol/regions';
import { about, clientOf, ECID } from './client-of';
import { ANSWER, dcsServer, http } from './dcs-server';

const fixture = (name: string) => path.join(__dirname, 'fixtures', name);

/** A server with this certificate; it records the TLS server name of each connection and the Host of each request. */
async function tlsServer(certificate: 'localhost' | 'alias' | 'wildcard' | 'expired') {
  const servernames: unknown[] = [];
  const hosts: unknown[] = [];
  const options = {
    cert: readFileSync(fixture(`${certificate}.pem`)),
    key: readFileSync(fixture(`${certificate}-key.pem`)),
  };
  const server = createServer(options, (req, res) => {
    hosts.push(req.headers.host);
    res.end(ANSWER);
  });
  server.on('secureConnection', (socket: TLSSocket & { servername?: unknown }) => servernames.push(socket.servername));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, servernames, hosts, [Symbol.asyncDispose]: () => promisify(server.close.bind(server))() };
}

/** In a child process, because the trusted certificates are read when a process starts. */
async function outcomesAt(origins: string[], trusted?: string): Promise<{ outcomes: string[]; warnings: string[] }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--unhandled-rejections=strict', fixture('lookup.ts'), ...origins],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted } },
  );
  return JSON.parse(stdout);
}

describe('a connection', () => {
  it('verifies the certificate against the host it connects to, by name and address; the alias is only in Host', async () => {
    await using server = await tlsServer('localhost');
    await using alias = await tlsServer('alias');
    const origins = [
      `https://localhost:${server.port}`,
      `https://127.0.0.1:${server.port}`,
      `https://localhost:${alias.port}`,
      `https://127.0.0.1:${alias.port}`,
    ];
    const refused = 'The call to the DCS failed: ERR_TLS_CERT_ALTNAME_INVALID.';
    expect(await outcomesAt(origins, fixture('ca.pem'))).toEqual({
      outcomes: ['984263', '984263', refused, refused],
      warnings: [],
    });
    // An IP address is not sent as a server name (RFC 6066).
    expect(server.servernames.sort()).toEqual([false, 'localhost']);
    expect(server.hosts).toEqual(['acme.demdex.net', 'acme.demdex.net']);
    expect(alias.hosts).toEqual([]);
  }, 20_000);

  it('accepts a wildcard certificate for one level of subdomains', async () => {
    await using server = await tlsServer('wildcard');
    const origins = ['usw2.demdex.test', 'irl1.demdex.test', 'a.b.demdex.test'].map(
      (name) => `https://${name}:${server.port}`,
    );
    expect((await outcomesAt(origins, fixture('wildcard.pem'))).outcomes).toEqual([
      '984263',
      '984263',
      'The call to the DCS failed: ERR_TLS_CERT_ALTNAME_INVALID.',
    ]);
    expect(server.hosts).toEqual(['acme.demdex.net', 'acme.demdex.net']);
  }, 20_000);

  it('rejects an expired certificate', async () => {
    await using server = await tlsServer('expired');
    const { outcomes } = await outcomesAt([`https://usw2.demdex.test:${server.port}`], fixture('expired.pem'));
    expect(outcomes).toEqual(['The call to the DCS failed: CERT_HAS_EXPIRED.']);
    expect(server.hosts).toEqual([]);
  }, 20_000);

  it('rejects a certificate of an unknown issuer', async () => {
    await using server = await tlsServer('localhost');
    const { outcomes } = await outcomesAt([`https://localhost:${server.port}`]);
    expect(outcomes).toEqual(['The call to the DCS failed: UNABLE_TO_VERIFY_LEAF_SIGNATURE.']);
    expect(server.hosts).toEqual([]);
  }, 20_000);

  it('tries the IPv4 address first when a name has both', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const { port } = server.origin;
    const attempted: unknown[] = [];
    const connected = channel('undici:client:connected');
    const record = (message: unknown) => {
      const { socket } = message as { socket: Socket };
      attempted.push(`${socket.remoteAddress}:${socket.remotePort}`);
    };
    connected.subscribe(record);
    const lookup = jest.spyOn(dns, 'lookup').mockImplementation(bothFamilies as unknown as typeof dns.lookup);
    try {
      await using client = clientOf(new URL(`http://dcs.example:${port}`));
      await client.lookup('a', about({ ecid: ECID }));
      expect(lookup).toHaveBeenCalledWith('dcs.example', expect.anything(), expect.anything());
      expect(attempted).toEqual([`127.0.0.1:${port}`]);
    } finally {
      lookup.mockRestore();
      connected.unsubscribe(record);
    }
  });
});

describe('Connector.open', () => {
  /** The options that undici opens a connection with. */
  const to = (hostname: string, port: string | number, protocol = 'http:') => ({
    hostname,
    port: String(port),
    protocol,
  });
  const opened = (connector: Connector, hostname: string, port: string) =>
    new Promise<Socket>((resolve, reject) => {
      connector.open(to(hostname, port), (error, socket) => (error ? reject(error) : resolve(socket)));
    });
  const resolvingTo = (...addresses: string[]) =>
    nameServer((callback) => setImmediate(() => callback(null, entries(...addresses))));
  /** Sockets that connect or fail when the test says so, by the time and address of each attempt. */
  const attempts = () => {
    const startMs = Date.now();
    const made: { host: string; atMs: number; socket: Socket }[] = [];
    jest.spyOn(net, 'connect').mockImplementation(((options: { host: string }) => {
      const socket = new net.Socket();
      made.push({ host: options.host, atMs: Date.now() - startMs, socket });
      return socket;
    }) as unknown as typeof net.connect);
    return made;
  };
  /** A connection to a host of which these are the addresses. */
  const openTo = (hostname: string, addresses: string[], timeoutMs = 1_000) => {
    jest.useFakeTimers();
    nameServer((callback) => callback(null, entries(...addresses)));
    const made = attempts();
    const called = jest.fn();
    const cancel = new Connector(timeoutMs).open(to(hostname, 80), called);
    return { made, called, cancel, hosts: () => made.map(({ host }) => host) };
  };

  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('can be cancelled during TLS, and leaves nothing behind', async () => {
    await using server = await dcsServer((socket) => socket.write('pong'));
    const { hostname, port } = server.origin;
    const connector = new Connector(60_000);
    const open = await opened(connector, hostname, port);
    const called = jest.fn();
    const cancel = connector.open(to(hostname, port, 'https:'), called);
    await server.received(1);
    expect(server.sockets.size).toBe(2);
    cancel();
    while (server.sockets.size > 1) await new Promise(setImmediate);
    expect(called).not.toHaveBeenCalled();
    open.write('ping');
    expect(String(await once(open, 'data'))).toBe('pong');
    open.destroy();
  });

  it('can be cancelled while it waits for DNS, and then makes no attempt', () => {
    let answer = () => {};
    nameServer((callback) => {
      answer = () => callback(null, entries('127.0.0.1'));
    });
    const made = attempts();
    const called = jest.fn();
    const cancel = new Connector(1_000).open(to('waiting.example', 80), called);
    cancel();
    cancel();
    answer();
    expect([made, called.mock.calls]).toEqual([[], []]);
  });

  it('can be cancelled while it connects, with all its attempts', () => {
    const { made, called, cancel } = openTo('connecting.example', ['127.0.0.1', '127.0.0.2', '127.0.0.3']);
    jest.advanceTimersByTime(250);
    expect([made.length, jest.getTimerCount()]).toEqual([2, 1]);
    cancel();
    expect([made.map(({ socket }) => socket.destroyed), jest.getTimerCount()]).toEqual([[true, true], 0]);
    jest.advanceTimersByTime(10_000);
    expect([made.length, called.mock.calls]).toEqual([2, []]);
  });

  it('does nothing when it is cancelled after its end', async () => {
    await using server = await dcsServer((socket) => socket.write('pong'));
    const { hostname, port } = server.origin;
    let cancel: () => void = () => {};
    const socket = await new Promise<Socket>((resolve) => {
      cancel = new Connector(1_000).open(to(hostname, port), (_error, open) => resolve(open as Socket));
    });
    cancel();
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it('gives a server that is slow to answer company after 250 ms, and does not give it up', () => {
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
    const { made, called } = openTo('far.example', addresses);
    jest.advanceTimersByTime(280);
    expect(made.map(({ host, atMs }) => [host, atMs])).toEqual([
      ['127.0.0.1', 0],
      ['127.0.0.2', 250],
    ]);
    const [first, second] = made.map(({ socket }) => socket) as [Socket, Socket];
    expect(first.destroyed).toBe(false);
    first.emit('connect');
    expect(called.mock.calls).toEqual([[null, first]]);
    expect([first.destroyed, second.destroyed, jest.getTimerCount()]).toEqual([false, true, 0]);
    jest.advanceTimersByTime(10_000);
    expect(made).toHaveLength(2);
  });

  it.each([1_000, 400, 3])('tries four addresses that swallow everything within a deadline of %i ms', (timeoutMs) => {
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
    const { made, called } = openTo(`swallowing${timeoutMs}.example`, addresses, timeoutMs);
    jest.advanceTimersByTime(Math.max(3, Math.floor(timeoutMs / 4) * 3));
    expect(made.map(({ host }) => host)).toEqual(addresses);
    made[3]?.socket.emit('connect');
    expect(called.mock.calls).toEqual([[null, made[3]?.socket]]);
    expect(made.map(({ socket }) => socket.destroyed)).toEqual([true, true, true, false]);
  });

  it('begins with the address that it had no time left for the next time', () => {
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
    const { made, cancel } = openTo('distant.example', addresses);
    jest.advanceTimersByTime(999);
    cancel();
    new Connector(1_000).open(to('distant.example', 80), () => {})();
    expect(made.map(({ host }) => host)).toEqual([...addresses, '127.0.0.4']);
    new Connector(1_000).open(to('distant.example', 80), () => {})();
    expect(made.at(-1)?.host).toBe('127.0.0.4');
  });

  it('goes on at once when a server refuses, and fails when all that were tried have failed', () => {
    const { made, called, hosts } = openTo('refusing.example', ['127.0.0.1', '127.0.0.2', '127.0.0.3']);
    const fail = (nth: number) => made[nth]?.socket.emit('error', new Error(`refused ${nth}`));
    fail(0);
    expect(hosts()).toEqual(['127.0.0.1', '127.0.0.2']);
    jest.advanceTimersByTime(249);
    expect(made).toHaveLength(2);
    jest.advanceTimersByTime(1);
    expect(made).toHaveLength(3);
    fail(2);
    expect(called).not.toHaveBeenCalled();
    fail(1);
    expect(called.mock.calls).toEqual([[new Error('refused 1'), null]]);
    // Node may report more of a socket that nobody needs any more.
    fail(1);
    expect([called.mock.calls.length, jest.getTimerCount()]).toEqual([1, 0]);
  });

  it.each([
    ['the second', ['127.0.0.2', '127.0.0.1']],
    ['the fourth', ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.1']],
  ])('reaches a server of which only %s address is alive, and begins with that the next time', async (_which, list) => {
    await using server = await dcsServer((socket) => socket.write('pong'));
    const { port } = server.origin;
    const lookup = resolvingTo(...list);
    const connect = jest.spyOn(net, 'connect');
    const connector = new Connector(1_000);
    const hostname = `alive${list.length}.example`;
    for (const expected of [list, ['127.0.0.1']]) {
      connect.mockClear();
      const socket = await opened(connector, hostname, port);
      expect(connect.mock.calls.map(([options]) => (options as unknown as { host: string }).host)).toEqual(expected);
      socket.destroy();
    }
    expect(lookup).toHaveBeenCalledTimes(1);
  });

  it('looks the addresses up again when none of them could be reached', async () => {
    await using server = await dcsServer((socket) => socket.write('pong'));
    const { port } = server.origin;
    const connector = new Connector(1_000);
    resolvingTo('127.0.0.2', '127.0.0.3');
    await expect(opened(connector, 'moving.example', port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    resolvingTo('127.0.0.1');
    (await opened(connector, 'moving.example', port)).destroy();
  });

  it('fails with what the name server says', async () => {
    nameServer((callback) => setImmediate(() => callback(Object.assign(new Error(), { code: 'ENOTFOUND' }))));
    const made = attempts();
    await expect(opened(new Connector(1_000), 'nowhere.example', '80')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(made).toEqual([]);
  });

  it.each([
    ['http:', '', 80],
    ['https:', '', 443],
    ['https:', '8443', 8443],
  ])('goes to an IPv6 address by %s, port %j', (protocol, port, expected) => {
    attempts();
    const lookup = jest.spyOn(dns, 'lookup');
    const cancel = new Connector(1_000).open(to('[::1]', port, protocol), () => {});
    expect(net.connect).toHaveBeenCalledWith(expect.objectContaining({ host: '::1', port: expected }));
    expect(lookup).not.toHaveBeenCalled();
    cancel();
  });
});

describe('a silent name server', () => {
  afterEach(() => jest.restoreAllMocks());

  it('is asked one thing at a time, however many visitors come, and nothing else after close()', async () => {
    const callbacks: ((error: Error) => void)[] = [];
    nameServer((callback) => callbacks.push(callback));
    const origin = new URL('http://silent0.example');
    const others = [1, 2, 3].map((n) => [n, new URL(`http://silent${n}.example`)] as const);
    const client = clientOf(origin, { regions: new Regions(new Map(others), origin), timeoutMs: 20, connections: 64 });
    const lookups = Array.from({ length: 200 }, (_, n) => client.lookup(`v${n}`, about({ ecid: ECID, region: n % 4 })));
    const settled = await Promise.allSettled(lookups);
    expect(new Set(settled.map((each) => (each as PromiseRejectedResult).reason.reason))).toEqual(new Set(['timeout']));
    expect(callbacks).toHaveLength(1);
    await client.close();
    callbacks[0]?.(new Error('no answer'));
    expect(callbacks).toHaveLength(1);
  });
});

/** Has the name server answer like this. */
function nameServer(answer: (callback: (error: Error | null, addresses?: object[]) => void) => void) {
  return jest
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, callback: () => void) =>
      answer(callback)) as unknown as typeof dns.lookup);
}

const entries = (...addresses: string[]) => addresses.map((address) => ({ address, family: 4 }));

/** Node's answer for a name with one address of each family, of which the system returns IPv6 first. */
function bothFamilies(
  _name: string,
  options: dns.LookupAllOptions,
  callback: (error: null, addresses: object[]) => void,
): void {
  const addresses = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  const isIpv4First = options.order === 'ipv4first' || options.verbatim === false;
  setImmediate(callback, null, isIpv4First ? addresses.reverse() : addresses);
}

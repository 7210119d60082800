import { execFile } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { Connector } from '../../src/dcs/connector';
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
  it('can be cancelled, and leaves nothing behind', async () => {
    await using server = await dcsServer((socket) => socket.write('pong'));
    const { hostname, port } = server.origin;
    const connector = new Connector(60_000);
    const open = await new Promise<Socket>((resolve, reject) => {
      connector.open({ hostname, port, protocol: 'http:' }, (error, socket) =>
        error ? reject(error) : resolve(socket),
      );
    });
    const called = jest.fn();
    const cancel = connector.open({ hostname, port, protocol: 'https:' }, called);
    await server.received(1);
    expect(server.sockets.size).toBe(2);
    cancel();
    while (server.sockets.size > 1) await new Promise(setImmediate);
    expect(called).not.toHaveBeenCalled();
    open.write('ping');
    expect(String(await once(open, 'data'))).toBe('pong');
    open.destroy();
  });
});

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

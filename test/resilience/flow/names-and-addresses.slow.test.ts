import { type ChildProcess, fork } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { join } from 'node:path';
import { createDcsClient, type DcsClient, type DcsOptions } from 'express-aam-segments';
import { dcsServer, http } from '../../dcs/dcs-server';
import { advanceableClock, ORG } from '../../helpers/site';
import { ecidOf } from './flow-site';

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  jest.restoreAllMocks();
});

let hosts = 0;
/** What is known of a host's name is remembered by the process: each test has hosts of its own. */
const newHost = () => `dcs-${hosts++}.example`;

type Answer = (error: Error | null, addresses: { address: string; family: number }[]) => void;

/** A name server that answers when the test says so. */
function nameServer() {
  const waiting: { host: string; answer: Answer }[] = [];
  const asked: string[] = [];
  let most = 0;
  const lookUp = (host: string, _options: object, answer: Answer) => {
    asked.push(host);
    waiting.push({ host, answer });
    most = Math.max(most, waiting.length);
  };
  jest.spyOn(dns, 'lookup').mockImplementation(lookUp as never);
  const answer = (error: Error | null, addresses: readonly string[]) => {
    const next = waiting.shift();
    next?.answer(
      error,
      addresses.map((address) => ({ address, family: 4 })),
    );
    return next?.host;
  };
  cleanUps.push(() => {
    // The process asks one name at a time: nobody must wait for an answer that never comes.
    for (let host: string | undefined = ''; host !== undefined; ) host = answer(new Error('gone'), []);
  });
  return { asked, most: () => most, outstanding: () => waiting.length, answer };
}

function createClient(dcs: DcsOptions): DcsClient {
  const client = createDcsClient({
    orgId: ORG,
    partner: 'acme',
    dcs: { breaker: false, failureCooldownMs: 0, ...dcs },
  });
  cleanUps.push(() => client.close());
  return client;
}

const lookupsOf = (client: DcsClient, count: number, region?: (n: number) => number) =>
  Array.from({ length: count }, (_, n) =>
    client.lookup({ ecid: ecidOf(n), ...(region && { region: region(n) }) }).then(
      () => 'ok',
      ({ code }: { code: string }) => code as string,
    ),
  );

/** The sockets that are opened from now on, until the test ends. */
function openedSockets(): Socket[] {
  const sockets: Socket[] = [];
  const record = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', record);
  cleanUps.push(() => unsubscribe('net.client.socket', record));
  return sockets;
}

describe('a name server that is silent', () => {
  it('is asked one name at a time, however many visitors come, and is asked for nobody who gave up', async () => {
    const names = nameServer();
    const sockets = openedSockets();
    const regions = [newHost(), newHost(), newHost()];
    const origins = Object.fromEntries(regions.map((host, n) => [[3, 6, 9][n], `http://${host}:9`]));
    const dcs = { origins, defaultOrigin: `http://${newHost()}:9`, timeoutMs: 100 };
    const client = createClient(dcs);
    const other = createClient(dcs);
    const codes: string[] = [];
    for (let round = 0; round < 5; round++) {
      for (const each of [client, other]) {
        codes.push(...(await Promise.all(lookupsOf(each, 60, (n) => [3, 6, 9][n % 3] as number))));
      }
    }
    expect(new Set(codes)).toEqual(new Set(['ERR_AAM_DCS_TIMEOUT']));
    expect([names.asked.length, names.outstanding()]).toEqual([1, 1]);
    expect(Object.values(client.stats().origins)).toMatchObject(Array(3).fill({ running: 0, queued: 0 }));
    await Promise.all([client.close(), other.close()]);
    expect(client.stats().inFlight).toBe(0);
    // An answer that comes late opens no connection, and nobody waits for the other hosts any more.
    names.answer(null, ['127.0.0.1']);
    await new Promise(setImmediate);
    expect([names.asked.length, names.most(), sockets]).toEqual([1, 1, []]);
  });

  it('serves all who still wait when it answers, with one question, and what it said is remembered', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const names = nameServer();
    const client = createClient({
      origins: {},
      defaultOrigin: `http://${newHost()}:${server.origin.port}`,
      timeoutMs: 10_000,
    });
    const lookups = lookupsOf(client, 40);
    while (names.outstanding() === 0) await new Promise(setImmediate);
    names.answer(null, ['127.0.0.1']);
    expect(new Set(await Promise.all(lookups))).toEqual(new Set(['ok']));
    expect(new Set(await Promise.all(lookupsOf(client, 80)))).toEqual(new Set(['ok']));
    expect(names.asked).toHaveLength(1);
  });

  it('is asked again after an error, and about the next host as soon as it has answered', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const names = nameServer();
    const [bad, good] = [newHost(), newHost()];
    const client = createClient({
      origins: { 9: `http://${bad}:${server.origin.port}` },
      defaultOrigin: `http://${good}:${server.origin.port}`,
      timeoutMs: 10_000,
      failover: false,
    });
    const [atBad] = lookupsOf(client, 1, () => 9);
    const atGood = client.lookup({ ecid: ecidOf(1) });
    while (names.outstanding() === 0) await new Promise(setImmediate);
    expect(names.answer(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])).toBe(bad);
    expect(await atBad).toBe('ERR_AAM_DCS_NETWORK');
    while (names.outstanding() === 0) await new Promise(setImmediate);
    expect(names.answer(null, ['127.0.0.1'])).toBe(good);
    expect((await atGood).status).toBe('fresh');
    const again = lookupsOf(client, 1, () => 9);
    while (names.outstanding() === 0) await new Promise(setImmediate);
    expect(names.answer(null, ['127.0.0.1'])).toBe(bad);
    expect([await again[0], names.asked]).toEqual(['ok', [bad, good, bad]]);
  });
});

describe('addresses that were found a while ago', () => {
  it('are looked up again behind the callers’ backs, one host at a time, and nothing is queued for that', async () => {
    await using server = await dcsServer((socket) => socket.write(http('', '503 No', 'Connection: close\r\n')));
    const clock = advanceableClock();
    const names = nameServer();
    const hosts = [newHost(), newHost(), newHost()];
    const origins = Object.fromEntries(hosts.map((host, n) => [[3, 6, 9][n], `http://${host}:${server.origin.port}`]));
    const client = createClient({ origins, defaultOrigin: origins[3] as string, timeoutMs: 10_000 });
    const ask = () => lookupsOf(client, 12, (n) => [3, 6, 9][n % 3] as number);
    const first = ask();
    for (const host of hosts) {
      while (names.outstanding() === 0) await new Promise(setImmediate);
      expect(names.answer(null, ['127.0.0.1'])).toBe(host);
    }
    await Promise.all(first);
    clock.advance(31_000);
    await Promise.all(ask());
    await Promise.all(ask());
    expect([names.asked.length, names.outstanding()]).toEqual([4, 1]);
    await client.close();
    names.answer(null, ['127.0.0.1']);
    expect([names.asked.length, names.most()]).toEqual([4, 1]);
  });
});

/** A server at the last of four addresses; at the others, attempts to connect get no answer. */
async function hostWithSilentAddresses(count: number) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {}).on('data', () => socket.write(http()));
  });
  const live = '127.0.0.9';
  server.listen(0, live);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const silent = ['127.0.0.6', '127.0.0.7', '127.0.0.8'].slice(0, count);
  const child: ChildProcess = fork(join(__dirname, 'silent-server.cjs'), [String(port), ...silent], { execArgv: [] });
  await once(child, 'message');
  const fillers: Socket[] = [];
  for (const host of silent) {
    // Until the backlog is full: then an attempt gets no answer.
    for (let isFull = false; !isFull; ) {
      const socket = net.connect({ host, port });
      fillers.push(socket.on('error', () => {}));
      isFull = await Promise.race([
        once(socket, 'connect').then(() => false),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 150)),
      ]);
    }
  }
  cleanUps.push(async () => {
    for (const socket of fillers) socket.destroy();
    child.kill('SIGKILL');
    server.close();
  });
  return { port, addresses: [...silent, live] };
}

describe('a host with several addresses', () => {
  it.each([1, 3])(
    'of which %i never answer is reached within the deadline, then by the good one at once',
    async (silent) => {
      const { port, addresses } = await hostWithSilentAddresses(silent);
      const names = nameServer();
      const client = createClient({ origins: {}, defaultOrigin: `http://${newHost()}:${port}`, timeoutMs: 2_000 });
      const first = lookupsOf(client, 1);
      while (names.outstanding() === 0) await new Promise(setImmediate);
      names.answer(null, addresses);
      expect(await first[0]).toBe('ok');
      const sockets = openedSockets();
      expect(new Set(await Promise.all(lookupsOf(client, 20)))).toEqual(new Set(['ok']));
      expect(new Set(sockets.map(({ remoteAddress }) => remoteAddress))).toEqual(new Set(['127.0.0.9']));
    },
  );

  it('each of which is slower than an attempt is given alone is reached all the same', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    const names = nameServer();
    const connect = net.connect;
    const attempts: Socket[] = [];
    jest.spyOn(net, 'connect').mockImplementation(((options: net.TcpNetConnectOpts) => {
      const socket = new net.Socket();
      attempts.push(socket);
      setTimeout(() => socket.destroyed || socket.connect({ ...options, host: '127.0.0.1' }), 350);
      return socket;
    }) as typeof connect);
    const client = createClient({
      origins: {},
      defaultOrigin: `http://${newHost()}:${server.origin.port}`,
      timeoutMs: 1_000,
    });
    const first = lookupsOf(client, 1);
    while (names.outstanding() === 0) await new Promise(setImmediate);
    names.answer(null, ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']);
    expect(await first[0]).toBe('ok');
    // The other attempts are given up, and closed.
    expect(attempts.length).toBeGreaterThan(1);
    expect(attempts.filter(({ destroyed }) => !destroyed)).toHaveLength(1);
  });

  it('none of which answers costs a call its deadline, and leaves no socket', async () => {
    const { port, addresses } = await hostWithSilentAddresses(3);
    const names = nameServer();
    const sockets = openedSockets();
    const client = createClient({ origins: {}, defaultOrigin: `http://${newHost()}:${port}`, timeoutMs: 400 });
    const lookups = lookupsOf(client, 10);
    while (names.outstanding() === 0) await new Promise(setImmediate);
    names.answer(null, addresses.slice(0, 3));
    expect(new Set(await Promise.all(lookups))).toEqual(new Set(['ERR_AAM_DCS_TIMEOUT']));
    expect(sockets.filter(({ destroyed }) => !destroyed)).toEqual([]);
    await client.close();
  });
});

import { DcsError } from '../../src/dcs/protocol/dcs-error';
import { Regions } from '../../src/dcs/protocol/regions';
import { about, clientOf, ECID, OTHER_ECID } from './client-of';
import { ANSWER, dcsServer, http } from './dcs-server';
import { requestRows, statusRows } from './dcs-vectors';

describe('DcsClient.lookup', () => {
  it('resolves with the reply', async () => {
    await using server = await dcsServer((socket) => socket.write(http()));
    await using client = clientOf(server.origin);
    expect(await client.lookup('a', about({ ecid: ECID }))).toMatchObject({
      segments: ['984263'],
      uuid: '1',
      region: 9,
    });
    expect([client.stats().calls, client.stats().inFlight]).toEqual([1, 0]);
  });

  it.each(requestRows)(
    'sends $id to the origin of the region with the alias in Host and no other header',
    async (row) => {
      const { orgId, mid, region, partnerHost } = row.input;
      await using server = await dcsServer((socket) => socket.write(http()));
      await using client = clientOf(server.origin, { orgId, partnerHost, segmentIds: false });
      await client.lookup('a', about({ ecid: mid, region }));
      const [requestLine, ...headers] = (server.heads[0] as string).trimEnd().split('\r\n');
      expect(requestLine).toBe(`${row.expected.method} ${row.expected.path} HTTP/1.1`);
      expect(headers.sort()).toEqual(['connection: keep-alive', `host: ${row.expected.hostHeader}`]);
    },
  );

  it('calls each visitor’s own region, and the default origin for an unknown one', async () => {
    await using ninth = await dcsServer((socket) => socket.write(http()));
    await using alias = await dcsServer((socket) => socket.write(http()));
    await using client = clientOf(alias.origin, { regions: new Regions(new Map([[9, ninth.origin]]), alias.origin) });
    await client.lookup('a', about({ ecid: ECID, region: 9 }));
    await client.lookup('b', about({ ecid: OTHER_ECID, region: 10 }));
    await client.lookup('c', about({ uuid: ECID }));
    expect(ninth.heads.map(pathOf)).toEqual([expect.stringContaining(`d_mid=${ECID}`)]);
    expect(alias.heads.map(pathOf)).toEqual([
      expect.stringContaining(`d_mid=${OTHER_ECID}`),
      expect.stringContaining(`d_uuid=${ECID}`),
    ]);
  });

  it('reuses a socket, also after an HTTP error or an unusable answer', async () => {
    const answers = [
      http(),
      http('x', '500 No'),
      http('{}'),
      http('not JSON'),
      http('', '429 Too Many Requests'),
      http(),
    ];
    await using server = await dcsServer((socket, nth) => socket.write(answers[nth - 1] as string));
    let nowMs = 0;
    // A minute between calls, so that no pause is left.
    await using client = clientOf(server.origin, { nowMs: () => nowMs });
    for (const _ of answers) {
      nowMs += 60_000;
      await client.lookup('a', about({ ecid: ECID })).catch(() => {});
      await new Promise(setImmediate);
    }
    expect(server.heads).toHaveLength(answers.length);
    expect(server.connections).toBe(1);
  });

  it('opens a socket per concurrent call, up to the limit', async () => {
    await using server = await dcsServer((socket) => setImmediate(() => socket.write(http())));
    await using client = clientOf(server.origin, { connections: 3 });
    const keys = Array.from({ length: 12 }, (_, index) => String(index));
    await Promise.all(keys.map((key) => client.lookup(key, about({ ecid: ECID }))));
    expect(server.heads).toHaveLength(12);
    expect(server.connections).toBe(3);
  });

  it('makes one call at a time per visitor, and counts those in flight', async () => {
    await using server = await dcsServer(() => {});
    await using client = clientOf(server.origin);
    const lookups = [client.lookup('a', about({ ecid: ECID })), client.lookup('a', about({ ecid: ECID }))];
    lookups.push(client.lookup('b', about({ ecid: OTHER_ECID })));
    expect([client.stats().calls, client.stats().inFlight]).toEqual([2, 3]);
    await server.received(2);
    for (const socket of server.sockets) socket.write(http());
    await lookups[0];
    await server.received(3);
    for (const socket of server.sockets) socket.write(http());
    await Promise.all(lookups);
    expect([client.stats().calls, client.stats().inFlight]).toEqual([3, 0]);
  });

  it('rejects with the visitor’s last failure during the cooldown, without a call', async () => {
    await using server = await dcsServer((socket, nth) => socket.write(nth === 1 ? http('', '500 No') : http()));
    let nowMs = 0;
    await using client = clientOf(server.origin, { failureCooldownMs: 1_000, nowMs: () => nowMs });
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason: 'http-status' });
    expect(client.unavailable('a', { ecid: ECID })).toMatchObject({ reason: 'http-status' });
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason: 'http-status' });
    expect(client.stats().calls).toBe(1);
    nowMs = 1_000;
    expect(client.unavailable('a', { ecid: ECID })).toBeUndefined();
    expect(await client.lookup('a', about({ ecid: ECID }))).toMatchObject({ segments: ['984263'] });
  });
});

describe('an HTTP status', () => {
  const REASONS: Readonly<Record<string, string>> = { 'dcs/http-429': 'rate-limited', 'dcs/http-503': 'http-status' };

  it.each(statusRows)('of $id becomes its reason', async ({ id, input }) => {
    await using server = await dcsServer((socket) => socket.write(http(input.bodyText, `${input.status} Status`)));
    await using client = clientOf(server.origin);
    const reason = REASONS[id];
    if (reason === undefined) throw new Error(`no expected reason for ${id}`);
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason, noData: false });
  });

  it.each([
    ['429 Too Many Requests', 'rate-limited', 'ERR_AAM_DCS_RATE_LIMITED'],
    ['503 Service Unavailable', 'http-status', 'ERR_AAM_DCS_STATUS'],
    ['500 Internal Server Error', 'http-status', 'ERR_AAM_DCS_STATUS'],
    ['404 Not Found', 'http-status', 'ERR_AAM_DCS_STATUS'],
    ['201 Created', 'http-status', 'ERR_AAM_DCS_STATUS'],
    ['206 Partial Content', 'http-status', 'ERR_AAM_DCS_STATUS'],
  ])('%s is %s, whatever the body', async (status, reason, code) => {
    await using server = await dcsServer((socket) => socket.write(http(ANSWER, status)));
    await using client = clientOf(server.origin);
    const error: unknown = await client.lookup('a', about({ ecid: ECID })).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(DcsError);
    expect(error).toMatchObject({ reason, code, message: `The DCS answered with HTTP ${status.slice(0, 3)}.` });
  });

  it.each([301, 302, 303, 307, 308])('%i is not followed as a redirect', async (status) => {
    await using server = await dcsServer((socket) => {
      socket.write(http('', `${status} Elsewhere`, `Location: ${server.origin.href}elsewhere\r\n`));
    });
    await using client = clientOf(server.origin);
    await expect(client.lookup('a', about({ ecid: ECID }))).rejects.toMatchObject({ reason: 'http-status' });
    expect(server.heads).toHaveLength(1);
  });
});

function pathOf(head: string): string {
  return head.split(' ')[1] as string;
}

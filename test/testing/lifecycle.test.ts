import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { aamSegments } from 'express-aam-segments';
import { createDcsSimulator, type DcsSimulator, type DcsSimulatorOptions } from 'express-aam-segments/testing';
import { ECID, event } from './dcs-client';

/** The number of servers in this process. Their ports, once free, could be in use by another process. */
async function serversHere(): Promise<number> {
  // A closed server is only removed at the end of the turn of the event loop.
  for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length;
}

/** Tries ports until nine in a row are free, outside of the range from which the system assigns ports. */
async function onNinePortsInARow(): Promise<DcsSimulator> {
  for (;;) {
    try {
      return await createDcsSimulator({ port: randomInt(10_000, 32_000) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

describe('createDcsSimulator()', () => {
  it('listens on loopback, with an origin per region and one for the alias', async () => {
    await using simulator = await createDcsSimulator();
    const { origins, defaultOrigin } = simulator.dcs;
    expect(Object.keys(origins)).toEqual(['3', '4', '6', '7', '8', '9', '11', '12']);
    const urls = [...Object.values(origins), defaultOrigin];
    expect(new Set(urls).size).toBe(9);
    for (const url of urls) expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('says what to put into the options of the middleware, as an object and as code', async () => {
    await using simulator = await createDcsSimulator({ partner: 'acme-2', segmentIds: true });
    simulator.visitor(ECID).in(7);
    expect(simulator.options).toEqual({ partner: 'acme-2', dcs: simulator.dcs });
    const pasted = new Function(`return {\n${simulator}\n};`)();
    expect([pasted, String(simulator).split('\n').length]).toEqual([simulator.options, 2]);
    const orgId = '1FD6776A524453CC0A490D44@AdobeOrg';
    for (const aam of [aamSegments({ orgId, ...simulator.options }), aamSegments({ orgId, ...pasted })]) {
      expect((await aam.lookup({ ecid: ECID, region: 9 })).ids).toEqual(['7']);
      await aam.close();
    }
  });

  it('listens on the given port and those after it, or on none', async () => {
    await using simulator = await onNinePortsInARow();
    const { origins, defaultOrigin } = simulator.dcs;
    const [port = 0, ...others] = [defaultOrigin, ...Object.values(origins)].map((url) => Number(new URL(url).port));
    expect(others).toEqual(Array.from({ length: 8 }, (_, n) => port + 1 + n));
    const before = await serversHere();
    await expect(createDcsSimulator({ port: port + 8 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(await serversHere()).toBe(before);
  });

  it('answers the given partner', async () => {
    await using simulator = await createDcsSimulator({ partner: 'Shop-2' });
    const { headers } = await event(simulator.dcs.defaultOrigin, '', { host: 'shop-2.demdex.net' });
    expect(headers['x-error']).toBeUndefined();
  });

  it('copies its options', async () => {
    const rateLimit = { calls: 1, withinMs: 60_000 };
    await using simulator = await createDcsSimulator({ rateLimit });
    rateLimit.calls = 5;
    await event(simulator.dcs.defaultOrigin, '');
    expect((await event(simulator.dcs.defaultOrigin, '')).status).toBe(429);
  });

  it.each<[unknown, string]>([
    [null, 'options must be an object, got null'],
    [[], 'options must be an object, got []'],
    [{ segmentId: true }, "every key of options must be one of partner, orgIds, .*, got 'segmentId'"],
    [{ partner: 'acme.demdex.net' }, "options.partner must be one host label, got 'acme.demdex.net'"],
    [{ partner: 5 }, 'options.partner must be one host label, got 5'],
    [{ orgIds: 'x' }, "options.orgIds must be an array, got 'x'"],
    [{ orgIds: ['x'] }, 'every one of options.orgIds must be 24 hexadecimal digits followed by @AdobeOrg, got'],
    [{ segmentIds: 1 }, 'options.segmentIds must be a boolean, got 1 (number)'],
    [{ aliasRegion: 5 }, 'options.aliasRegion must be one of 3, 4, 6, 7, 8, 9, 11, 12, got 5'],
    [{ denylistAfter: true }, 'options.denylistAfter must be an object, got true'],
    [{ denylistAfter: { calls: 0, withinMs: 1 } }, 'options.denylistAfter.calls must be an integer between 1'],
    [{ denylistAfter: { calls: 1 } }, 'options.denylistAfter.withinMs must be an integer between 1'],
    [{ denylistAfter: { calls: 1, withinMs: 1, retryAfterSeconds: 1 } }, 'every key of options.denylistAfter must be'],
    [{ rateLimit: { calls: '1', withinMs: 1 } }, "options.rateLimit.calls must be .*, got '1' (string)"],
    [{ rateLimit: { calls: 1, withinMs: 1, retryAfterSeconds: -1 } }, 'options.rateLimit.retryAfterSeconds must be'],
  ])('refuses %j', async (options, message) => {
    const creation = createDcsSimulator(options as DcsSimulatorOptions);
    await expect(creation).rejects.toThrow(TypeError);
    await expect(creation).rejects.toThrow(new RegExp(message.replace(/[()[\]]/g, '\\$&')));
  });
});

describe('close()', () => {
  it('ends calls in flight and frees the ports', async () => {
    const before = await serversHere();
    const simulator = await createDcsSimulator();
    expect(await serversHere()).toBe(before + 9);
    const { defaultOrigin } = simulator.dcs;
    simulator.fault({ kind: 'hang' }, { calls: 1 });
    const hanging = event(defaultOrigin, '');
    await simulator.received(1);
    simulator.fault({ kind: 'drip', intervalMs: 60_000 }, { calls: 1 });
    const dripping = event(defaultOrigin, '');
    await simulator.received(2);
    simulator.fault({ kind: 'latency', latencyMs: 60_000 }, { calls: 1 });
    const late = event(defaultOrigin, '');
    await simulator.received(3);

    await simulator.close();
    const outcomes = await Promise.allSettled([hanging, dripping, late]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await serversHere()).toBe(before);
    expect(simulator.requests.map(({ endedAt }) => typeof endedAt)).toEqual(['number', 'number', 'number']);
  });

  it('lets the process end', async () => {
    const program = `
      const { createDcsSimulator } = require(${JSON.stringify(require.resolve('../../src/testing/dcs-simulator.ts'))});
      createDcsSimulator().then(async (simulator) => {
        const kinds = ['hang', 'latency', 'drip'];
        for (const [index, kind] of kinds.entries()) {
          const more = { latency: { latencyMs: 600_000 }, drip: { intervalMs: 600_000 } };
          simulator.fault({ kind, ...more[kind] }, { calls: 1 });
          const url = simulator.dcs.defaultOrigin + '/event';
          require('node:http').get(url, (response) => response.on('error', () => {})).on('error', () => {});
          await simulator.received(index + 1);
        }
        simulator.received(100, { timeoutMs: 600_000 });
        await simulator.close();
        console.log('closed');
      });`;
    const run = promisify(execFile)(process.execPath, ['--require', 'tsx/cjs', '--eval', program], { timeout: 20_000 });
    await expect(run).resolves.toEqual({ stdout: 'closed\n', stderr: '' });
  }, 30_000);

  it('rejects with the unused faults, after closing', async () => {
    const before = await serversHere();
    const simulator = await createDcsSimulator();
    simulator.fault({ kind: 'status', status: 500 });
    simulator.fault({ kind: 'hang' }, { region: 9, calls: 2 });
    simulator.fault({ kind: 'latency', latencyMs: 5 }, { region: 'alias' }).clear();
    await event(simulator.dcs.origins[3] as string, '');
    await expect(simulator.close()).rejects.toThrow(
      'The DCS simulator is closed. No call met these faults:\n' +
        "  { kind: 'hang' } for { region: 9, calls: 2 }\n" +
        "  { kind: 'latency', latencyMs: 5 } for { region: 'alias' }",
    );
    expect(await serversHere()).toBe(before);
  });

  it('reports a fault that a newer one hid', async () => {
    const simulator = await createDcsSimulator();
    simulator.fault({ kind: 'malformed' });
    simulator.fault({ kind: 'status', status: 500 });
    await event(simulator.dcs.defaultOrigin, '');
    await expect(simulator.close()).rejects.toThrow("met these faults:\n  { kind: 'malformed' } for {}");
  });

  it('accepts unused faults with unusedFaults: ignore, and those that clear() removed', async () => {
    const [told, cleared] = [await createDcsSimulator(), await createDcsSimulator()];
    told.fault({ kind: 'hang' });
    cleared.fault({ kind: 'hang' });
    cleared.clear();
    await expect(told.close({ unusedFaults: 'ignore' })).resolves.toBeUndefined();
    await expect(cleared.close()).resolves.toBeUndefined();
  });

  it('may be called again', async () => {
    const simulator = await createDcsSimulator();
    simulator.fault({ kind: 'hang' });
    const [first, second] = await Promise.allSettled([simulator.close(), simulator.close()]);
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    await expect(simulator.close()).resolves.toBeUndefined();
  });

  it.each([[{ unusedFaults: 'no' }], [{ unused: 'ignore' }]])('refuses %j', async (options) => {
    await using simulator = await createDcsSimulator();
    await expect(simulator.close(options as never)).rejects.toThrow(TypeError);
  });
});

describe('a simulator', () => {
  let simulator: DcsSimulator;
  beforeEach(async () => {
    simulator = await createDcsSimulator();
  });
  afterEach(() => simulator.close());

  it('uses real timers while a test fakes them', async () => {
    simulator.fault({ kind: 'latency', latencyMs: 5 });
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    try {
      const { status } = await new Promise<{ status: number }>((resolve, reject) => {
        event(simulator.dcs.defaultOrigin, '').then(resolve, reject);
      });
      expect(status).toBe(200);
    } finally {
      jest.useRealTimers();
    }
  });

  it.each<[string, () => unknown]>([
    ['visitor("1")', () => simulator.visitor('1')],
    ['visitor of a number', () => simulator.visitor(2026 as never)],
    ['requestsOf("1")', () => simulator.requestsOf('1')],
    ['in("golf")', () => simulator.visitor(ECID).in('golf')],
    ['in(-1)', () => simulator.visitor(ECID).in(-1)],
    ['in(2 ** 53)', () => simulator.visitor(ECID).in(2 ** 53)],
    ['out(1.5)', () => simulator.visitor(ECID).out(1.5)],
    ['in(null)', () => simulator.visitor(ECID).in(null as never)],
    ['uuid("1")', () => simulator.visitor(ECID).uuid('1')],
    ['fails(400)', () => simulator.visitor(ECID).fails(400)],
    ['fails(1.5)', () => simulator.visitor(ECID).fails(1.5)],
    ['destination("")', () => simulator.visitor(ECID).destination('', 'x')],
    ['destination of a number', () => simulator.visitor(ECID).destination('aam', 5 as never)],
    ['destination for -1 days', () => simulator.visitor(ECID).destination('aam', 'x', { ttlDays: -1 })],
    ['destination of domain null', () => simulator.visitor(ECID).destination('aam', 'x', { domain: null as never })],
    ['destination with { ttl }', () => simulator.visitor(ECID).destination('aam', 'x', { ttl: 5 } as never)],
  ])('refuses %s', (_title, call) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(/must be .*, got /);
  });
});

import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { closeSites, cookieOf, createSite } from '../helpers/site';

afterEach(closeSites);

const ecidOf = (n: number) => String(n).padStart(38, '8');

describe('calls that have timed out', () => {
  it('leave no memory and no timer behind', async () => {
    const script = join(__dirname, 'timed-out-calls.ts');
    const flags = ['--expose-gc', '--unhandled-rejections=strict', '--import', 'tsx'];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, script]);
    const { reasons, before, after, timersLeft, socketsLeft, inFlight } = JSON.parse(stdout);
    expect([stderr, reasons, timersLeft, inFlight]).toEqual(['', { ERR_AAM_DCS_TIMEOUT: 15_000 }, 0, 0]);
    expect(socketsLeft).toBeLessThanOrEqual(64);
    // After 10 000 calls, 300 bytes left per call would show.
    expect(after - before).toBeLessThan(3_000_000);
  }, 60_000);
});

describe('lookup()', () => {
  it('leaves no listener on a signal that many lookups share', async () => {
    const { aam, simulator } = await createSite();
    simulator.fault({ kind: 'status', status: 503 }, { calls: 1 });
    const { signal } = new AbortController();
    await aam.lookup({ ecid: ecidOf(1), region: 9 }, { signal }).catch(() => {});
    for (let n = 2; n < 20; n++) await aam.lookup({ ecid: ecidOf(n), region: 9 }, { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('close() while the DCS hangs', () => {
  it('ends the wait of requests at once: from the cache, else unknown', async () => {
    const { aam, view, simulator } = await createSite({
      maxWaitMs: 60_000,
      cache: { ttlMs: 0, staleWhileRevalidateMs: 0 },
      dcs: { timeoutMs: 60_000, connections: 1 },
    });
    simulator.visitor(ecidOf(1)).in(984_263);
    await view(cookieOf(ecidOf(1)));
    simulator.fault({ kind: 'hang' });
    // The second one waits for the only connection.
    const waiting = [1, 2, 3].map((n) => view(cookieOf(ecidOf(n))));
    await simulator.received(2);
    while (aam.stats().inFlight < 3) await new Promise(setImmediate);
    expect(Object.values(aam.stats().origins)).toMatchObject([{ running: 1, queued: 2 }]);
    await Promise.all([aam.close(), aam.close()]);
    expect(await Promise.all(waiting)).toMatchObject([
      { status: 'stale', reason: 'closed', names: ['golfFans'] },
      { status: 'unknown', reason: 'closed' },
      { status: 'unknown', reason: 'closed' },
    ]);
    expect(aam.stats().inFlight).toBe(0);
  });
});

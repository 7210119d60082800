import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { tcStringOf } from '../consent/tc-strings';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('lookup()', () => {
  it('resolves with the segments of an ECID, sharing cache and calls with the requests', async () => {
    const { aam, view, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const [first, second] = await Promise.all([aam.lookup({ ecid: ECID, region: 9 }), aam.lookup({ ecid: ECID })]);
    expect([first.names, second.names, first.status]).toEqual([['golfFans'], ['golfFans'], 'fresh']);
    expect((await aam.lookup({ ecid: ECID })).status).toBe('cached');
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(simulator.requests).toMatchObject([{ region: 9, params: { d_mid: ECID } }]);
  });

  it('resolves with the segments of a UUID, which is not the visitor with the same ECID', async () => {
    const { aam, simulator } = await createSite();
    await aam.lookup({ uuid: ECID });
    await aam.lookup({ ecid: ECID });
    expect(simulator.requests).toMatchObject([{ params: { d_uuid: ECID } }, { params: { d_mid: ECID } }]);
    expect(simulator.requests[0]?.params).not.toHaveProperty('d_mid');
  });

  it('with a TC string sends it, and shares the answer with pages that consent by one', async () => {
    const { aam, simulator, view } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const tcString = tcStringOf();
    expect(await aam.lookup({ ecid: ECID }, { tcString })).toMatchObject({ status: 'fresh', names: ['golfFans'] });
    expect(simulator.requests[0]?.params).toMatchObject({ gdpr: '1', gdpr_consent: tcString });
    expect(await view(`${cookieOf(ECID)}; euconsent-v2=${tcString}`)).toMatchObject({ status: 'cached' });
    expect(await aam.lookup({ ecid: ECID }, { tcString })).toMatchObject({ status: 'cached' });
    expect(await aam.lookup({ ecid: ECID })).toMatchObject({ status: 'fresh' });
    expect(simulator.requests).toHaveLength(2);
  });

  it.each(['', 'a b', 'x'.repeat(4_001), 7, {}])('refuses the TC string %p', async (tcString) => {
    const { aam, simulator } = await createSite();
    await expect(aam.lookup({ ecid: ECID }, { tcString: tcString as string })).rejects.toMatchObject({
      code: 'ERR_AAM_INVALID_OPTION',
    });
    expect(simulator.requests).toEqual([]);
  });

  it('rejects with the failure if there is nothing to serve', async () => {
    const { aam, simulator } = await createSite();
    simulator.fault({ kind: 'status', status: 503 });
    const failure = { code: 'ERR_AAM_DCS_STATUS', reason: 'http-status' };
    await expect(aam.lookup({ ecid: ECID })).rejects.toMatchObject(failure);
    await expect(aam.lookup({ ecid: ECID })).rejects.toMatchObject(failure);
    expect(simulator.requests).toHaveLength(1);
  });

  it('serves the cached answer when the refresh fails', async () => {
    const { aam, simulator } = await createSite();
    const clock = advanceableClock();
    simulator.visitor(ECID).in(GOLF);
    await aam.lookup({ ecid: ECID });
    simulator.fault({ kind: 'reset' });
    clock.advance(660_000);
    expect(await aam.lookup({ ecid: ECID })).toMatchObject({ status: 'stale', reason: 'network', names: ['golfFans'] });
  });

  it('resolves for excluded visitors, which is not a failure', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).optOut();
    expect(await aam.lookup({ ecid: ECID })).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });

  it('waits no longer than maxWaitMs; the call continues', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    simulator.fault({ kind: 'latency', latencyMs: 100 });
    const impatient = aam.lookup({ ecid: ECID }, { maxWaitMs: 10 });
    const patient = aam.lookup({ ecid: ECID });
    await expect(impatient).rejects.toMatchObject({ code: 'ERR_AAM_DCS_TIMEOUT', message: 'No answer within 10 ms.' });
    expect((await patient).names).toEqual(['golfFans']);
  });

  it('rejects with the reason of its signal; the call continues', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    simulator.fault({ kind: 'latency', latencyMs: 100 });
    const leaving = new AbortController();
    const left = aam.lookup({ ecid: ECID }, { signal: leaving.signal });
    const staying = aam.lookup({ ecid: ECID }, { signal: new AbortController().signal });
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    await expect(aam.lookup({ ecid: ECID }, { signal: leaving.signal })).rejects.toThrow('left');
    expect((await staying).names).toEqual(['golfFans']);
    expect(simulator.requests).toHaveLength(1);
  });

  it('shares a signal among any number of lookups, without a warning', async () => {
    const { aam, simulator } = await createSite();
    simulator.fault({ kind: 'latency', latencyMs: 50 });
    const warned = jest.spyOn(process, 'emitWarning');
    const { signal } = new AbortController();
    const ecids = Array.from({ length: 60 }, (_, n) => `3${String(n).padStart(37, '0')}`);
    await Promise.all(ecids.map((ecid) => aam.lookup({ ecid }, { signal })));
    const leaving = new AbortController();
    const left = ecids.map((_, n) =>
      aam.lookup({ ecid: `4${String(n).padStart(37, '0')}` }, { signal: leaving.signal }),
    );
    leaving.abort(new Error('left'));
    for (const lookup of left) await expect(lookup).rejects.toThrow('left');
    expect(warned.mock.calls).toEqual([]);
  });

  it('leaves neither a timer nor a listener behind', async () => {
    const { aam } = await createSite();
    const { signal } = new AbortController();
    const [set, clear] = [jest.spyOn(global, 'setTimeout'), jest.spyOn(global, 'clearTimeout')];
    await aam.lookup({ ecid: ECID }, { signal, maxWaitMs: 12_345 });
    await new Promise(setImmediate);
    const timer = set.mock.results[set.mock.calls.findIndex(([, ms]) => ms === 12_345)]?.value;
    expect(timer).toBeDefined();
    expect(clear).toHaveBeenCalledWith(timer);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('rejects after close(), except for a cached answer', async () => {
    const { aam } = await createSite();
    await aam.lookup({ ecid: ECID });
    await aam.close();
    await expect(aam.lookup({ ecid: ECID.replace(/^2/, '3') })).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    expect((await aam.lookup({ ecid: ECID })).status).toBe('cached');
  });

  it('rejects invalid visitors and options, without the id in the message', async () => {
    const { aam } = await createSite();
    const code = 'ERR_AAM_INVALID_OPTION';
    await expect(aam.lookup({ ecid: '12345' })).rejects.toMatchObject({
      code,
      message: expect.not.stringContaining('12345'),
    });
    await expect(aam.lookup({ ecid: ECID }, { maxWaitMs: -1 })).rejects.toMatchObject({ code });
    await expect(aam.lookup({ ecid: ECID }, { wait: 1 } as never)).rejects.toMatchObject({
      code: 'ERR_AAM_UNKNOWN_OPTION',
    });
  });
});

describe('req.aamSegments', () => {
  it('shows no identifier when it is logged or serialized as JSON', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const segments = await aam.lookup({ ecid: ECID });
    expect(JSON.parse(JSON.stringify(segments))).toEqual({ status: 'fresh', ids: [String(GOLF)], names: ['golfFans'] });
    expect(inspect(segments)).toMatch(/^VisitorSegments \{\s+status: 'fresh'/);
    expect(inspect({ deep: { segments } }, { showHidden: true, depth: 9 })).not.toContain(ECID);
    expect(Object.keys(segments)).toEqual([]);
    expect(segments.visitor.ecid).toBe(ECID);
    expect(segments.transactionId).toMatch(/^[\w+/=-]{12}$/);
  });

  it('accepts names, and ids as numbers and strings', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF, 7);
    const segments = await aam.lookup({ ecid: ECID });
    expect([segments.has('golfFans'), segments.has(GOLF), segments.has(`${GOLF}`), segments.has('007')]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([segments.has('highValue'), segments.has(8), segments.has('426'), segments.has({ value: '7' })]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect([segments.hasAny('highValue', 7), segments.hasAny('highValue', 8), segments.hasAny()]).toEqual([
      true,
      false,
      false,
    ]);
    expect([segments.hasAll('golfFans', 7), segments.hasAll('golfFans', 8), segments.hasAll()]).toEqual([
      true,
      false,
      true,
    ]);
    expect([...segments].sort()).toEqual(['7', String(GOLF)].sort());
    expect(segments.size).toBe(2);
  });

  it('throws for an unknown name whatever segments the visitor is in; in production it warns once', async () => {
    const { aam } = await createSite();
    const segments = await aam.lookup({ ecid: ECID });
    const unknown = expect.objectContaining({ code: 'ERR_AAM_UNKNOWN_SEGMENT' });
    expect(() => segments.has('golfFan' as never)).toThrow(unknown);
    expect(() => segments.hasAny('golfFans', 'golfFan' as never)).toThrow(unknown);
    expect(() => segments.has(undefined as never)).toThrow(unknown);
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    expect([segments.has('golfFan' as never), segments.has('golfFan' as never)]).toEqual([false, false]);
    expect(warned).toHaveBeenCalledTimes(1);
  });

  it('is immutable', async () => {
    const { aam } = await createSite();
    const segments = await aam.lookup({ ecid: ECID });
    expect(() => Object.assign(segments, { status: 'cached' })).toThrow(TypeError);
    (segments.ids as string[]).push('7');
    expect(segments.has(7)).toBe(false);
    expect(() => Object.assign(segments.destinations, { a: 'b' })).toThrow(TypeError);
  });

  it('exists without a visitor', async () => {
    const { view } = await createSite();
    expect(await view('')).toMatchObject({
      status: 'anonymous',
      reason: 'no-id',
      ids: [],
      names: [],
      destinations: {},
    });
    expect(await view(cookieOf('NONE'))).toMatchObject({ status: 'excluded' });
  });
});

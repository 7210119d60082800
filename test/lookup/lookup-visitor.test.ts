import { inspect } from 'node:util';
import { advanceableClock, closeSites, cookieOf, createSite, ECID, GOLF } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('lookup()', () => {
  it('finds the segments of a visitor by ECID, and shares cache and calls with the requests', async () => {
    const { aam, view, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    const [first, second] = await Promise.all([aam.lookup({ ecid: ECID, region: 9 }), aam.lookup({ ecid: ECID })]);
    expect([first.names, second.names, first.status]).toEqual([['golfFans'], ['golfFans'], 'fresh']);
    expect((await aam.lookup({ ecid: ECID })).status).toBe('cached');
    expect(await view()).toMatchObject({ status: 'cached', names: ['golfFans'] });
    expect(simulator.requests).toMatchObject([{ region: 9, params: { d_mid: ECID } }]);
  });

  it('finds the segments of a visitor by UUID, who is not the visitor with that ECID', async () => {
    const { aam, simulator } = await createSite();
    await aam.lookup({ uuid: ECID });
    await aam.lookup({ ecid: ECID });
    expect(simulator.requests).toMatchObject([{ params: { d_uuid: ECID } }, { params: { d_mid: ECID } }]);
    expect(simulator.requests[0]?.params).not.toHaveProperty('d_mid');
  });

  it('rejects with the failure when there is nothing to serve', async () => {
    const { aam, simulator } = await createSite();
    simulator.fault({ kind: 'status', status: 503 });
    const failure = { code: 'ERR_AAM_DCS_STATUS', reason: 'http-status' };
    await expect(aam.lookup({ ecid: ECID })).rejects.toMatchObject(failure);
    await expect(aam.lookup({ ecid: ECID })).rejects.toMatchObject(failure);
    expect(simulator.requests).toHaveLength(1);
  });

  it('serves what is known when the refresh fails', async () => {
    const { aam, simulator } = await createSite();
    const clock = advanceableClock();
    simulator.visitor(ECID).in(GOLF);
    await aam.lookup({ ecid: ECID });
    simulator.fault({ kind: 'reset' });
    clock.advance(660_000);
    expect(await aam.lookup({ ecid: ECID })).toMatchObject({ status: 'stale', reason: 'network', names: ['golfFans'] });
  });

  it('tells about excluded visitors, which is no failure', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).optOut();
    expect(await aam.lookup({ ecid: ECID })).toMatchObject({ status: 'excluded', reason: 'opted-out' });
  });

  it('waits no longer than it may; the call goes on', async () => {
    const { aam, simulator } = await createSite();
    simulator.visitor(ECID).in(GOLF);
    simulator.fault({ kind: 'latency', latencyMs: 100 });
    const impatient = aam.lookup({ ecid: ECID }, { maxWaitMs: 10 });
    const patient = aam.lookup({ ecid: ECID });
    await expect(impatient).rejects.toMatchObject({ code: 'ERR_AAM_DCS_TIMEOUT', message: 'no answer within 10 ms' });
    expect((await patient).names).toEqual(['golfFans']);
  });

  it('ends with the reason of its signal; the call goes on', async () => {
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

  it('leaves no listener on a signal that outlives it', async () => {
    const { aam } = await createSite();
    const { signal } = new AbortController();
    const removed = jest.spyOn(signal, 'removeEventListener');
    const added = jest.spyOn(signal, 'addEventListener');
    await aam.lookup({ ecid: ECID }, { signal });
    await new Promise(setImmediate);
    expect(removed.mock.calls[0]?.[1]).toBe(added.mock.calls[0]?.[1]);
  });

  it('rejects after close(), and serves what is known', async () => {
    const { aam } = await createSite();
    await aam.lookup({ ecid: ECID });
    await aam.close();
    await expect(aam.lookup({ ecid: ECID.replace(/^2/, '3') })).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    expect((await aam.lookup({ ecid: ECID })).status).toBe('cached');
  });

  it('rejects what is no visitor and wrong options, without repeating an id', async () => {
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
  it('shows no identifier when it is printed or turned into JSON', async () => {
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

  it('can be asked for names, ids as numbers and as strings', async () => {
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

  it('throws for an unknown name whoever the visitor is, and in production warns once', async () => {
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

  it('cannot be changed', async () => {
    const { aam } = await createSite();
    const segments = await aam.lookup({ ecid: ECID });
    expect(() => Object.assign(segments, { status: 'cached' })).toThrow(TypeError);
    (segments.ids as string[]).push('7');
    expect(segments.has(7)).toBe(false);
    expect(() => Object.assign(segments.destinations, { a: 'b' })).toThrow(TypeError);
  });

  it('is there for a view of nobody', async () => {
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

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Request } from 'express';
import request from 'supertest';
import { LookupSignals } from '../../src/lookup/lookup-signals';
import { closeSites, cookieOf, createSite, ECID } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeSites();
});

describe('options.signals', () => {
  it('sends the returned signals along with the lookup; a cache hit sends none', async () => {
    const signals = jest.fn((req: Request) => ({ c_section: req.path, c_tag: ['a', 'b'] }));
    const { view, simulator } = await createSite({ signals });
    expect((await view(cookieOf(ECID), '/')).status).toBe('fresh');
    expect((await view(cookieOf(ECID), '/')).status).toBe('cached');
    expect(simulator.requests).toHaveLength(1);
    expect(simulator.requests[0]?.params).toMatchObject({ d_mid: ECID, c_section: '/', c_tag: ['a', 'b'] });
    expect(signals).toHaveBeenCalledTimes(1);
  });

  it('is called once for requests that share a call, in the context of the request that makes it', async () => {
    const store = new AsyncLocalStorage<string>();
    const signals = jest.fn(() => ({ c_of: store.getStore() }));
    const { aam, simulator } = await createSite({ signals });
    const { default: express } = await import('express');
    const app = express();
    app.use((req, _res, next) => store.run(String(req.query.of), next));
    app.use(aam);
    app.get('/', (_req, res) => res.send(store.getStore()));
    const views = ['one', 'two', 'three'].map((of) => request(app).get(`/?of=${of}`).set('Cookie', cookieOf(ECID)));
    const contexts = (await Promise.all(views)).map(({ text }) => text);
    expect(contexts).toEqual(['one', 'two', 'three']);
    expect(simulator.requests).toHaveLength(1);
    expect(['one', 'two', 'three']).toContain(simulator.requests[0]?.params.c_of);
    expect(signals).toHaveBeenCalledTimes(1);
  });

  it.each([
    [
      'throws',
      () => {
        throw new TypeError(`of ${ECID}`);
      },
      'options.signals threw: TypeError',
    ],
    [
      'names another visitor',
      () => ({ d_mid: '1' }),
      'options.signals: The signal key "d_mid" is reserved; use a key that starts with \'c_\'. The lookup is made without signals.',
    ],
    [
      'is too long',
      () => ({ c_a: 'x'.repeat(20_000) }),
      'options.signals: The signals take more than 20000 bytes. The lookup is made without signals.',
    ],
    ['is undefined', () => undefined, undefined],
    ['is null', () => null, undefined],
  ])('makes the lookup without signals when it %s, and warns once of mistakes', async (_name, signals, warning) => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { view, simulator } = await createSite({
      signals: signals as never,
      cache: { emptyTtlMs: 0, staleWhileRevalidateMs: 0 },
    });
    for (let n = 0; n < 2; n++) expect((await view()).status).toBe('fresh');
    const names = Object.keys(simulator.requests[1]?.params ?? {});
    expect(names.sort()).toEqual(['d_cts', 'd_jsonv', 'd_mid', 'd_orgid', 'd_rtbd']);
    expect(warn.mock.calls).toEqual(
      warning === undefined ? [] : [[warning, expect.objectContaining({ code: 'WRN_AAM_SIGNALS' })]],
    );
  });

  it.each([
    ['of a visitor who refuses', { 'Sec-GPC': '1' }],
    ['that is a prefetch', { 'Sec-Purpose': 'prefetch' }],
    ['of a bot', { 'User-Agent': 'Googlebot/2.1' }],
  ])('is not called for a request %s', async (_name, headers) => {
    const signals = jest.fn(() => ({ c_a: 1 }));
    const { app, simulator } = await createSite({ signals });
    await request(app)
      .get('/')
      .set({ Cookie: cookieOf(ECID), ...headers });
    expect(signals).not.toHaveBeenCalled();
    expect(simulator.requests).toEqual([]);
  });

  it('is sent by POST when it is too long for a URL', async () => {
    const { view, simulator } = await createSite({ signals: () => ({ c_a: 'ü'.repeat(3_000) }) });
    await view();
    expect(simulator.requests[0]).toMatchObject({ method: 'POST', params: { d_mid: ECID, c_a: 'ü'.repeat(3_000) } });
  });

  it('prevents a retry of the lookup: the DCS may have read the signals', async () => {
    // Signals must not arrive twice, so the call is not retried on a broken connection.
    const { view, simulator } = await createSite({
      signals: () => ({ c_a: 1 }),
      cache: { emptyTtlMs: 0, staleWhileRevalidateMs: 0 },
    });
    await view();
    simulator.fault({ kind: 'reset' }, { calls: 1 });
    expect(await view()).toMatchObject({ status: 'stale', reason: 'network' });
    expect(simulator.requests).toHaveLength(2);
  });

  it('may take 20 000 bytes', () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const lengths = [19_995, 19_996].map((n) => new LookupSignals(() => ({ c_a: 'x'.repeat(n) })).of({}).length);
    expect(lengths).toEqual([20_000, 0]);
  });
});

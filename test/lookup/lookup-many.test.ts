import { closeClients, createClient, createClientOfBulk, OTHER_ECID } from '../helpers/client';
import { deadOrigin } from '../helpers/dead-origin';
import { advanceableClock, ECID, GOLF } from '../helpers/site';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeClients();
});

/** The ECID with this number. */
const ecidOf = (n: number) => `1${String(n).padStart(37, '0')}`;

const recording = <R>(record: (result: R) => unknown) => ({
  record: (result: R) => void record(result),
  flush: () => {},
});

describe('lookupMany()', () => {
  async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
    const list: T[] = [];
    for await (const result of results) list.push(result);
    return list;
  }
  const visitors = (count: number) => Array.from({ length: count }, (_, n) => ({ ecid: ecidOf(n) }));

  it('keeps the order of the visitors, and returns the same objects', async () => {
    const { client, simulator } = await createClient();
    const given = visitors(300);
    for (const [n, { ecid }] of given.entries()) if (n % 3 === 0) simulator.visitor(ecid).in(GOLF);
    // The first calls are answered last.
    const slow = simulator.fault({ kind: 'latency', latencyMs: 100 }, { calls: 20 });
    const results = await all(client.lookupMany(given));
    expect(results.map(({ visitor }) => visitor)).toEqual(given);
    expect(results.every(({ visitor }, n) => visitor === given[n])).toBe(true);
    expect(results.map(({ segments }) => segments?.size)).toEqual(given.map((_, n) => (n % 3 === 0 ? 1 : 0)));
    expect(slow.used).toBeGreaterThan(0);
    expect(simulator.overlaps).toEqual([]);
  });

  it('makes no more calls at a time than concurrency', async () => {
    const { client, simulator } = await createClient();
    let most = 0;
    // So that they overlap if they can.
    simulator.fault({ kind: 'latency', latencyMs: 10 });
    const results = client.lookupMany(visitors(60), { concurrency: 5 });
    for await (const _ of results) most = Math.max(most, client.stats().inFlight);
    const { requests } = simulator;
    const atOnce = requests.map(({ at }) => requests.filter((r) => r.at <= at && (r.endedAt as number) > at).length);
    expect(Math.max(...atOnce)).toBeLessThanOrEqual(5);
    expect(most).toBeLessThanOrEqual(5);
    expect(requests).toHaveLength(60);
  });

  it('reads nothing before the first next(), and then no further ahead than its window', async () => {
    const { client } = await createClient();
    let read = 0;
    let isClosed = false;
    async function* endless() {
      try {
        for (;;) yield { ecid: ecidOf(read++) };
      } finally {
        isClosed = true;
      }
    }
    const results = client.lookupMany(endless(), { concurrency: 2 });
    expect(read).toBe(0);
    await results.next();
    while (client.stats().inFlight > 0) await new Promise(setImmediate);
    expect(read).toBeLessThanOrEqual(2 * 8 + 1);
    await results.return();
    expect(isClosed).toBe(true);
  });

  it('looks nobody up any more when it is left', async () => {
    const { client, simulator } = await createClient();
    const results = client.lookupMany(visitors(8), { concurrency: 1 });
    await results.next();
    await results.return();
    // One call that has begun may follow. Each of the others would begin within a few turns of the one before it.
    for (let n = 0; n < 8; n++) {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      while (client.stats().inFlight > 0) await new Promise(setImmediate);
    }
    expect(simulator.requests.length).toBeLessThanOrEqual(2);
  });

  it('looks up a visitor who occurs twice only once', async () => {
    const { client, simulator } = await createClient({ dcs: { failureCooldownMs: 0 } });
    simulator.visitor(ECID).in(GOLF);
    const given = [{ ecid: ECID }, { ecid: OTHER_ECID }, { ecid: ECID }, { ecid: ECID }];
    // Sequentially, so that none joins a call in flight.
    const results = await all(client.lookupMany(given, { concurrency: 1 }));
    expect(results.map(({ segments }) => segments?.names)).toEqual([['golfFans'], [], ['golfFans'], ['golfFans']]);
    expect(simulator.requests).toHaveLength(2);
  });

  it('answers a visitor who occurs again when the first result waits for its turn', async () => {
    const { lookupMany, simulator } = await createClientOfBulk();
    simulator.fault({ kind: 'latency', latencyMs: 100 }, { visitor: ECID });
    let recorded = 0;
    async function* source() {
      for (const ecid of [ECID, OTHER_ECID]) yield { ecid };
      while (recorded === 0) await new Promise(setImmediate);
      yield { ecid: OTHER_ECID };
    }
    const results = lookupMany(
      source(),
      { concurrency: 2 },
      recording(() => recorded++),
    );
    expect((await all(results)).map(({ segments }) => segments?.status)).toEqual(['fresh', 'fresh', 'fresh']);
    expect(simulator.requestsOf(OTHER_ECID)).toHaveLength(1);
  });

  it('sets no timer for a rate that is not limited', async () => {
    const { client } = await createClient();
    const set = jest.spyOn(global, 'setTimeout');
    await all(client.lookupMany(visitors(3)));
    expect(set.mock.calls.filter(([, ms]) => Number.isNaN(ms))).toEqual([]);
  });

  it('reports an error per visitor', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'status', status: 503 }, { visitor: OTHER_ECID });
    const given = [{ ecid: ECID }, { ecid: 'x' }, { ecid: OTHER_ECID }, { ecid: ecidOf(1) }];
    const results = await all(client.lookupMany(given, { concurrency: 1 }));
    expect(results.map(({ error }) => error?.code)).toEqual([
      undefined,
      'ERR_AAM_INVALID_OPTION',
      'ERR_AAM_DCS_STATUS',
      undefined,
    ]);
    expect(results.map(({ segments }) => segments?.status)).toEqual(['fresh', undefined, undefined, 'fresh']);
  });

  it('waits out rate limiting, without errors', async () => {
    const rateLimit = { calls: 10, withinMs: 300, retryAfterSeconds: 1 };
    const { client, simulator } = await createClient({ dcs: { failureCooldownMs: 0 } }, { rateLimit });
    const results = await all(client.lookupMany(visitors(25), { concurrency: 8 }));
    expect(results.map(({ segments }) => segments?.status)).toEqual(Array(25).fill('fresh'));
    expect(simulator.requests.some(({ answeredStatus }) => answeredStatus === 429)).toBe(true);
  });

  it('waits out an open circuit breaker', async () => {
    const breaker = { minCalls: 2, windowMs: 10_000, failurePercent: 50, probeAfterMs: 50 };
    const { client, simulator } = await createClient({ dcs: { breaker, failureCooldownMs: 0 } });
    simulator.fault({ kind: 'status', status: 503 }, { calls: 3 });
    const results = await all(client.lookupMany(visitors(20), { concurrency: 1 }));
    expect(results.filter(({ error }) => error !== undefined)).toHaveLength(3);
    expect(results.map(({ error }) => error?.code)).not.toContain('ERR_AAM_DCS_CIRCUIT_OPEN');
  });

  it('reports the error when the breaker has been open for a minute', async () => {
    const clock = advanceableClock();
    const breaker = { minCalls: 1, windowMs: 10_000, failurePercent: 50, probeAfterMs: 2_147_483_647 };
    await using nobody = await deadOrigin();
    const { client } = await createClient({ dcs: { origins: {}, defaultOrigin: nobody.url, breaker } });
    const results = client.lookupMany(visitors(3), { concurrency: 1 });
    expect((await results.next()).value?.error?.code).toBe('ERR_AAM_DCS_NETWORK');
    const next = results.next();
    // By then it has met the open breaker.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    clock.advance(60_000);
    for (const result of [await next, await results.next()]) {
      expect(result.value?.error?.code).toBe('ERR_AAM_DCS_CIRCUIT_OPEN');
    }
    expect(client.stats().calls).toBe(1);
  });

  it('keeps to ratePerSecond', async () => {
    const { client } = await createClient();
    const startedAtMs = performance.now();
    await all(client.lookupMany(visitors(30), { concurrency: 10, ratePerSecond: 100 }));
    // 29 intervals of 10 ms, minus the 20 ms that it may catch up and what timers round off.
    expect(performance.now() - startedAtMs).toBeGreaterThan(265);
  });

  it('has each result recorded as soon as it is available, and none after the end', async () => {
    const { client, lookupMany, simulator } = await createClientOfBulk();
    simulator.fault({ kind: 'hang' }, { visitor: ECID });
    const reported: unknown[] = [];
    const given = [{ ecid: ecidOf(1) }, { ecid: ECID }, { ecid: OTHER_ECID }, { ecid: ecidOf(2) }];
    const results = lookupMany(
      given,
      { concurrency: 2 },
      recording(({ visitor }) => reported.push(visitor.ecid)),
    );
    expect((await results.next()).value?.visitor).toBe(given[0]);
    while (reported.length < 3) await new Promise(setImmediate);
    expect(reported).toEqual([ecidOf(1), OTHER_ECID, ecidOf(2)]);
    const controller = new AbortController();
    const other = lookupMany(
      [{ ecid: ECID }, { ecid: 'x' }, { ecid: ecidOf(3) }],
      { concurrency: 1, signal: controller.signal },
      recording(({ error }) => reported.push(error?.code)),
    );
    const next = other.next();
    while (reported.length < 4) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(reported.slice(3)).toEqual(['ERR_AAM_INVALID_OPTION']);
    const reportedByThird: string[] = [];
    const third = lookupMany(
      [{ ecid: ecidOf(4) }, { ecid: ECID }, { ecid: ecidOf(5) }],
      { concurrency: 1 },
      recording(({ visitor }) => reportedByThird.push(visitor.ecid)),
    );
    await third.next();
    await third.return();
    await client.close();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(reportedByThird).toEqual([ecidOf(4)]);
  });

  it.each([
    ['an answer', [{ ecid: ECID }, { ecid: OTHER_ECID }]],
    ['an invalid visitor', [{ ecid: 'x' }, { ecid: OTHER_ECID }]],
  ])('rejects with the error of recording %s', async (_name, given) => {
    const { lookupMany, simulator } = await createClientOfBulk();
    const results = lookupMany(
      given,
      { concurrency: 1 },
      recording(() => {
        throw new Error('the disk is full');
      }),
    );
    await expect(results.next()).rejects.toThrow('the disk is full');
    expect(simulator.requestsOf(OTHER_ECID)).toEqual([]);
  });

  it('makes no further call before the results of those before it are flushed, nor when that fails', async () => {
    const { lookupMany, simulator } = await createClientOfBulk();
    const recorded: string[] = [];
    const flushed: string[] = [];
    const flush = () => {
      flushed.push(...recorded.splice(0));
      if (flushed.length >= 3) throw new Error('the disk is full');
    };
    const given = visitors(20);
    const record = ({ visitor }: { visitor: { ecid: string } }) => recorded.push(visitor.ecid);
    const results = lookupMany(given, { concurrency: 1 }, { record, flush });
    await expect(all(results)).rejects.toThrow('the disk is full');
    expect(flushed).toEqual(given.slice(0, 3).map(({ ecid }) => ecid));
    expect(simulator.requests).toHaveLength(3);
  });

  it('rejects with the reason of its signal', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'hang' }, { region: 9 });
    const controller = new AbortController();
    const results = client.lookupMany([{ ecid: ECID, region: 9 }], { signal: controller.signal });
    const next = results.next();
    await simulator.received(1);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    const aborted = client.lookupMany([{ ecid: ECID }], { signal: controller.signal });
    await expect(aborted.next()).rejects.toThrow('enough');
    expect(simulator.requests).toHaveLength(1);
  });

  it('returns the results before a failure of the source, then rejects with it', async () => {
    const { client } = await createClient();
    async function* source() {
      yield { ecid: ECID };
      yield { ecid: OTHER_ECID };
      throw new Error('the file ends here');
    }
    const results: unknown[] = [];
    const reading = (async () => {
      for await (const { segments } of client.lookupMany(source())) results.push(segments?.status);
    })();
    await expect(reading).rejects.toThrow('the file ends here');
    expect(results).toEqual(['fresh', 'fresh']);
  });

  it('ends with ERR_AAM_CLOSED after close(), however endless the source', async () => {
    const { client } = await createClient();
    let read = 0;
    let isClosed = false;
    async function* endless() {
      try {
        for (;;) yield { ecid: ecidOf(read++) };
      } finally {
        isClosed = true;
      }
    }
    const results = client.lookupMany(endless(), { concurrency: 2 });
    await results.next();
    await client.close();
    const rest: unknown[] = [];
    const reading = (async () => {
      for await (const { error } of results) rest.push(error);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_AAM_CLOSED' });
    // Nothing but what had been read by then.
    expect(rest.length).toBeLessThanOrEqual(2 * 8);
    expect([rest.every((error) => error === undefined), isClosed]).toEqual([true, true]);
    await expect(results.next()).resolves.toEqual({ done: true, value: undefined });
  });

  it('gives each visitor an error of its own, with the stack of its own lookup', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'status', status: 503 });
    const [first, second] = await all(client.lookupMany(visitors(2)));
    const [one, two] = [first?.error as Error, second?.error as Error];
    expect([one.message, one === two]).toEqual([two.message, false]);
    Object.assign(one, { stack: 'changed' });
    expect(two.stack).toContain('AamError: The DCS answered with HTTP 503.\n    at ');
  });

  it('gives each occurrence of a visitor an error of its own', async () => {
    const { client, simulator } = await createClient();
    simulator.fault({ kind: 'status', status: 503 });
    const given = [{ ecid: ECID }, { ecid: ECID }, { ecid: ecidOf(1) }, { ecid: ECID }];
    const results = await all(client.lookupMany(given, { concurrency: 1 }));
    const errors = results.map(({ error }) => error);
    expect(errors.map((error) => error?.code)).toEqual(Array(4).fill('ERR_AAM_DCS_STATUS'));
    expect(new Set(errors).size).toBe(4);
    expect(simulator.requests).toHaveLength(2);
  });

  it('keeps its signal free of listeners after the end, one at most before', async () => {
    const { client } = await createClient();
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    let most = 0;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    jest.spyOn(signal, 'addEventListener').mockImplementation((...args) => {
      most = Math.max(most, ++listeners);
      add(...(args as Parameters<typeof add>));
    });
    jest.spyOn(signal, 'removeEventListener').mockImplementation((...args) => {
      listeners--;
      remove(...(args as Parameters<typeof remove>));
    });
    await Promise.all(Array.from({ length: 3 }, () => all(client.lookupMany(visitors(2), { signal }))));
    expect([listeners, most]).toEqual([0, 1]);
    controller.abort();
  });

  it('leaves no timer behind when it ends while it waits for the rate', async () => {
    const { client } = await createClient();
    const controller = new AbortController();
    const options = { concurrency: 1, ratePerSecond: 0.01, signal: controller.signal };
    const [set, clear] = [jest.spyOn(global, 'setTimeout'), jest.spyOn(global, 'clearTimeout')];
    const isForTheRate = ([, ms]: unknown[]) => (ms as number) > 90_000;
    const results = client.lookupMany(visitors(3), options);
    await results.next();
    const next = results.next();
    while (!set.mock.calls.some(isForTheRate)) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    const timer = set.mock.calls.findIndex(isForTheRate);
    expect(clear).toHaveBeenCalledWith(set.mock.results[timer]?.value);
    // The first did not wait, and the second makes up for a delay of 20 ms.
    expect(set.mock.calls[timer]?.[1]).toBeLessThanOrEqual(100_000 - 20);
  });

  it.each([{ concurrency: 0 }, { ratePerSecond: 0 }, { signal: 1 }, { concurency: 1 }])(
    'rejects the options %j',
    async (options) => {
      const { client } = await createClient();
      const results = client.lookupMany([], options as never);
      await expect(results.next()).rejects.toMatchObject({ code: expect.stringMatching(/_OPTION$/) });
    },
  );

  it('rejects onResult as an unknown option', async () => {
    const { client } = await createClient();
    const results = client.lookupMany([{ ecid: ECID }], { onResult: () => {} } as never);
    await expect(results.next()).rejects.toMatchObject({ code: 'ERR_AAM_UNKNOWN_OPTION' });
    expect(client.stats().calls).toBe(0);
  });
});

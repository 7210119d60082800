import { Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import type { NodeRedisClient } from '../../src/redis/redis-clients';
import { createRedisStore, redisStore } from '../../src/redis/redis-store';
import type { SharedStore } from '../../src/shared-tier/shared-store';
import { sharedStoreChecks } from '../../src/testing/shared-store-checks';
import { CLIENTS, type Connected } from '../shared-tier/redis-connections';
import { describeWithRedis, RedisServer } from '../shared-tier/redis-server';

const KEY = 'a-visitor';
const FOREVER = { ttlMs: 60_000, keepMs: 60_000, question: '', isFinal: false };
const CLAIM = {
  token: 'token',
  lockMs: 5_000,
  kind: 'lookup',
  question: '',
  consentAgoMs: 0,
  maxCallsPerMinute: 20,
  announcement: undefined,
} as const;

/** Asks and stores, as a process does. */
async function learn(store: SharedStore, text: string, key = KEY) {
  const claimed = await store.take(key, CLAIM);
  if (claimed.outcome !== 'taken') return claimed.outcome;
  return store.end(key, {
    ...{ token: CLAIM.token, stamp: claimed.stamp, lockMs: CLAIM.lockMs, pause: undefined, isNews: false },
    ...{ answer: { ...FOREVER, text }, message: { channel: 'c', text: 'ended' } },
  });
}

describeWithRedis('redisStore()', () => {
  let server: RedisServer;
  let opened: Connected[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterEach(async () => {
    for (const { close } of opened) close();
    opened = [];
    await server.command('FLUSHALL');
  });
  afterAll(() => server.kill());

  const connect = async (name: string) => {
    const connected = await (CLIENTS[name] as (typeof CLIENTS)[string])(server.port);
    opened.push(connected);
    return connected.client;
  };
  const open = async (name = 'redis 6') => redisStore(await connect(name), { timeoutMs: 1_000 });

  it.each(Object.keys(CLIENTS))('does what a store must do, by two clients of %s', async (name) => {
    const [one, other] = [await open(name), await open(name)];
    const results = await Promise.allSettled(sharedStoreChecks.map(({ run }) => run(one, other)));
    const failed = sharedStoreChecks.flatMap(({ title }, n) => {
      const result = results[n] as PromiseSettledResult<void>;
      return result.status === 'rejected' ? [`${title}: ${result.reason}`] : [];
    });
    expect(failed).toEqual([]);
  });

  it.each(Object.keys(CLIENTS))('runs scripts that the engine does not have any more, by %s', async (name) => {
    const store = await open(name);
    expect(await learn(store, 'one')).toBe('stored');
    await server.command('SCRIPT', 'FLUSH');
    expect((await store.read(KEY, '')).answer?.text).toBe('one');
    await server.command('SCRIPT', 'FLUSH');
    await store.invalidate(KEY, {
      ...{ isWithdrawal: false, isCertain: true, keepMs: 1_000, message: { channel: 'c', text: 'gone' } },
    });
    expect(await learn(store, 'two')).toBe('stored');
  });

  it('gives every key an expiry', async () => {
    const store = await open();
    await learn(store, 'text');
    await store.take(KEY, { ...CLAIM, token: 'other', question: 'other', kind: 'event' });
    await store.beat('channel', 'beat');
    for (const key of [`aam:1:{${KEY}}`, `aam:1:{${KEY}}:calls`, 'aam:1:memory']) {
      expect([key, Number((await server.command('PTTL', key)).slice(1))]).toEqual([key, expect.any(Number)]);
      expect(Number((await server.command('PTTL', key)).slice(1))).toBeGreaterThan(0);
    }
    expect(await server.command('DBSIZE')).toBe(':3');
  });

  it.each([
    ['a text of no format', ['SET', `aam:1:{${KEY}}`, 'garbage']],
    ['a list', ['RPUSH', `aam:1:{${KEY}}`, 'garbage']],
    ['an answer of no format', ['HSET', `aam:1:{${KEY}}`, 'a', 'garbage']],
    ['an answer of another version', ['HSET', `aam:1:{${KEY}}`, 'a', '2 1 9999999999999 60000 text']],
    ['an answer from the future', ['HSET', `aam:1:{${KEY}}`, 'a', '1 1 9999999999999 60000 text']],
    [
      'an answer with a time out of all proportion',
      ['HSET', `aam:1:{${KEY}}`, 'a', `1 1 ${'9'.repeat(400)} 60000 text`],
    ],
    ['an answer with wide characters', ['HSET', `aam:1:{${KEY}}`, 'a', '1 1 1 60000 \u20ac']],
    ['a huge answer', ['HSET', `aam:1:{${KEY}}`, 'a', `1 1 1 60000 ${'x'.repeat(1_000_000)}`]],
    ['a lock of no format', ['HSET', `aam:1:{${KEY}}`, 'l', 'x', 'u', 'garbage', 'k', '', 's', 'nan', 'p', '%d']],
    [
      'a state with times out of all proportion',
      ['HSET', `aam:1:{${KEY}}`, 's', 'inf', 'f', '1e300', 'w', 'inf', 'p', `${'9'.repeat(400)} x`],
    ],
    ['a text in the place of the calls', ['SET', `aam:1:{${KEY}}:calls`, 'garbage']],
    ['a list in the place of the name of its memory', ['RPUSH', 'aam:1:memory', 'garbage']],
    ['a list of calls of no format', ['RPUSH', `aam:1:{${KEY}}:calls`, ...Array<string>(30).fill('garbage')]],
  ])('reads a miss where there is %s, and goes on from there', async (_what, command) => {
    const store = await open();
    await server.command(...command);
    expect((await store.read(KEY, '')).answer).toBeUndefined();
    expect(await learn(store, 'text')).toBe('stored');
    expect((await store.read(KEY, '')).answer?.text).toBe('text');
    expect(await store.beat('channel', 'beat')).toMatch(/^[\w-]{12}$/);
  });

  it('uses no reply of a client that is out of step with its connection', async () => {
    const client = await connect('redis 6');
    await learn(redisStore(client, { timeoutMs: 1_000 }), 'of another visitor', 'another-visitor');
    let before: unknown = null;
    const late = new Proxy(client as NodeRedisClient, {
      get(target, name) {
        if (name !== 'sendCommand') return Reflect.get(target, name, target);
        return async (args: string[]) => {
          const reply = before;
          before = await target.sendCommand(args);
          return reply;
        };
      },
    });
    const store = redisStore(late, { timeoutMs: 1_000 });
    for (let n = 0; n < 3; n++) {
      for (const key of ['another-visitor', KEY]) {
        const error = await store.read(key, '').catch((why: unknown) => why);
        expect(store.failureOf?.(error)).toBe('disconnected');
      }
    }
  });

  it('keeps what two versions write apart', async () => {
    const client = await connect('redis 6');
    const older = createRedisStore(client, {}, '1');
    const newer = createRedisStore(client, {}, '2');
    expect(await learn(older, 'of the older one')).toBe('stored');
    expect((await newer.read(KEY, '')).answer).toBeUndefined();
    expect(await learn(newer, 'of the newer one')).toBe('stored');
    expect((await older.read(KEY, '')).answer?.text).toBe('of the older one');
    expect((await newer.read(KEY, '')).answer?.text).toBe('of the newer one');
    const heard: string[] = [];
    await new Promise<void>((resolve) => {
      const subscription = newer.subscribe(['c'], {
        listening: async () => {
          await older.beat('c', 'older');
          await newer.beat('c', 'newer');
        },
        message: (text) => {
          heard.push(text.split(' ')[0] as string);
          subscription.close().then(resolve);
        },
        lost: () => {},
      });
    });
    expect(heard).toEqual(['newer']);
  });

  it('has reads go on where memory is short, and says what fails', async () => {
    const store = await open();
    await learn(store, 'text');
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      expect((await store.read(KEY, '')).answer?.text).toBe('text');
      await expect(store.beat('channel', 'beat')).resolves.toEqual(expect.any(String));
      const error = await learn(store, 'more', 'another-visitor').catch((why: unknown) => why);
      expect(store.failureOf?.(error)).toBe('out-of-memory');
    } finally {
      await server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  it('says so where the server became a replica that takes no writes', async () => {
    const store = await open();
    await learn(store, 'text');
    await server.command('REPLICAOF', '127.0.0.1', '1');
    try {
      for (const command of [learn(store, 'more', 'another-visitor'), store.beat('channel', 'beat')]) {
        expect(store.failureOf?.(await command.catch((why: unknown) => why))).toBe('read-only');
      }
    } finally {
      await server.command('REPLICAOF', 'NO', 'ONE');
    }
  });

  it.each(Object.keys(CLIENTS))('is not ready while %s is not connected, and rejects as disconnected', async (name) => {
    const store = await open(name);
    expect(store.isReady).toBe(true);
    for (const { close } of opened) close();
    opened = [];
    // `ioredis` notices when its socket has closed.
    for (let left = 100; left > 0 && store.isReady; left--) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(store.isReady).toBe(false);
    const error = await store.read(KEY, '').catch((why: unknown) => why);
    expect(store.failureOf?.(error)).toBe('disconnected');
  });

  it.each(Object.keys(CLIENTS))('listens on after its connection was cut, and says so, by %s', async (name) => {
    const store = await open(name);
    const log: string[] = [];
    let heard: () => void = () => {};
    const subscription = store.subscribe(['c'], {
      listening: () => {
        log.push('listening');
        store.beat('c', 'beat');
      },
      message: () => {
        log.push('message');
        heard();
      },
      lost: () => log.push('lost'),
    });
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
    const heardAgain = new Promise<void>((resolve) => {
      heard = resolve;
    });
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await heardAgain;
    await subscription.close();
    expect(log.filter((each, n) => each !== log[n - 1])).toEqual([
      'listening',
      'message',
      'lost',
      'listening',
      'message',
    ]);
    // Its connection is gone with it, and the site's is not.
    for (let left = 100; left > 0 && (await server.command('PUBSUB', 'CHANNELS')) !== '*0'; left--) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await server.command('PUBSUB', 'CHANNELS')).toBe('*0');
    expect(store.isReady).toBe(true);
  });
});

describe('redisStore() with what it cannot use', () => {
  const offline = () => createClient({ disableOfflineQueue: true }).on('error', () => {});

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a URL', 'redis://localhost'],
    ['another object', { get: () => {} }],
  ])('refuses %s as a client', (_what, client) => {
    expect(() => createRedisStore(client, {}, '1')).toThrow(
      /^client must be a client of 'redis' 5 or 6, or of 'ioredis'/,
    );
  });

  it('refuses clusters, which come later', () => {
    const message = 'client must be of a single server: clusters are not supported yet';
    const cluster = createCluster({ rootNodes: [{ url: 'redis://127.0.0.1:1' }] });
    expect(() => createRedisStore(cluster, {}, '1')).toThrow(message);
    const ioredis = new Redis.Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true });
    expect(() => createRedisStore(ioredis, {}, '1')).toThrow(message);
    ioredis.disconnect();
  });

  it.each([
    [{ prefix: '' }, /^options.prefix must be a text without braces and spaces, got ""/],
    [{ prefix: '{a}' }, /^options.prefix must be/],
    [{ timeoutMs: 0 }, /^options.timeoutMs must be an integer from 1 to 60000, got 0/],
    [{ timeout: 5 }, /^options.timeout is not an option; did you mean 'timeoutMs'/],
  ])('refuses the options %j', (options, message) => {
    expect(() => createRedisStore(offline(), options as never, '1')).toThrow(message);
  });

  it('warns once of a client that queues commands, and of one whose errors would end the process', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (let n = 0; n < 2; n++) redisStore(createClient());
    await new Promise((resolve) => setImmediate(resolve));
    const warnings = warn.mock.calls.map(([message]) => String(message).split(/[:.]/)[0]);
    warn.mockRestore();
    expect(warnings).toEqual([
      'The Redis client queues commands while it is not connected',
      "The Redis client has no listener for 'error'",
    ]);
  });
});

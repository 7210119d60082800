import { createClient } from 'redis';
import request from 'supertest';
import { redisStore } from '../../src/redis/redis-store';
import { closeSites, cookieOf, createSite, ECID, GOLF, ORG } from '../helpers/site';
import { until } from './fleet';
import { describeWithRedis, RedisServer } from './redis-server';
import { TcpProxy } from './tcp-proxy';

const UUID = '64711892736451928374655647382910645738';
const OTHER_ECID = '90210673158980419722735089753036639021';
const CUSTOMER = 'customer-0815-4711';
const SOURCE = 4_711_081_5;
const KEY_SECRET = 'a secret of at least 32 characters';

describeWithRedis('what a site sends to its shared store', () => {
  afterEach(closeSites);

  it('has no identifier in it, whatever a visitor does', async () => {
    await using server = await RedisServer.start();
    const proxy = await TcpProxy.start(server.port);
    const redis = createClient({ socket: { host: '127.0.0.1', port: proxy.port }, disableOfflineQueue: true });
    redis.on('error', () => {});
    await redis.connect();
    const { aam, app, simulator, view } = await createSite({
      cache: { keySecret: KEY_SECRET, shared: redisStore(redis, { timeoutMs: 2_000 }), ttlMs: 0 },
      identity: {
        uuidCookie: 'aam_uuid',
        customerIds: (req) => (req.url.includes('login') ? [{ dataSourceId: SOURCE, id: CUSTOMER }] : []),
      },
      // It is a word of its own.
      partner: 'acmepartner',
      simulator: { partner: 'acmepartner' },
    });
    simulator.visitor(ECID).in(GOLF);
    app.post('/buy', (req, res) => {
      aam.sendEvent(req, { c_product: 'irons-0815' }).then(
        () => res.end(),
        () => res.end(),
      );
    });
    await view();
    await view(cookieOf(ECID), '/?login');
    await view(`aam_uuid=${UUID}`);
    await request(app).post('/buy?login').set('Cookie', cookieOf(ECID));
    aam.forget({ ecid: OTHER_ECID, customerIds: [{ dataSourceId: SOURCE, id: CUSTOMER }] });
    await view(cookieOf(ECID, 9, 'global'), '/?login');
    await view(cookieOf(OTHER_ECID, 9, 'global'));
    await until(() => aam.stats().inFlight === 0 && (aam.stats().shared?.writes ?? 0) >= 4);
    await aam.close();
    redis.destroy();
    const said = proxy.said.toString('latin1');
    await proxy.close();
    for (const word of ['EVALSHA', 'aam:1:', 'SUBSCRIBE', 'opted-out', 'event-ended', 'forgotten']) {
      expect(said.toUpperCase()).toContain(word.toUpperCase());
    }
    const ids = [
      ECID,
      UUID,
      OTHER_ECID,
      CUSTOMER,
      String(SOURCE),
      ORG,
      ORG.split('@')[0] as string,
      'acmepartner',
      'irons-0815',
      KEY_SECRET,
    ];
    const forms = ids.flatMap((id) => [
      id,
      Buffer.from(id).toString('base64url'),
      Buffer.from(id).toString('hex'),
      encodeURIComponent(id),
    ]);
    expect(forms.filter((form) => said.includes(form))).toEqual([]);
  });
});

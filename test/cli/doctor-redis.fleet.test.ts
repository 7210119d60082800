import { createDcsSimulator } from 'express-aam-segments/testing';
import { describeWithRedis, RedisServer } from '../shared-tier/redis-server';
import { cli } from './in-process';

describeWithRedis('doctor --redis', () => {
  async function examine(url: string) {
    await using simulator = await createDcsSimulator({ segmentIds: true });
    const origin = simulator.dcs.defaultOrigin;
    const args = ['doctor', '--org', '1FD6776A524453CC0A490D44@AdobeOrg', '--partner', 'acme', '--origin', origin];
    const { stdout, stderr, code } = await cli([...args, '--json', '--redis', url]);
    if (stdout === '') return { code, stderr, states: {}, text: stderr };
    const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string }[] };
    const ofRedis = findings.filter(({ check }) => check.startsWith('redis'));
    return {
      code,
      stderr,
      states: Object.fromEntries(ofRedis.map(({ check, state }) => [check, state])),
      text: stdout,
    };
  }

  it('finds a server well that is', async () => {
    await using server = await RedisServer.start();
    const { states, code, text } = await examine(server.url);
    const { redis, ...rest } = states;
    expect(redis).toMatch(/^(ok|unsure)$/); // by its speed
    expect(rest).toEqual({
      'redis version': 'ok',
      'redis role': 'ok',
      'redis memory': 'ok',
      'redis scripts': 'ok',
      'redis messages': 'ok',
    });
    expect(code).toBe(0);
    expect(text).toMatch(/Redis 7\.\d/);
  });

  it('says what is wrong with a server that is full, of a user without rights, or a replica', async () => {
    await using server = await RedisServer.start('--maxmemory', '50mb');
    expect((await examine(server.url)).states).toMatchObject({ 'redis memory': 'unsure' });
    await server.command('ACL', 'SETUSER', 'web', 'on', '>secret', '~aam:*', '+@all', '-@pubsub', '-@scripting');
    const { states, code, text } = await examine(`redis://web:secret@127.0.0.1:${server.port}`);
    expect(states).toMatchObject({ 'redis scripts': 'FAIL', 'redis messages': 'FAIL' });
    expect(code).toBe(1);
    expect(text).not.toContain('secret');
    await server.command('REPLICAOF', '127.0.0.1', '1');
    expect((await examine(server.url)).states).toMatchObject({ 'redis role': 'FAIL', 'redis scripts': 'FAIL' });
  });

  it('says so where there is no server, or a wrong password, which it does not repeat', async () => {
    const nowhere = await RedisServer.notYet();
    const absent = await examine(nowhere.url);
    expect(absent.states).toEqual({ redis: 'FAIL' });
    expect(absent.text).toContain('ECONNREFUSED');
    await using server = await RedisServer.start();
    await server.command('CONFIG', 'SET', 'requirepass', 'right-one');
    const wrong = await examine(`redis://:wrong-one@127.0.0.1:${server.port}`);
    expect(wrong.states).toEqual({ redis: 'FAIL' });
    expect(wrong.text).not.toContain('wrong-one');
  });

  it.each(['localhost', 'http://localhost', ''])('refuses %j as a URL', async (url) => {
    expect(await examine(url)).toMatchObject({ code: 2 });
  });
});

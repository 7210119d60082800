import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cookieOf, ECID } from '../helpers/site';
import { describeWithRedis, RedisServer } from '../shared-tier/redis-server';

jest.setTimeout(60_000);

const ROOT = join(__dirname, '..', '..');
const AAM_KEY_SECRET = 'a secret of at least 32 characters';

describeWithRedis('npm start with REDIS_URL', () => {
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });

  async function start(given: Record<string, string>) {
    const { PATH } = process.env;
    const child = spawn(process.execPath, ['--import', 'tsx', 'example-app/server.ts'], {
      cwd: ROOT,
      env: { PATH, NODE_ENV: 'production', TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json'), PORT: '0', ...given },
    });
    running.push(child);
    const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
    for (let left = 400; left > 0 && !/The shop .*\n/.test(said); left--) await sleep(50);
    const url = /http:\S+\d/.exec(said)?.[0] ?? '';
    const view = () => fetch(url, { headers: { cookie: cookieOf(ECID), 'user-agent': 'Mozilla/5.0 Firefox/140.0' } });
    return { child, ended, view, said: () => said };
  }

  it('shares what the shop learns, and closes as before', async () => {
    await using server = await RedisServer.start();
    const { child, ended, view } = await start({ REDIS_URL: server.url, AAM_KEY_SECRET });
    for (let left = 100; left > 0 && (await server.command('DBSIZE')) < ':3'; left--) {
      expect((await view()).status).toBe(200);
      await sleep(50);
    }
    // The visitor, their calls, and the name of the memory.
    expect(await server.command('DBSIZE')).toBe(':3');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  it('opens without the server, and says what it lacks without a secret', async () => {
    const nowhere = await RedisServer.notYet();
    const { child, ended, view } = await start({ REDIS_URL: nowhere.url, AAM_KEY_SECRET });
    expect((await view()).status).toBe(200);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    const refused = await start({ REDIS_URL: nowhere.url });
    expect(await refused.ended).toBe(1);
    expect(refused.said()).toContain('REDIS_URL needs AAM_KEY_SECRET');
  });
});

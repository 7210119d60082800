import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';

jest.setTimeout(60_000);

const ROOT = join(__dirname, '..', '..');
const running: ChildProcess[] = [];

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** What `npm start` does after the build, except that it runs the package's sources. Resolves when it says something. */
async function start(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'example-app/server.ts'], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json'),
      PORT: '0',
      ...env,
    },
  });
  running.push(child);
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  const said = await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')]);
  return { child, said: String(said), ended };
}

describe('npm start', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'opens the shop on a simulated Audience Manager, until %s',
    async (signal) => {
      const { child, said, ended } = await start();
      const [line, url] = /^The shop is open at (\S+), with a simulated Audience Manager. .*\n$/.exec(said) ?? [said];
      expect(line).toContain('http://localhost:');
      expect(await (await fetch(String(url))).text()).toContain('Good things for days outside');
      // The connection is still open, and does not keep the shop open.
      child.kill(signal);
      expect(await ended).toBe(0);
    },
  );

  it('opens the shop on Adobe’s where the environment says whose', async () => {
    const { child, said, ended } = await start({
      AAM_ORG_ID: '1FD6776A524453CC0A490D44@AdobeOrg',
      AAM_PARTNER: 'acme',
    });
    expect(said).toMatch(/^The shop is open at \S+, with the segments of acme. /);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  it.each([{ AAM_ORG_ID: 'an organisation' }, { AAM_PARTNER: 'acme' }])(
    'does not guess the rest of %j',
    async (env) => {
      const { said, ended } = await start(env);
      expect(said).toBe('The shop cannot open: set both AAM_ORG_ID and AAM_PARTNER, or neither\n');
      expect(await ended).toBe(1);
    },
  );

  it('says so when the port is taken', async () => {
    const taken = createServer().listen(0);
    await once(taken, 'listening');
    const port = String((taken.address() as { port: number }).port);
    const { said, ended } = await start({ PORT: port });
    expect(said).toMatch(/^The shop cannot open: listen EADDRINUSE/);
    expect(await ended).toBe(1);
    taken.close();
  });
});

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

/** Does what `npm start` does, but from the sources. Resolves on its first output. */
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
      // An open connection must not keep the shop running.
      child.kill(signal);
      expect(await ended).toBe(0);
    },
  );

  it('connects to Adobe with an account in the environment', async () => {
    const { child, said, ended } = await start({
      AAM_ORG_ID: '1FD6776A524453CC0A490D44@AdobeOrg',
      AAM_PARTNER: 'acme',
    });
    const [, url] = /^The shop is open at (\S+), with the segments of acme. /.exec(said) ?? [said];
    expect((await fetch(`${url}/web-sdk`)).status).toBe(404);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  const both = 'set both AAM_ORG_ID and AAM_PARTNER, or neither';
  it.each([
    [{ AAM_ORG_ID: 'an organisation' }, both],
    [{ AAM_PARTNER: 'acme' }, both],
    [{ AAM_DATASTREAM: 'my-datastream' }, 'AAM_DATASTREAM needs AAM_ORG_ID and AAM_PARTNER'],
  ])('refuses the incomplete %j', async (env, problem) => {
    const { said, ended } = await start(env);
    expect(said).toBe(`The shop cannot open: ${problem}\n`);
    expect(await ended).toBe(1);
  });

  it('has a page for the Web SDK with a datastream in the environment', async () => {
    const { said } = await start({
      AAM_ORG_ID: '1FD6776A524453CC0A490D44@AdobeOrg',
      AAM_PARTNER: 'acme',
      AAM_DATASTREAM: 'my-datastream',
    });
    const [, url] = /^The shop is open at (\S+),/.exec(said) ?? [said];
    const page = await (await fetch(`${url}/web-sdk`)).text();
    expect(page).toContain('data-datastream-id="my-datastream" data-edge-domain="edge.adobedc.net"');
  });

  it('reports a port that is taken', async () => {
    const taken = createServer().listen(0);
    await once(taken, 'listening');
    const port = String((taken.address() as { port: number }).port);
    const { said, ended } = await start({ PORT: port });
    expect(said).toMatch(/^The shop cannot open: listen EADDRINUSE/);
    expect(await ended).toBe(1);
    taken.close();
  });
});

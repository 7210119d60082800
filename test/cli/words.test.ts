import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { version } from '../../package.json';
import { COMMANDS } from '../../src/cli/cli';
import { print, printJson } from '../../src/cli/printer';
import { cookieOf, ECID, GOLF, ORG } from '../helpers/site';
import { closeDesks, createDesk } from './command-line';
import { cli } from './in-process';

afterEach(closeDesks);

const OTHER_ORG = ORG.replace('1FD6', '2FD6');

/** A character that a terminal acts upon, or that makes text look like other text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
const ACTIVE = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

describe('a wrong call', () => {
  it.each([
    [
      [],
      /^aam-segments: Missing command: use lookup, cookie, consent, bulk, ids, doctor, simulate, completion, or --help$/,
    ],
    [['lokup'], /^aam-segments: Unknown command 'lokup': did you mean lookup\?$/],
    [['frobnicate'], /^aam-segments: Unknown command 'frobnicate': use lookup, .* or --version$/],
    [['\x1b[2Jx\nok'], /^aam-segments: Unknown command '\\u001b\[2Jx\\nok'/],
    [['lookup', '--ecdi', ECID], /Unknown option --ecdi: /],
    [['bulk', '--concurency', '3'], /Unknown option --concurency: did you mean --concurrency\?$/],
    [['lookup', '--ecid'], /Missing value: --ecid <id>$/],
    [['bulk', '--in', '--out', 'x'], /Missing value: --in <file>$/],
    [['lookup', '--json=1'], /--json takes no value$/],
    [['lookup', 'x'], /Unexpected argument 'x'$/],
    [['cookie'], /Missing argument: '<Cookie header>'$/],
    [['lookup', '--ecid', ECID], /^aam-segments lookup: Missing organisation id: use --org, AAM_ORG_ID or --config$/],
    [['lookup', '--ecid', ECID, '--org', ORG], /Missing partner alias: use --partner, AAM_PARTNER or --config$/],
    [['lookup', '--ecid', ECID, '--org', ORG, '--partner', 'a b'], /^aam-segments lookup: --partner must be /],
    [['lookup', '--ecid', ECID, '--org', ORG, '--partner', 'acme', '--origin', 'x'], /: --origin must be /],
    [['lookup', '--ecid', '12', '--org', ORG, '--partner', 'acme'], /--ecid must be 38 digits$/],
    [['lookup', '--ecid', ECID, '--uuid', ECID], /Name the visitor by one of --ecid, --uuid and --customer$/],
    [['lookup', '--customer', 'x'], /--customer must be /],
    [['lookup', '--ecid', ECID, '--org', ORG, '--partner', 'acme', '--segment', 'x'], /--segment must be <name>=<id>/],
    [['bulk', '--resume', '--org', ORG, '--partner', 'acme'], /--resume needs --out/],
    [['bulk', '--concurrency', '0x10', '--org', ORG, '--partner', 'acme'], /--concurrency must be an integer/],
    [['bulk', '--rate', '100000001', '--org', ORG, '--partner', 'acme'], /--rate must be an integer/],
    [['bulk', '--delimiter', 'ab', '--org', ORG, '--partner', 'acme'], /--delimiter must be one character/],
    [['simulate', '--port', '70000'], /--port must be /],
    [['simulate', '--partner', 'a b'], /--partner must be /],
    [['completion', 'fish'], /use bash or zsh$/],
  ])('%j is told in one line what would have been right', async (args, message) => {
    const { code, stdout, stderr } = await cli(args as string[]);
    expect([code, stdout, stderr.trimEnd()]).toEqual([2, '', expect.stringMatching(message)]);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  it('names the variable or the file that a value comes from', async () => {
    const { folder } = await createDesk();
    const config = join(folder, 'aam.json');
    writeFileSync(config, JSON.stringify({ orgId: ORG, partner: 'acme', dcs: { timeoutMs: 'x' } }));
    const args = ['lookup', '--ecid', ECID, '--config', config];
    expect((await cli(args)).stderr).toContain(`: dcs.timeoutMs in ${config} must be`);
    expect((await cli(args, { AAM_PARTNER: 'a b' })).stderr).toContain(': AAM_PARTNER must be');
    writeFileSync(config, '{');
    expect((await cli(args)).stderr).toContain(`--config ${config}: not JSON`);
  });
});

describe('what is printed', () => {
  it('neither controls the terminal nor begins a line, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let written = '';
        const stream = { write: (line: string) => (written += line) } as unknown as NodeJS.WritableStream;
        print(stream, text);
        expect(written.slice(0, -1)).not.toMatch(ACTIVE);
        written = '';
        printJson(stream, { text });
        expect(written.slice(0, -1)).not.toMatch(ACTIVE);
        expect(JSON.parse(written)).toEqual({ text });
      }),
    );
  });

  it('is escaped in lookups, too', async () => {
    const { simulator, account } = await createDesk();
    simulator.visitor(ECID).in(GOLF).destination('aam', 'x\x1b[31m\nstatus forged\u202e');
    const { stdout } = await cli(['lookup', '--ecid', ECID, ...account]);
    expect(stdout).toContain('destination   aam: x\\u001b[31m\\nstatus forged\\u202e\n');
    expect(stdout.replaceAll('\n', '')).not.toMatch(ACTIVE);
  });

  it('is nothing with --quiet', async () => {
    const { account } = await createDesk();
    expect(await cli(['lookup', '--ecid', ECID, '--quiet', ...account])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await cli(['cookie', 'a=b', '--quiet', ...account])).toEqual({ code: 1, stdout: '', stderr: '' });
    const bulk = await cli(['bulk', '--quiet', ...account], {}, `ecid\n${ECID}\n`);
    expect(bulk).toMatchObject({ code: 0, stdout: expect.stringContaining(ECID), stderr: '' });
  });
});

describe('help, version and completion', () => {
  it('prints the version', async () => {
    expect((await cli(['--version'])).stdout).toBe(`${version}\n`);
  });

  it('has each option in the help and in the completion of its command', async () => {
    const { stdout: script } = await cli(['completion', 'bash']);
    for (const { name, options } of COMMANDS) {
      const { stdout } = await cli([name, '--help']);
      const [, words = ''] = new RegExp(`^ {2}${name}\\).*?words='(.*?)'`, 'ms').exec(script) ?? [];
      for (const option of [...Object.keys(options), 'json', 'quiet', 'help']) {
        expect(stdout).toContain(`\n  --${option}`);
        expect(words.split(' ')).toContain(`--${option}`);
      }
      expect(stdout.split('\n').filter((line) => line.length > 130)).toEqual([]);
    }
  });
});

describe('the completion script', () => {
  it.each([
    [['b'], 'bulk'],
    [['bulk', '--conc'], '--concurrency'],
    [['bulk', '--format', ''], 'csv ndjson'],
    [['completion', 'z'], 'zsh'],
    [['nothing', '--'], ''],
  ])('completes %j in bash', async (words, expected) => {
    const { stdout: script } = await cli(['completion', 'bash']);
    const typed = words.map((word) => `'${word}'`).join(' ');
    const asking = `COMP_WORDS=(aam-segments ${typed}); COMP_CWORD=${words.length}; _aam_segments; echo "\${COMPREPLY[*]}"`;
    const { stdout } = spawnSync('bash', ['-c', `${script}\n${asking}`], { cwd: __dirname, encoding: 'utf8' });
    expect(stdout.trim()).toBe(expected);
  });
});

describe('cookie', () => {
  const explain = (header: string) => cli(['cookie', header, '--org', ORG]);

  it('names the organisation whose cookies a header has', async () => {
    const { code, stdout } = await explain(cookieOf(ECID).replaceAll('1FD6', '2FD6'));
    expect([code, stdout]).toEqual([1, expect.stringContaining(`is --org ${OTHER_ORG} meant?`)]);
    expect((await explain(`kndctr_${OTHER_ORG.replace('@', '_')}_identity=x`)).stdout).toContain(OTHER_ORG);
    expect((await explain(cookieOf(ECID))).stdout).not.toContain('meant?');
  });

  it('explains the carets of the Windows shell', async () => {
    const { code, stdout } = await explain(cookieOf(ECID).replace(/([%|])/g, '^$1'));
    expect([code, stdout]).toEqual([1, expect.stringContaining('carets (^)')]);
    expect((await explain('a=^b')).stdout).not.toContain('carets');
  });
});

describe('a proxy in the environment', () => {
  /** A proxy that opens tunnels, and the hosts that it was asked for. */
  async function createProxy(): Promise<{ url: string; asked: string[]; server: Server }> {
    const asked: string[] = [];
    const server = createServer().on('connect', ({ url = '' }, socket) => {
      asked.push(url);
      const [host, port] = url.split(':');
      const onward = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      for (const each of [onward, socket])
        each.on('error', () => {}).on('close', () => [onward, socket].map((every) => every.destroy()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
  }

  it('is used, except for hosts in NO_PROXY, and doctor says so', async () => {
    const { simulator, account } = await createDesk();
    simulator.visitor(ECID).in(GOLF);
    const { url, asked, server } = await createProxy();
    const env = { HTTP_PROXY: url.replace('//', '//user:secret@') };
    try {
      const looked = await cli(['lookup', '--ecid', ECID, ...account], env);
      expect(looked).toMatchObject({ code: 0, stdout: expect.stringContaining('golfFans') });
      expect(asked).toEqual([new URL(simulator.dcs.defaultOrigin).host]);
      const seen = await cli(['doctor', ...account], env);
      expect(seen.stdout).toMatch(new RegExp(`^ok +way +calls go through the proxy ${url}`, 'm'));
      expect(seen.stdout).not.toContain('secret');
      asked.length = 0;
      const direct = await cli(['doctor', ...account], { ...env, NO_PROXY: '127.0.0.1' });
      expect(direct.stdout).toMatch(/^ok +way +calls go past the proxy .*NO_PROXY/m);
      expect(asked).toEqual([]);
      const none = await cli(['doctor', ...account]);
      expect(none.stdout).toMatch(
        /^ok +settings +organisation id from --org, alias from --partner\nok +way +calls go directly/,
      );
    } finally {
      server.close();
    }
  });

  it('that is no URL is refused', async () => {
    const { account } = await createDesk();
    const result = await cli(['lookup', '--ecid', ECID, ...account], { HTTPS_PROXY: 'no url' });
    expect(result).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('HTTPS_PROXY and HTTP_PROXY must be URLs'),
    });
  });
});

describe('simulate', () => {
  it('names the port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await cli(['simulate', '--port', String(port)]);
    const [, taken] = /Port (\d+) is taken: use another --port/.exec(stderr) ?? [];
    // Other processes may have one of those after it.
    expect([code, [0, 1, 2, 3, 4, 5, 6, 7, 8].includes(Number(taken) - port)]).toEqual([1, true]);
    server.close();
  });
});

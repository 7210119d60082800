import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aamSegments } from 'express-aam-segments';
import { deadOrigin } from '../helpers/dead-origin';
import { PAGES, read } from '../helpers/documents';
import { cookieOf, ECID, GOLF, ORG } from '../helpers/site';
import { closeDesks, createDesk, end, run, start } from './command-line';

jest.setTimeout(30_000);
afterEach(closeDesks);

const UUID = '26896275281853107943424826352206124312';
const COMMANDS = ['lookup', 'cookie', 'consent', 'bulk', 'ids', 'doctor', 'simulate', 'completion'];

describe('aam-segments', () => {
  it('lists its commands, each with its own help', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    const helps = await Promise.all(COMMANDS.map((command) => run([command, '--help'])));
    for (const [n, command] of COMMANDS.entries()) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command} +\\S`, 'm'));
      expect(helps[n]).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`SYNOPSIS\n  aam-segments ${command} `),
      });
    }
  });

  describe('lookup', () => {
    it.each([
      ['--ecid', ECID],
      ['--uuid', UUID],
      ['--customer', 'acme_crm:C:1'],
      ['--customer', '7:C:1'],
    ])('finds a visitor by %s %s', async (option, id) => {
      const { simulator, account } = await createDesk();
      for (const each of [ECID, UUID]) simulator.visitor(each).in(GOLF);
      for (const source of ['acme_crm', 7]) simulator.customer(source, 'C:1').in(GOLF);
      const { code, stdout } = await run(['lookup', option, id, ...account]);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^status +fresh\nsegments +984263\nnames +golfFans\n/)]);
      const { stdout: json } = await run(['lookup', option, id, '--json', ...account]);
      expect(JSON.parse(json)).toMatchObject({ status: 'fresh', ids: ['984263'], names: ['golfFans'] });
    });

    it('exits with 1 if there is no answer', async () => {
      const { account } = await createDesk();
      await using dead = await deadOrigin();
      const failed = await run(['lookup', '--ecid', ECID, ...account, '--origin', dead.url]);
      expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('ERR_AAM_DCS_NETWORK')]);
      const { code, stdout } = await run(['lookup', '--ecid', ECID, '--json', ...account, '--origin', dead.url]);
      expect([code, JSON.parse(stdout).error.code]).toEqual([1, 'ERR_AAM_DCS_NETWORK']);
    });

    it('takes its account from the environment and from a file', async () => {
      const { simulator, folder } = await createDesk();
      simulator.visitor(ECID).in(GOLF);
      const config = join(folder, 'aam.json');
      writeFileSync(
        config,
        JSON.stringify({ orgId: 'x', partner: 'other', segments: { golf: GOLF }, dcs: simulator.dcs }),
      );
      const env = { AAM_ORG_ID: ORG, AAM_PARTNER: 'acme' };
      const { stdout } = await run(['lookup', '--ecid', ECID, '--region', '9', '--config', config, '--json'], '', env);
      expect(JSON.parse(stdout)).toMatchObject({ names: ['golf'], region: 9 });
      expect(simulator.requests[0]).toMatchObject({ host: 'acme.demdex.net', region: 9, params: { d_orgid: ORG } });
      writeFileSync(config, '{');
      const broken = await run(['lookup', '--ecid', ECID, '--config', config]);
      expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining(config)]);
    });
  });

  describe('cookie', () => {
    const explain = async (header: string, ...more: string[]) => {
      const { code, stdout } = await run(['cookie', header, '--org', ORG, ...more]);
      return { code, stdout };
    };

    it('shows what the middleware reads in each cookie, and makes no call', async () => {
      const { code, stdout } = await explain(`Cookie: a=b; ${cookieOf(ECID)}; s_ecid=MCMID%7C1`);
      expect(stdout.split('\n')).toEqual([
        `AMCV_${ORG}: ECID ${ECID}, region 9`,
        's_ecid: an id that is not 38 digits',
        '',
        `asked: the middleware asks about ECID ${ECID} at https://usw2.demdex.net (region 9)`,
        '',
      ]);
      expect(code).toBe(0);
    });

    it.each([
      ['an opt-out', cookieOf(ECID, 9, 'global'), [], 'excluded: opted-out'],
      ['Sec-GPC', cookieOf(ECID), ['--gpc'], 'excluded: no-consent'],
      ['no agreement where consent is required', cookieOf(ECID), ['--consent-required'], 'excluded: no-consent'],
      ['the cookie of another organisation', cookieOf(ECID).replaceAll('1FD6', '2FD6'), [], 'anonymous: no-id'],
    ])('exits with 1 for %s', async (_name, header, more, verdict) => {
      const { code, stdout } = await explain(header, ...more);
      expect([code, stdout]).toEqual([1, expect.stringContaining(verdict)]);
      const json = await explain(header, ...more, '--json');
      expect(JSON.parse(json.stdout)).toMatchObject({ verdict });
    });
  });

  describe('ids', () => {
    it('extracts the ids of stored answers, each once, without opted-out visitors', async () => {
      const other = UUID.replace('268', '368');
      const answers = [
        { uuid: UUID, dcs_region: 9, segments: [1] },
        { d_mid: ECID, dcs_region: '6', id_sync_ttl: 604_800 },
        { uuid: other, dcs_region: 7 },
        {},
        { uuid: UUID, dcs_region: 7 },
        { uuid: other, errors: [{ code: 171, msg: 'opted out' }] },
      ];
      const lines = answers.map((answer) => JSON.stringify(answer));
      const good = await run(['ids'], `${lines.join('\n')}\n`);
      expect(good).toMatchObject({ code: 0, stdout: `ecid,uuid,region\n,${UUID},7\n${ECID},,6\n` });
      const bad = await run(['ids', '--json'], `${lines[0]}\nGIF89a\n`);
      expect([bad.code, JSON.parse(bad.stderr)]).toEqual([
        1,
        { lines: 2, ids: 1, optedOut: 0, notServed: 0, unusable: 1 },
      ]);
    });

    it.each<[string, readonly object[], object]>([
      ['an opt-out as a list', [{ d_mid: ECID, d_optout: ['global'] }], { optedOut: 1 }],
      [
        'an opt-out in an answer that has both ids',
        [{ uuid: UUID }, { d_mid: ECID, uuid: UUID, d_optout: ['global'] }],
        { optedOut: 1 },
      ],
      ['an opt-out as a code', [{ d_mid: ECID }, { d_mid: ECID, errors: [{ code: 315 }] }], { optedOut: 1 }],
      ['an opt-out as a code in text', [{ d_mid: ECID, errors: [{ code: '171' }] }], { optedOut: 1 }],
      ['a denylisted id, for good', [{ d_mid: ECID, errors: [{ code: 306 }] }, { d_mid: ECID }], { notServed: 1 }],
      ['an invalid id', [{ uuid: UUID }, { uuid: UUID, errors: [{ code: '102' }] }], { notServed: 1 }],
    ])('leaves out %s', async (_what, answers, left) => {
      const input = answers.map((answer) => JSON.stringify(answer)).join('\n');
      const { stdout, stderr } = await run(['ids', '--json'], input);
      expect([stdout, JSON.parse(stderr)]).toEqual([
        'ecid,uuid,region\n',
        expect.objectContaining({ ids: 0, ...left }),
      ]);
    });

    it('keeps whoever has opted in again, has not opted out, or had a warning', async () => {
      const answers = [
        { d_mid: ECID, d_optout: ['global'] },
        { d_mid: ECID, d_optout: [], dcs_region: 9 },
        { uuid: UUID, d_optout: ['NONE'], errors: [{ code: 302 }] },
      ];
      const { stdout } = await run(['ids'], answers.map((answer) => JSON.stringify(answer)).join('\n'));
      expect(stdout).toBe(`ecid,uuid,region\n${ECID},,9\n,${UUID},\n`);
    });

    it('writes what bulk reads', async () => {
      const { simulator, folder, account } = await createDesk();
      simulator.visitor(UUID).in(GOLF);
      const [input, ids] = [join(folder, 'answers.ndjson'), join(folder, 'ids.csv')];
      writeFileSync(input, JSON.stringify({ uuid: UUID, dcs_region: 9 }));
      await run(['ids', '--in', input, '--out', ids]);
      const { stdout } = await run(['bulk', '--in', ids, ...account]);
      expect(stdout.split('\n')[1]).toBe(`,${UUID},9,fresh,,984263,golfFans,`);
      expect(readFileSync(ids, 'utf8')).toContain(UUID);
    });
  });

  describe('doctor', () => {
    async function examine(args: readonly string[]) {
      const { code, stdout } = await run(['doctor', '--json', ...args]);
      const { isWell, findings } = JSON.parse(stdout);
      expect(code).toBe(isWell ? 0 : 1);
      return {
        isWell,
        states: Object.fromEntries(findings.map((f: { check: string; state: string }) => [f.check, f.state])),
        findings,
      };
    }

    it('reports a healthy account and the time to connect to each region', async () => {
      const { simulator, folder } = await createDesk();
      const config = join(folder, 'aam.json');
      writeFileSync(config, JSON.stringify({ orgId: ORG, partner: 'acme', dcs: simulator.dcs }));
      const { isWell, states, findings } = await examine(['--config', config]);
      expect(isWell).toBe(true);
      expect(states).toMatchObject({ DCS: 'ok', alias: 'ok', country: 'ok', organisation: 'ok', 'segment ids': 'ok' });
      expect(Object.keys(states).filter((check) => check.startsWith('region'))).toHaveLength(8);
      expect(findings.at(-1).found).toMatch(/^[\d.]+ ms to 127\.0\.0\.1:\d+$/);
      // One call, to the alias; to the regions it only connects.
      expect(simulator.requests).toHaveLength(1);
    });

    it.each([
      ['an unknown alias', {}, ['--partner', 'other'], 'alias', 'FAIL'],
      ['an unknown organisation', { orgIds: ['2FD6776A524453CC0A490D44@AdobeOrg'] }, [], 'organisation', 'FAIL'],
      [
        'segment ids that are not enabled, for a known visitor',
        { segmentIds: false },
        ['--ecid', ECID],
        'segment ids',
        'FAIL',
      ],
      ['segment ids that may not be enabled', { segmentIds: false }, [], 'segment ids', 'unsure'],
    ])('finds %s, with advice', async (_name, options, more, check, state) => {
      const { account, simulator } = await createDesk(options);
      simulator.visitor(ECID).in(GOLF).destination('aam', 'seg=1');
      const { states, findings } = await examine([...account, ...more]);
      expect(states).toMatchObject({ DCS: 'ok', [check]: state });
      expect(findings.find((finding: { check: string }) => finding.check === check).advice).toMatch(/\w/);
    });

    it('finds a blocked country', async () => {
      const { account, simulator } = await createDesk();
      simulator.visitor(ECID).fails(199);
      const { states } = await examine([...account, '--ecid', ECID]);
      expect(states).toMatchObject({ DCS: 'ok', alias: 'ok', country: 'FAIL' });
    });

    it('finds a DCS that cannot be reached', async () => {
      const { account } = await createDesk();
      await using dead = await deadOrigin();
      const { states, isWell } = await examine([...account, '--origin', dead.url]);
      expect([isWell, states]).toEqual([false, { settings: 'ok', way: 'ok', DCS: 'FAIL' }]);
    });
  });

  describe('simulate', () => {
    it('answers as a DCS until it is interrupted', async () => {
      const { folder } = await createDesk();
      const visitors = join(folder, 'visitors.ndjson');
      const lines = [
        { ecid: ECID, segments: [GOLF] },
        { customer_id: 'C-1', integration_code: 'acme_crm', segments: [1] },
        { customer_id: 'C-1', data_source_id: 7, segments: [2] },
      ];
      writeFileSync(visitors, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const child = start(['simulate', '--json', '--visitors', visitors]);
      const [first] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
      const { defaultOrigin, origins, visitors: loaded } = JSON.parse(String(first));
      expect([loaded, Object.keys(origins)]).toEqual([3, ['3', '4', '6', '7', '8', '9', '11', '12']]);
      const ended = end(child);
      const account = ['--org', ORG, '--partner', 'acme', '--origin', defaultOrigin];
      const { stdout } = await run(['lookup', '--customer', '7:C-1', '--json', ...account]);
      expect(JSON.parse(stdout).ids).toEqual(['2']);
      child.kill('SIGTERM');
      expect((await ended).code).toBe(0);
    });

    it('prints the lines for the options of the middleware, which work when they are pasted', async () => {
      const { folder } = await createDesk();
      const visitors = join(folder, 'visitors.ndjson');
      writeFileSync(visitors, `${JSON.stringify({ ecid: ECID, segments: [GOLF] })}\n`);
      const child = start(['simulate', '--visitors', visitors]);
      let shown = '';
      while (!shown.includes('Ctrl+C')) shown += (await once(child.stdout as NodeJS.ReadableStream, 'data'))[0];
      const [, lines = ''] = shown.split('put these lines into the options of aamSegments() or createDcsClient():\n');
      const pasted = lines.split('\n').slice(0, 2).join('\n');
      const aam = new Function('aamSegments', 'orgId', `return aamSegments({ orgId,\n${pasted}\n});`)(aamSegments, ORG);
      const segments = await aam.lookup({ ecid: ECID, region: 9 });
      expect([segments.status, segments.ids]).toEqual(['fresh', [String(GOLF)]]);
      await aam.close();
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    });

    it('names the invalid line of a visitors file', async () => {
      const { folder } = await createDesk();
      const visitors = join(folder, 'visitors.ndjson');
      writeFileSync(visitors, `{"ecid":"${ECID}","segments":[1]}\n{"ecid":"1","segments":[1]}\n`);
      const { code, stderr } = await run(['simulate', '--visitors', visitors]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`${visitors}, line 2`)]);
    });
  });
});

describe('the documents', () => {
  it('show commands and options that exist', async () => {
    const text = ['README.md', ...PAGES].map(read).join('\n');
    const lines = [...text.matchAll(/^npx aam-segments (\w+)(.*)$/gm)] as unknown as [string, string, string][];
    expect(lines.length).toBeGreaterThan(COMMANDS.length);
    const helps = await Promise.all(lines.map(([, command]) => run([command, '--help'])));
    for (const [n, [, command, args]] of lines.entries()) {
      expect([command, helps[n]?.code]).toEqual([command, 0]);
      for (const option of args.match(/--[\w-]+/g) ?? []) expect(helps[n]?.stdout).toContain(option);
    }
  });

  it('explain every command', () => {
    const page = read('docs/command-line.md');
    const shown = [...page.matchAll(/^npx aam-segments (\w+)/gm)].map(([, command]) => command);
    expect(shown.sort()).toEqual([...COMMANDS].sort());
    const [, table = ''] = page.split('\n| command | what it does |\n| --- | --- |\n');
    const rows = [...(table.split('\n\n')[0] as string).matchAll(/^\| `(\w+)` \|/gm)];
    expect(rows.map(([, command]) => command).sort()).toEqual([...COMMANDS].sort());
  });
});

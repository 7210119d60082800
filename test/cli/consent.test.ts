import { tcStringOf } from '../consent/tc-strings';
import { cookieOf, ECID, ORG } from '../helpers/site';
import { cli } from './in-process';

const KNDCTR = `kndctr_${ORG.replace('@', '_')}`;

describe('consent', () => {
  it.each<[string, string[], string, number]>([
    [tcStringOf(), [], 'euconsent-v2: agrees: it consents to vendor 565', 0],
    [tcStringOf({ vendors: [1] }), [], 'euconsent-v2: refuses: it does not consent to vendor 565', 1],
    [tcStringOf({ segments: [] }), [], 'euconsent-v2: refuses: it has no segment of disclosed vendors', 1],
    [tcStringOf({ segments: [] }), ['--tcf-lenient'], 'euconsent-v2: agrees', 0],
    ['BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA', [], 'euconsent-v2: refuses: it is not a TC string of version 2', 1],
    ['DBABBg~BVqqqqpY', [], '__gpp: says nothing: no opt-out', 0],
    ['DBABVg~BVVVVVVg.YA', [], '__gpp: refuses: the visitor opted out', 1],
    ['1YYN', [], 'usprivacy: refuses: the visitor opted out of the sale', 1],
    ['1YNN', [], 'usprivacy: says nothing', 0],
    ['1YNN', ['--consent-required'], 'consent.required: refuses: no source agrees', 1],
    ['1YNN', ['--gpc'], 'Sec-GPC: refuses: the header is 1', 1],
    [`Cookie: acme-tc=${tcStringOf()}`, ['--tcf-cookie', 'acme-tc'], 'acme-tc: agrees', 0],
    [`${cookieOf(ECID)}; ${KNDCTR}_consent=general=out`, [], `${KNDCTR}_consent: refuses: general is out`, 1],
    [`${cookieOf(ECID, 9, 'global')}`, [], `AMCV_${ORG}: refuses: it has an opt-out`, 1],
    ['theme=dark', [], 'nothing that is read says anything about consent', 0],
  ])('explains %s %j', async (given, options, line, exitCode) => {
    const { code, stdout, stderr } = await cli(['consent', given, ...options]);
    expect([stdout.split('\n').find((each) => each.startsWith(line.slice(0, 12))), code, stderr]).toEqual([
      expect.stringContaining(line),
      exitCode,
      '',
    ]);
  });

  it('prints what aam.consent.explain(req) returns, which contains no id', async () => {
    const { stdout } = await cli(['consent', `${cookieOf(ECID)}; ${KNDCTR}_consent=general=in`, '--json']);
    expect(JSON.parse(stdout)).toEqual({
      verdict: 'may-be-asked',
      decidedBy: 'web-sdk',
      findings: [
        { signal: 'amcv-optout', source: `AMCV_${ORG}`, says: 'nothing', because: 'it has no opt-out' },
        { signal: 'web-sdk', source: `${KNDCTR}_consent`, says: 'agrees', because: 'general is in' },
      ],
      hints: [],
    });
    expect(stdout).not.toContain(ECID);
    expect((await cli(['consent', '1YYN', '--quiet'])).stdout).toBe('');
  });

  it('names the organisations whose cookies it has not read', async () => {
    const other = ORG.replace('1FD6', '2FD6');
    const header = `${cookieOf(ECID)}; AMCV_${other}=MCOPTOUT|global`;
    const { code, stdout } = await cli(['consent', header]);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`Not read: the cookies of organisation ${other}`)]);
    expect((await cli(['consent', header, '--org', other])).code).toBe(1);
    expect((await cli(['consent', header], { AAM_ORG_ID: other })).code).toBe(1);
  });

  it.each([
    [['hello world'], /Neither a Cookie header .* nor a consent string/],
    [['1YYN', '--org', ''], /Missing value: --org <id>/],
    [['a=b', '--org', 'x y\u0000'], /--org must be/],
    [['a=b', '--tcf-cookie', 'a b'], /--tcf-cookie/],
  ])('refuses %j in one line', async (args, message) => {
    const { code, stdout, stderr } = await cli(['consent', ...args]);
    expect([code, stdout, stderr.trimEnd()]).toEqual([2, '', expect.stringMatching(message)]);
  });
});

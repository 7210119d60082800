import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { peerDependencies } from '../../package.json';
import { ECID, GOLF } from '../helpers/site';
import { closeDesks, createDesk, end, programWith, start } from './command-line';

jest.setTimeout(60_000);
afterEach(closeDesks);

/** The exact command of the message. */
const INSTALL = 'npm install csv-parse@7 csv-stringify@6';

describe('where the packages for CSV are not installed', () => {
  it.each([
    ['both', []],
    ['csv-parse', ['csv-stringify']],
    ['csv-stringify', ['csv-parse']],
  ])('bulk says what to install before it touches a file: without %s', async (_missing, installed) => {
    const { simulator, folder, account } = await createDesk();
    const [input, output] = [join(folder, 'in.csv'), join(folder, 'out.csv')];
    writeFileSync(input, `ecid\n${ECID}\n`);
    writeFileSync(output, 'of yesterday');
    const bulk = ['bulk', '--in', input, '--out', output, '--force', ...account];
    const { code, stdout, stderr } = await end(start(bulk, {}, programWith(folder, installed)));
    expect([code, stdout, stderr.split('\n')[0]]).toEqual([
      2,
      '',
      `aam-segments bulk: CSV needs two packages that are not installed, NDJSON does not: ${INSTALL}`,
    ]);
    expect(readFileSync(output, 'utf8')).toBe('of yesterday');
    expect(simulator.requests).toEqual([]);
  });

  it('bulk reads and writes NDJSON', async () => {
    const { simulator, folder, account } = await createDesk();
    simulator.visitor(ECID).in(GOLF);
    const bulk = start(['bulk', '--format', 'ndjson', ...account], {}, programWith(folder, []));
    const { code, stdout } = await end(bulk, `{"ecid":"${ECID}"}\n`);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { aam: { segmentNames: ['golfFans'] } }]);
  });

  it('ids writes CSV', async () => {
    const { folder } = await createDesk();
    const answer = `{"d_mid":"${ECID}","dcs_region":9}\n`;
    const { code, stdout } = await end(start(['ids'], {}, programWith(folder, [])), answer);
    expect([code, stdout]).toEqual([0, `ecid,uuid,region\n${ECID},,9\n`]);
  });
});

describe('the install commands in messages', () => {
  it('name the versions that this package supports', async () => {
    const majors = (['csv-parse', 'csv-stringify'] as const).map((name) => {
      return `${name}@${/\d+/.exec(peerDependencies[name])}`;
    });
    expect(INSTALL).toBe(`npm install ${majors.join(' ')}`);
    const { code, stdout } = await end(start(['bulk', '--help']));
    expect([code, stdout]).toEqual([0, expect.stringContaining(INSTALL)]);
    expect(stdout).toContain(`cli-progress@${/\d+/.exec(peerDependencies['cli-progress'])}`);
  });
});

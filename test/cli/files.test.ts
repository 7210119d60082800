import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDcsSimulator, type DcsSimulator } from 'express-aam-segments/testing';
import { RunFolder } from '../../src/cli/bulk/run-folder';
import { ECID, GOLF, ORG } from '../helpers/site';
import { cli } from './in-process';

let simulator: DcsSimulator;
let folder: string;
const at = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(at(name), 'utf8');

const CUSTOMERS = `ecid,name\n${ECID},x\n`;
const SEGMENTS = `ecid,name,aam_status,aam_reason,aam_segment_ids,aam_segment_names,aam_error\n${ECID},x,fresh,,984263,,\n`;

beforeAll(async () => {
  simulator = await createDcsSimulator({ segmentIds: true, denylistAfter: false });
  simulator.visitor(ECID).in(GOLF);
});
afterAll(() => simulator.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'files-'));
  writeFileSync(at('in.csv'), CUSTOMERS);
  simulator.clear();
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const account = () => ['--org', ORG, '--partner', 'acme', '--origin', simulator.dcs.defaultOrigin];
const bulk = (...more: string[]) => cli(['bulk', '--in', at('in.csv'), '--out', at('out.csv'), ...account(), ...more]);

/** An interrupted run of which a row is known. */
async function interrupt(): Promise<void> {
  await bulk();
  rmSync(at('out.csv'));
  const [line] = read('out.csv.bulk/journal').split('\n');
  const { complete, ...checkpoint } = JSON.parse(line as string);
  expect(complete).toBeDefined();
  writeFileSync(at('out.csv.bulk/journal'), `${JSON.stringify(checkpoint)}\n`);
  writeFileSync(at('out.csv.bulk/rows'), SEGMENTS);
  simulator.clear();
}

describe('bulk and an output that is there', () => {
  it('overwrites it only with --force, and keeps it until the new one is complete', async () => {
    writeFileSync(at('out.csv'), 'precious');
    expect(await bulk()).toMatchObject({ code: 2, stderr: expect.stringContaining('use --force') });
    expect(await bulk('--resume')).toMatchObject({ code: 2, stderr: expect.stringContaining('use --force') });
    writeFileSync(at('in.csv'), `${CUSTOMERS}too,many,cells\n`);
    expect(await bulk('--force')).toMatchObject({ code: 2, stderr: expect.stringContaining('line 3: 3 cells') });
    expect(read('out.csv')).toBe('precious');
    writeFileSync(at('in.csv'), CUSTOMERS);
    expect((await bulk('--force')).code).toBe(0);
    expect(read('out.csv')).toBe(SEGMENTS);
  });

  it('leaves nothing behind that blocks the corrected run after a wrong header', async () => {
    writeFileSync(at('in.csv'), 'name\nx\n');
    expect((await bulk()).code).toBe(2);
    expect(readdirSync(folder)).toEqual(['in.csv']);
    writeFileSync(at('in.csv'), CUSTOMERS);
    expect((await bulk()).code).toBe(0);
  });

  it('makes files for their owner only', async () => {
    await bulk();
    const modes = ['out.csv', 'out.csv.bulk', 'out.csv.bulk/journal'].map((name) => statSync(at(name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o700, 0o600]);
  });
});

describe('bulk in place', () => {
  it.each([
    ['itself', () => at('in.csv')],
    ['a symbolic link', () => at('link.csv')],
    ['a hard link', () => at('hard.csv')],
  ])('is refused, through %s too', async (_name, output) => {
    symlinkSync(at('in.csv'), at('link.csv'));
    linkSync(at('in.csv'), at('hard.csv'));
    const to = output();
    const result = await cli(['bulk', '--in', at('in.csv'), '--out', to, '--force', ...account()]);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('are the same file') });
    const ids = await cli(['ids', '--in', at('in.csv'), '--out', to, '--force']);
    expect(ids).toMatchObject({ code: 2, stderr: expect.stringContaining('are the same file') });
    expect(read('in.csv')).toBe(CUSTOMERS);
  });
});

describe('links', () => {
  it('replaces the file that --out leads to, and keeps the link', async () => {
    writeFileSync(at('real.csv'), 'old');
    symlinkSync(at('real.csv'), at('out.csv'));
    expect((await bulk('--force')).code).toBe(0);
    expect(read('real.csv')).toBe(SEGMENTS);
    expect(readFileSync(at('out.csv'), 'utf8')).toBe(SEGMENTS);
  });

  it('refuses a link that leads nowhere', async () => {
    symlinkSync(at('nowhere'), at('out.csv'));
    expect(await bulk()).toMatchObject({ code: 2, stderr: expect.stringContaining('a link to a file that does not') });
  });

  it('follows no link that somebody has planted beside the output', async () => {
    writeFileSync(at('victim'), 'precious');
    for (const name of ['out.csv.journal', 'out.csv.journal.next', 'out.csv.part']) symlinkSync(at('victim'), at(name));
    expect((await bulk()).code).toBe(0);
    expect(read('victim')).toBe('precious');
    for (const name of ['journal', 'journal.next', 'rows']) {
      rmSync(at('out.csv.bulk'), { recursive: true, force: true });
      mkdirSync(at('out.csv.bulk'), { mode: 0o700 });
      symlinkSync(at('victim'), at(`out.csv.bulk/${name}`));
      await bulk('--force');
      expect([name, read('victim')]).toEqual([name, 'precious']);
    }
  });

  it('uses no folder that is a link, or that others can write to', async () => {
    mkdirSync(at('elsewhere'), { mode: 0o700 });
    symlinkSync(at('elsewhere'), at('out.csv.bulk'));
    expect(await bulk()).toMatchObject({ code: 1, stderr: expect.stringContaining('only you can write to') });
    rmSync(at('out.csv.bulk'));
    mkdirSync(at('out.csv.bulk'));
    chmodSync(at('out.csv.bulk'), 0o777);
    expect(await bulk()).toMatchObject({ code: 1, stderr: expect.stringContaining('only you can write to') });
    expect(readdirSync(at('elsewhere'))).toEqual([]);
  });
});

describe('bulk --resume after completion', () => {
  beforeEach(async () => {
    await bulk();
    simulator.clear();
  });

  it('says that there is nothing to do where the input has not changed', async () => {
    expect(await bulk('--resume')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/complete since .*--force/),
    });
    expect(simulator.requests).toEqual([]);
  });

  it('says what to do where the input or the settings have changed', async () => {
    expect((await bulk('--resume', '--safe-cells')).code).toBe(2);
    writeFileSync(at('in.csv'), `${CUSTOMERS}${ECID},y\n`);
    expect(await bulk('--resume')).toMatchObject({ code: 2, stderr: expect.stringContaining('--resume --force') });
    expect((await bulk('--resume', '--force')).code).toBe(0);
    expect(read('out.csv').split('\n')).toHaveLength(4);
  });

  it('does not touch an output that has been changed since, and makes one that is missing', async () => {
    writeFileSync(at('out.csv'), `${SEGMENTS}mine\n`);
    expect(await bulk('--resume')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has been changed since'),
    });
    truncateSync(at('out.csv'), 10);
    expect((await bulk('--resume')).code).toBe(2);
    rmSync(at('out.csv'));
    expect((await bulk('--resume')).code).toBe(0);
    expect(read('out.csv')).toBe(SEGMENTS);
  });

  it('still fails where rows had failed', async () => {
    writeFileSync(at('in.csv'), `${CUSTOMERS}nobody,y\n`);
    expect((await bulk('--force')).code).toBe(1);
    expect(await bulk('--resume')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 of its 2 rows failed'),
    });
  });
});

describe('bulk --resume of an interrupted run', () => {
  beforeEach(interrupt);

  it('continues without asking again', async () => {
    expect(await bulk()).toMatchObject({ code: 2, stderr: expect.stringContaining('--resume to continue') });
    expect((await bulk('--resume')).code).toBe(0);
    expect(read('out.csv')).toBe(SEGMENTS);
    expect(simulator.requests).toEqual([]);
  });

  it.each([
    ['shorter', () => truncateSync(at('out.csv.bulk/rows'), 20)],
    ['changed', () => writeFileSync(at('out.csv.bulk/rows'), SEGMENTS.replace('x', 'y'))],
    ['missing', () => rmSync(at('out.csv.bulk/rows'))],
  ])('refuses rows that are %s, and starts over with --force', async (_name, change) => {
    change();
    expect((await bulk('--resume')).code).toBe(1);
    expect(existsSync(at('out.csv'))).toBe(false);
    expect((await bulk('--force')).code).toBe(0);
    expect(read('out.csv')).toBe(SEGMENTS);
  });

  it('notices a row that has changed before the last one, and starts over where it may', async () => {
    writeFileSync(at('in.csv'), CUSTOMERS.replace(',x', ',y'));
    expect(await bulk('--resume')).toMatchObject({ code: 2, stderr: expect.stringContaining('has changed since') });
    const forced = await bulk('--resume', '--force');
    expect(forced).toMatchObject({ code: 0, stderr: expect.stringContaining('starting over') });
    expect(read('out.csv')).toBe(SEGMENTS.replace(',x', ',y'));
  });

  it('does not overwrite a file that has appeared since', async () => {
    writeFileSync(at('out.csv'), 'precious');
    expect(await bulk('--resume')).toMatchObject({ code: 2, stderr: expect.stringContaining('has appeared since') });
    expect(read('out.csv')).toBe('precious');
  });

  it('gives rows that were complete their name', async () => {
    await bulk('--resume');
    const journal = read('out.csv.bulk/journal');
    rmSync(at('out.csv'));
    writeFileSync(at('out.csv.bulk/rows'), SEGMENTS);
    writeFileSync(at('out.csv.bulk/journal'), journal);
    expect(await bulk('--resume')).toMatchObject({ code: 0, stderr: expect.stringContaining('is complete since') });
    expect(read('out.csv')).toBe(SEGMENTS);
  });
});

describe('files that are not of bulk', () => {
  it('are never touched, with --force neither', async () => {
    mkdirSync(at('out.csv.bulk'), { mode: 0o700 });
    for (const name of ['rows', 'journal']) {
      writeFileSync(at(`out.csv.bulk/${name}`), 'precious');
      expect(await bulk('--force')).toMatchObject({ code: 1, stderr: expect.stringContaining('move it away') });
      expect(read(`out.csv.bulk/${name}`)).toBe('precious');
      rmSync(at(`out.csv.bulk/${name}`));
    }
  });
});

describe('two runs at once', () => {
  it('are one: the other is refused, and the next one after it is not', async () => {
    const other = new RunFolder(at('out.csv'));
    // As of another process: a claim of this one would be taken for its own.
    const [claim] = readdirSync(at('out.csv.bulk')) as [string];
    const parent = claim.replace(/^lock-\d+-\w+-/, `lock-${process.ppid}-${startOf(process.ppid)}-`);
    writeFileSync(at(`out.csv.bulk/${parent}`), '');
    expect(await bulk('--force')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`another run (process ${process.ppid})`),
    });
    rmSync(at(`out.csv.bulk/${parent}`));
    // A process that has ended, and a later one with its number.
    for (const dead of [claim.replace(/^lock-\d+-/, 'lock-4194304-'), parent.replace(/-\d+-(\w+)$/, '-1-$1')]) {
      writeFileSync(at(`out.csv.bulk/${dead}`), '');
    }
    other.release();
    expect((await bulk()).code).toBe(0);
    expect(readdirSync(at('out.csv.bulk'))).toEqual(['journal']);
  });
});

function startOf(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ')[19];
}

describe('ids', () => {
  it('overwrites a file only with --force, and makes it for its owner only', async () => {
    writeFileSync(at('answers'), `{"d_mid":"${ECID}","dcs_region":9}\n`);
    const ids = (...more: string[]) => cli(['ids', '--in', at('answers'), '--out', at('ids.csv'), ...more]);
    expect((await ids()).code).toBe(0);
    expect(statSync(at('ids.csv')).mode & 0o777).toBe(0o600);
    writeFileSync(at('ids.csv'), 'precious');
    expect((await ids()).code).toBe(2);
    expect(read('ids.csv')).toBe('precious');
    expect((await ids('--force')).code).toBe(0);
    expect(read('ids.csv')).toBe(`ecid,uuid,region\n${ECID},,9\n`);
    expect(readdirSync(folder).sort()).toEqual(['answers', 'ids.csv', 'in.csv']);
  });
});

describe('files that cannot be used', () => {
  it.each([
    ['a missing input', () => ['bulk', '--in', at('nowhere')], 2, 'no such file or directory'],
    ['a folder as input', () => ['bulk', '--in', folder], 2, 'is a folder, not a file'],
    ['a folder as output', () => ['bulk', '--in', at('in.csv'), '--out', folder], 2, 'is a folder, not a file'],
    ['no folder for the output', () => ['bulk', '--in', at('in.csv'), '--out', at('no/out')], 2, 'no such file'],
    ['a full device', () => ['bulk', '--in', at('in.csv'), '--out', '/dev/full'], 1, 'no space left on device'],
    ['an empty input', () => ['bulk', '--in', '/dev/null'], 2, 'is empty'],
  ])('are named in one line: %s', async (_name, args, code, message) => {
    const result = await cli([...args(), ...account(), '--quiet']);
    expect(result).toMatchObject({ code, stderr: expect.stringContaining(message) });
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    const ids = args().map((arg) => (arg === 'bulk' ? 'ids' : arg));
    const ofIds = await cli([...ids, '--quiet']);
    expect(ofIds).toMatchObject({ code, stderr: expect.stringContaining(message) });
  });
});

import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ECID, GOLF, HIGH_VALUE } from '../helpers/site';
import { closeDesks, createDesk, type Desk, end, program, run, start, startOnFullDisk } from './command-line';
import { bulkProcess, checkKills } from './kill-rounds';

jest.setTimeout(60_000);
afterEach(closeDesks);

const ecidOf = (n: number) => `1${String(n).padStart(37, '0')}`;

/** A file of `count` customers: every third likes golf, every 50th gets a malformed answer, one has no valid id. */
function customers({ simulator, folder }: Desk, count: number): string {
  const lines = Array.from({ length: count }, (_, n) => {
    if (n % 3 === 0) simulator.visitor(ecidOf(n)).in(GOLF);
    if (n % 50 === 49) simulator.fault({ kind: 'malformed' }, { visitor: ecidOf(n) });
    return `${n === 7 ? 'nobody' : ecidOf(n)},"Smith, ""J"" ${n}\nof Leeds"\n`;
  });
  const path = join(folder, 'customers.csv');
  writeFileSync(path, `ecid,name\n${lines.join('')}`);
  return path;
}

describe('aam-segments bulk', () => {
  it('loses nothing when it is killed at random moments', async () => {
    const { simulator, folder, account } = await createDesk({ denylistAfter: false });
    const named = account.slice(0, account.indexOf('--segment'));
    const bulk = bulkProcess(program(), named);
    await checkKills({ simulator, folder, bulk, rounds: 4, rows: 1_200, random: Math.random });
  });

  it('keeps the old file on a full disk, and continues when there is room', async () => {
    const { folder, account, simulator } = await createDesk({ denylistAfter: false });
    const lines = Array.from({ length: 300 }, (_, n) => `${ecidOf(n)},${n}\n`);
    const [input, out] = [join(folder, 'in.csv'), join(folder, 'out.csv')];
    writeFileSync(input, `ecid,name\n${lines.join('')}`);
    writeFileSync(out, 'of yesterday');
    const args = ['bulk', '--in', input, '--out', out, '--resume', '--force', ...account];
    expect(await end(startOnFullDisk(args, 8))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^aam-segments bulk: --out .*: file too large: use --resume to continue$/m),
    });
    expect(readFileSync(out, 'utf8')).toBe('of yesterday');
    const calls = simulator.requests.length;
    expect((await run(args)).code).toBe(0);
    expect(readFileSync(out, 'utf8').split('\n').slice(1, -1)).toEqual(lines.map((line) => `${line.trim()},fresh,,,,`));
    // What was known has not been asked again.
    expect(simulator.requests.length).toBeLessThan(calls + 300);
  });

  it('writes each row with its segments, in the order of the input, and reports failures with hints', async () => {
    const desk = await createDesk();
    desk.simulator.visitor(ECID).in(GOLF).in(HIGH_VALUE);
    desk.simulator.customer('acme_crm', 'C-1').in(HIGH_VALUE);
    const input = `\ufeffname,customer_id,ecid,aam_error\r\n"Smith, J",C-1,,old\r\nMüller,,${ECID},\r\nNobody,,,\r\n`;
    const { code, stdout, stderr } = await run(['bulk', '--source', 'acme_crm', ...desk.account], input);
    expect(stdout.split('\n')).toEqual([
      '\ufeffname,customer_id,ecid,aam_status,aam_reason,aam_segment_ids,aam_segment_names,aam_error\r',
      '"Smith, J",C-1,,fresh,,985264,highValue,\r',
      `Müller,,${ECID},fresh,,984263;985264,golfFans;highValue,\r`,
      'Nobody,,,,,,,ERR_AAM_INVALID_OPTION\r',
      '',
    ]);
    expect(stderr).toMatch(
      /3 rows in [\d.]+ s, 1 failed\n {2}2 fresh\n {2}1 ERR_AAM_INVALID_OPTION: the row names no valid visitor/,
    );
    expect(code).toBe(1);
  });

  it('reads and writes NDJSON', async () => {
    const desk = await createDesk();
    desk.simulator.customer(7, 'C-1').in(GOLF);
    const [input, output] = [join(desk.folder, 'in.ndjson'), join(desk.folder, 'out.ndjson')];
    const rows = [
      { customerIds: [{ dataSourceId: 7, id: 'C-1' }], since: 2020 },
      { ecid: ECID, region: 9 },
    ];
    writeFileSync(input, `${rows.map((row) => JSON.stringify(row)).join('\n')}\nno json\n[1]\n`);
    const { code, stderr } = await run(['bulk', '--in', input, '--out', output, '--json', ...desk.account]);
    const lines = readFileSync(output, 'utf8').trim().split('\n');
    const answered = {
      status: 'fresh',
      reason: '',
      segmentIds: [] as string[],
      segmentNames: [] as string[],
      error: '',
    };
    const failed = { ...answered, status: '', error: 'ERR_AAM_INVALID_OPTION' };
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { ...rows[0], aam: { ...answered, segmentIds: [String(GOLF)], segmentNames: ['golfFans'] } },
      { ...rows[1], aam: answered },
      { line: 'no json', aam: failed },
      { line: '[1]', aam: failed },
    ]);
    expect(JSON.parse(stderr)).toMatchObject({
      rows: 4,
      failed: 2,
      statuses: { fresh: 2 },
      errors: { ERR_AAM_INVALID_OPTION: 2 },
    });
    expect(code).toBe(1);
    expect(existsSync(join(`${output}.bulk`, 'rows'))).toBe(false);
  });

  it('killed at three random moments and resumed, writes what an uninterrupted run writes', async () => {
    const desk = await createDesk();
    const { simulator, folder, account } = desk;
    const [rows, concurrency] = [1_500, 8];
    const input = customers(desk, rows);
    const [whole, pieces] = [join(folder, 'whole.csv'), join(folder, 'pieces.csv')];
    // One slow answer, so that answers arrive out of order.
    simulator.fault({ kind: 'latency', latencyMs: 30 }, { visitor: ecidOf(300) });
    const bulk = (out: string, ...more: string[]) => [
      'bulk',
      '--in',
      input,
      '--out',
      out,
      '--concurrency',
      String(concurrency),
      ...account,
      ...more,
    ];
    expect((await run(bulk(whole))).code).toBe(1);
    const calls = simulator.requests.length;
    // All but the row without a valid id.
    expect(calls).toBe(rows - 1);

    const moments = Array.from({ length: 3 }, () => calls + Math.floor(Math.random() * rows)).sort((a, b) => a - b);
    const killed: unknown[] = [];
    for (const moment of moments) {
      const child = start(bulk(pieces, '--resume'));
      const ended = end(child);
      await Promise.race([simulator.received(moment, { timeoutMs: 30_000 }), ended]);
      child.kill('SIGKILL');
      killed.push((await ended).code);
    }
    expect(killed).toContain(null);
    await run(bulk(pieces, '--resume'));
    expect(readFileSync(pieces, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    // Only the calls in flight at each kill are repeated.
    expect(simulator.requests.length - 2 * calls).toBeLessThanOrEqual(moments.length * concurrency);
    expect(existsSync(join(`${pieces}.bulk`, 'rows'))).toBe(false);
    const again = await run(bulk(pieces, '--resume'));
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is complete since .*, 31 of its 1500 rows failed, and the input has not changed/),
    });
  });

  it('resumes from a journal with an unfinished last line and an output with half-written rows', async () => {
    const desk = await createDesk();
    const { simulator, folder, account } = desk;
    const input = customers(desk, 40);
    const [whole, pieces] = [join(folder, 'whole.csv'), join(folder, 'pieces.csv')];
    await run(['bulk', '--in', input, '--out', whole, ...account]);
    // SIGTERM can be handled: it says how to resume.
    simulator.fault({ kind: 'hang' }, { visitor: ecidOf(30) });
    const child = start(['bulk', '--in', input, '--out', pieces, '--concurrency', '1', ...account]);
    const ended = end(child);
    await simulator.received(39 + 30);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 1, stderr: expect.stringContaining('use --resume to continue') });
    const [rowsFile, journalFile] = [join(`${pieces}.bulk`, 'rows'), join(`${pieces}.bulk`, 'journal')];
    const [rows, journal] = [readFileSync(rowsFile), readFileSync(journalFile)];
    expect(existsSync(pieces)).toBe(false);
    writeFileSync(rowsFile, Buffer.concat([rows, Buffer.from('1000000000"half a row'.repeat(500))]));
    writeFileSync(journalFile, Buffer.concat([journal, Buffer.from('[31,"abc",{"sta')]));
    simulator.clear();
    customers(desk, 40);
    await run(['bulk', '--in', input, '--out', pieces, '--resume', ...account]);
    expect(readFileSync(pieces, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    expect(simulator.requests.map(({ visitor }) => visitor)).toContain(ecidOf(39));
    expect(simulator.requests.length).toBeLessThanOrEqual(11);
  });

  it('overwrites a file only with --force', async () => {
    const desk = await createDesk();
    const { folder, account, simulator } = desk;
    const input = customers(desk, 10);
    const out = join(folder, 'out.csv');
    writeFileSync(out, 'precious');
    const bulk = ['bulk', '--in', input, '--out', out, ...account];
    expect(await run(bulk)).toMatchObject({ code: 2, stderr: expect.stringContaining('exists: use --force') });
    expect(readFileSync(out, 'utf8')).toBe('precious');
    await run([...bulk, '--force']);
    expect(readFileSync(out, 'utf8')).toMatch(/^ecid,name,aam_status/);
    const calls = simulator.requests.length;
    expect(calls).toBe(9);
  });

  it('does not resume with another input', async () => {
    const desk = await createDesk();
    const { folder, account, simulator } = desk;
    const input = join(folder, 'in.csv');
    const out = join(folder, 'out.csv');
    const rowsOf = (name: string) => [0, 1, 2, 3].map((n) => `${ecidOf(n)},${name}\n`).join('');
    writeFileSync(input, `ecid,name\n${rowsOf('x')}`);
    simulator.fault({ kind: 'hang' }, { visitor: ecidOf(2) });
    const bulk = ['bulk', '--in', input, '--out', out, '--resume', '--concurrency', '2', ...account];
    const child = start(bulk);
    const ended = end(child);
    await simulator.received(4);
    child.kill('SIGTERM');
    await ended;
    expect(statSync(join(`${out}.bulk`, 'journal')).size).toBeGreaterThan(0);
    // Two rows are known: the shorter input must not pass for a complete one.
    writeFileSync(input, 'ecid,name\n');
    const shorter = await run(bulk);
    expect(shorter.code).toBe(2);
    writeFileSync(input, `ecid,name\n${rowsOf('y')}`);
    expect(await run(bulk)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has changed since the interrupted run began'),
    });
  });

  it.each([
    ['no column with an id', 'name,age\nx,1\n', 'the first line must name one of the columns ecid, uuid, customer_id'],
    ['a row with too many fields', `ecid,name\n${ECID},x\n${ECID},x,y\n`, 'line 3: 3 cells, but the header has 2'],
    ['a quote that is not closed', `ecid,name\n${ECID},"x\n`, 'line 2: a quote is not closed'],
  ])('says where a file is malformed: %s', async (_name, input, message) => {
    const { account, simulator } = await createDesk();
    const { code, stderr } = await run(['bulk', ...account], input);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(simulator.requests.length).toBeLessThanOrEqual(1);
  });

  it('ends on SIGTERM though standard input stays open', async () => {
    const { simulator, account } = await createDesk();
    simulator.fault({ kind: 'hang' });
    const child = start(['bulk', ...account]);
    // The parser holds back the last line, which may be incomplete.
    child.stdin?.write(`ecid\n${ECID}\n${ECID}\n`);
    await simulator.received(1);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect((await exited)[0]).toBe(1);
  });

  it('writes the header of a file without rows', async () => {
    const { account } = await createDesk();
    const { code, stdout } = await run(['bulk', ...account], 'uuid\n');
    expect([code, stdout]).toEqual([0, 'uuid,aam_status,aam_reason,aam_segment_ids,aam_segment_names,aam_error\n']);
  });
});

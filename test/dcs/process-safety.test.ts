import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

describe('a process whose DCS servers misbehave', () => {
  it('exits by itself, without an uncaught error, unhandled rejection or warning', async () => {
    const script = path.join(__dirname, 'fixtures', 'hostile-servers.ts');
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', '--unhandled-rejections=strict', script]);
    const { stdout, stderr } = await run;
    expect(JSON.parse(stdout)).toEqual({ warnings: [] });
    expect(stderr).toBe('');
    expect(run.child.exitCode).toBe(0);
  }, 30_000);
});

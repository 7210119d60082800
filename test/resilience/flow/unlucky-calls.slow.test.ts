import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

describe('a process in which calls are unlucky', () => {
  it('sees no warning and no unhandled rejection', async () => {
    const flags = ['--unhandled-rejections=strict', '--import', 'tsx'];
    const script = join(__dirname, 'unlucky-calls.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, script]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      counts: { turnedAway: 25, shared: 1, many: 1, ended: 1 },
      ends: {
        retried: 'ok',
        shared: 'ok',
        many: 'ok',
        ended: 'aborted',
        unread: 'gave up',
        returned: 'return failed',
        afterClose: 'ERR_AAM_CLOSED',
      },
    });
  }, 30_000);
});

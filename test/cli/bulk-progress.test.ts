import { PassThrough } from 'node:stream';
import { progressOn } from '../../src/cli/bulk/progress';
import { optionalPackage } from '../../src/cli/optional-package';

jest.mock('../../src/cli/optional-package');
jest.useFakeTimers();

const actual = jest.requireActual<typeof import('../../src/cli/optional-package')>('../../src/cli/optional-package');

/** The output of a run of ten rows, three of which are done after ten seconds. */
function seenOn({ isTTY, hasPackage }: { isTTY: boolean; hasPackage: boolean }): string {
  jest.mocked(optionalPackage).mockImplementation(hasPackage ? actual.optionalPackage : () => undefined);
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, cursorTo() {}, clearLine() {} });
  const progress = progressOn(stream as unknown as NodeJS.WriteStream, 10, 0);
  progress.show(3, 1);
  jest.advanceTimersByTime(10_000);
  progress.stop();
  return String(stream.read());
}

describe('the progress of bulk', () => {
  it('is a bar on a terminal, where cli-progress is installed', () => {
    expect(seenOn({ isTTY: true, hasPackage: true })).toMatch(/█░.* 30 % \| 3 of 10 rows/);
  });

  it.each([
    ['on a terminal without that package', { isTTY: true, hasPackage: false }],
    ['elsewhere', { isTTY: false, hasPackage: true }],
  ])('is a line every ten seconds %s', (_where, given) => {
    expect(seenOn(given)).toMatch(/^3 of 10 rows, \d+\/s.*, 1 failed\n$/);
  });
});

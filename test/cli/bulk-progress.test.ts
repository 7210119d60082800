import { PassThrough } from 'node:stream';
import { progressLine, progressOn } from '../../src/cli/bulk/progress';

/** What a run shows that began at row 1000, and has three rows more after ten seconds, two of which it has looked up. */
function seenOn({ isTTY, columns }: { isTTY: boolean; columns?: number }): string {
  jest.useFakeTimers();
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns });
  const progress = progressOn(stream as unknown as NodeJS.WriteStream, 1_010, 1_000);
  progress.show(1_003, 1, 2);
  jest.advanceTimersByTime(10_000);
  progress.stop();
  jest.useRealTimers();
  return String(stream.read());
}

describe('the progress of bulk', () => {
  it('is one line on a terminal, cleared at the end, which fits', () => {
    for (const columns of [40, 80]) {
      const lines = seenOn({ isTTY: true, columns }).split('\r').filter(Boolean);
      expect(lines.pop()).toBe('\x1b[K');
      expect(lines.length).toBeGreaterThan(10);
      for (const line of lines) expect(line.replace('\x1b[K', '').length).toBeLessThan(columns);
      expect(lines.at(-1)).toMatch(/^35 s left, 1 failed, 99 %/);
    }
  });

  it('is a line every ten seconds elsewhere, with the rate of this run', () => {
    expect(seenOn({ isTTY: false })).toBe('35 s left, 1 failed, 99 %, 1003 of 1010 rows, 0/s\n');
  });

  it('leaves out what does not fit, the least important first', () => {
    const state = { rows: 1_234_567, failed: 89, total: 10_000_000, perSecond: 480 };
    expect(progressLine(state, 79)).toBe('5 h 5 min left, 89 failed, 12 %, 1234567 of 10000000 rows, 480/s');
    expect(progressLine(state, 100)).toMatch(/480\/s, █+░+$/);
    expect(progressLine(state, 39)).toBe('5 h 5 min left, 89 failed, 12 %');
    expect(progressLine({ ...state, total: undefined }, 39)).toBe('89 failed, 1234567 rows, 480/s');
  });
});

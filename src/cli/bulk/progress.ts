/**
 * Owns: the progress of a long run on standard error: one line that is kept up to date on a terminal, elsewhere a line every
 * ten seconds. What matters most comes first, and what does not fit is left out.
 */
import { createReadStream } from 'node:fs';
import { print } from '../printer';

const LINE_INTERVAL_MS = 10_000;
const TERMINAL_INTERVAL_MS = 200;
const BAR_WIDTH = 20;

export interface Progress {
  /**
   * @param rows written, those of an interrupted run too
   * @param failed of this run
   * @param lookedUp by this run: what an interrupted one has left does not make it faster
   */
  show(rows: number, failed: number, lookedUp: number): void;
  stop(): void;
}

/**
 * @param total rows; `undefined` where it is unknown, as with standard input
 * @param before rows written by the run that is resumed
 */
export function progressOn(stream: NodeJS.WriteStream, total: number | undefined, before: number): Progress {
  const startedAtMs = performance.now();
  let [latest, done] = [{ rows: before, failed: 0 }, 0];
  const line = (columns: number | undefined) => {
    const seconds = Math.max(0.001, (performance.now() - startedAtMs) / 1_000);
    return progressLine({ ...latest, total, perSecond: done / seconds }, columns);
  };
  const { isTTY } = stream;
  const timer = setInterval(
    () => {
      // The last column stays free: writing into it makes some terminals begin a new line.
      if (isTTY) stream.write(`\r${line((stream.columns ?? 80) - 1)}\x1b[K`);
      else print(stream, line(undefined));
    },
    isTTY ? TERMINAL_INTERVAL_MS : LINE_INTERVAL_MS,
  );
  timer.unref();
  return {
    show(rows, failed, lookedUp) {
      latest = { rows, failed };
      done = lookedUp;
    },
    stop() {
      clearInterval(timer);
      if (isTTY) stream.write('\r\x1b[K');
    },
  };
}

interface State {
  readonly rows: number;
  readonly failed: number;
  readonly total: number | undefined;
  readonly perSecond: number;
}

/** @param columns that it must fit in; `undefined` for no limit */
export function progressLine({ rows, failed, total, perSecond }: State, columns: number | undefined): string {
  const share = total === undefined || total === 0 ? undefined : Math.min(1, rows / total);
  const left = total === undefined || perSecond === 0 ? undefined : Math.max(0, total - rows) / perSecond;
  const parts = [
    left !== undefined && `${duration(left)} left`,
    `${failed} failed`,
    share !== undefined && `${Math.floor(share * 100)} %`,
    `${rows}${total === undefined ? '' : ` of ${total}`} rows`,
    `${Math.round(perSecond)}/s`,
    share !== undefined && columns !== undefined && bar(share),
  ].filter((part) => part !== false);
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : `${line}, ${part}`;
    if (columns !== undefined && longer.length > columns) break;
    line = longer;
  }
  return line;
}

function bar(share: number): string {
  const full = Math.round(share * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Lines in a file without its header. An estimate of its rows: line breaks within quoted fields count too. */
export async function linesIn(path: string, headerLines: number): Promise<number> {
  let count = 0;
  let last = 10;
  for await (const chunk of createReadStream(path, { highWaterMark: 1_000_000 }) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) count++;
    last = chunk[chunk.length - 1] ?? last;
  }
  return Math.max(0, count + (last === 10 ? 0 : 1) - headerLines);
}

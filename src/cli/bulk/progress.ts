/**
 * Owns: the progress of a long run on standard error: a bar on a terminal where cli-progress is installed, elsewhere a line
 * every ten seconds.
 */
import { createReadStream } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { print } from '../command';
import { optionalPackage } from '../optional-package';

const LINE_INTERVAL_MS = 10_000;

export interface Progress {
  show(rows: number, failed: number): void;
  stop(): void;
}

/**
 * @param total rows; `undefined` where it is unknown, as with standard input
 * @param before rows written by the run that is resumed
 */
export function progressOn(stream: NodeJS.WriteStream, total: number | undefined, before: number): Progress {
  const barPackage = stream.isTTY ? optionalPackage('cli-progress') : undefined;
  if (barPackage === undefined || total === undefined) return lines(stream, total, before);
  return bar(barPackage, stream, total, before);
}

function bar(
  { SingleBar }: typeof import('cli-progress'),
  stream: NodeJS.WriteStream,
  total: number,
  before: number,
): Progress {
  const startedAtMs = performance.now();
  const single = new SingleBar({
    stream,
    format: '{bar} {percentage} % | {value} of {total} rows | {rate}/s | {eta_formatted} left | {failed} failed',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    etaBuffer: 1_000,
  });
  single.start(total, before, { rate: 0, failed: 0 });
  return {
    show: (rows, failed) => single.update(Math.min(rows, total), { rate: rate(rows - before, startedAtMs), failed }),
    stop: () => single.stop(),
  };
}

function lines(stream: NodeJS.WriteStream, total: number | undefined, before: number): Progress {
  const startedAtMs = performance.now();
  let latest = { rows: before, failed: 0 };
  const timer = setInterval(() => {
    const { rows, failed } = latest;
    const perSecond = rate(rows - before, startedAtMs);
    const left = total === undefined || perSecond === 0 ? '' : `, ${Math.ceil((total - rows) / perSecond)} s left`;
    print(stream, `${rows}${total === undefined ? '' : ` of ${total}`} rows, ${perSecond}/s${left}, ${failed} failed`);
  }, LINE_INTERVAL_MS);
  timer.unref();
  return {
    show(rows, failed) {
      latest = { rows, failed };
    },
    stop: () => clearInterval(timer),
  };
}

function rate(rows: number, sinceMs: number): number {
  return Math.round((rows * 1_000) / Math.max(1, performance.now() - sinceMs));
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

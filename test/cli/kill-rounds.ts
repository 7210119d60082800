import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DcsSimulator } from 'express-aam-segments/testing';

export interface KillRounds {
  readonly simulator: DcsSimulator;
  /** An empty folder. */
  readonly folder: string;
  /** Starts `aam-segments bulk` with these arguments, against the simulator. */
  bulk(args: readonly string[]): ChildProcess;
  readonly rounds: number;
  readonly rows: number;
  /** For the choice of moments. */
  random(): number;
}

const ecidOf = (n: number) => `3${String(n).padStart(37, '0')}`;

/** What must not change while a run has not ended: the output of before. */
const BEFORE = 'of yesterday';

/**
 * Kills runs at random moments, by SIGKILL and SIGINT in turn, until one of them is complete; and that `rounds` times in all.
 * Checks after each kill that the old output is whole, and at the end that each row is there once, in order.
 * @returns how many of the kills hit a run that was still running
 */
export async function checkKills({ simulator, folder, bulk, rounds, rows, random }: KillRounds): Promise<number> {
  const [input, output] = [join(folder, 'in.csv'), join(folder, 'out.csv')];
  const lines = Array.from({ length: rows }, (_, n) => {
    if (n % 3 === 0) simulator.visitor(ecidOf(n)).in(n + 1);
    return `${ecidOf(n)};"row ""${n}"""\r\n`;
  });
  writeFileSync(input, `ecid;name\r\n${lines.join('')}`);
  const expected = lines.map((line, n) => `${line.trimEnd()};fresh;;${n % 3 === 0 ? n + 1 : ''};;\r\n`).join('');
  const header = 'ecid;name;aam_status;aam_reason;aam_segment_ids;aam_segment_names;aam_error\r\n';
  let hits = 0;
  let isNew = true;
  for (let round = 0; ; round++) {
    if (isNew) writeFileSync(output, BEFORE);
    isNew = false;
    const isLast = round === rounds;
    const child = bulk(['--in', input, '--out', output, '--resume', '--force', '--concurrency', '8']);
    const exited = once(child, 'exit');
    if (!isLast) {
      // Half of the kills fall into the start of the process, where it opens and locks its files.
      const moment = simulator.requests.length + Math.floor(random() ** 2 * rows * 0.6);
      await Promise.race([simulator.received(moment, { timeoutMs: 30_000 }), exited]);
      if (random() < 0.5)
        await Promise.race([once(child.stderr as NodeJS.ReadableStream, 'data'), exited, turn(random())]);
      child.kill(round % 2 === 0 ? 'SIGKILL' : 'SIGINT');
    }
    const [code, signal] = (await exited) as [number | null, string | null];
    const text = readFileSync(output, 'utf8');
    const isComplete = text === header + expected;
    if (!isComplete && text !== BEFORE)
      throw new Error(`round ${round}: the output is neither the old nor the new one`);
    if (isLast) {
      if (code !== 0 || !isComplete) throw new Error(`the last run ended with ${code ?? signal}`);
      if (existsSync(join(folder, 'out.csv.bulk', 'rows'))) throw new Error('rows are left behind');
      return hits;
    }
    if (code === 0 && !isComplete) throw new Error(`round ${round}: success without an output`);
    if (code !== 0) hits++;
    if (isComplete) isNew = true;
  }
}

/** Up to a few thousand turns of the event loop: a moment that no request marks. */
async function turn(share: number): Promise<void> {
  for (let n = Math.floor(share * 3_000); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
}

/** The command line in a process. @param file its `main.js` */
export function bulkProcess(file: string, account: readonly string[]): KillRounds['bulk'] {
  return (args) =>
    spawn(process.execPath, [file, 'bulk', ...args, ...account], { stdio: ['ignore', 'ignore', 'pipe'] });
}

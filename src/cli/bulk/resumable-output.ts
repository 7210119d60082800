/**
 * Owns: the output file of a run that can be killed at any moment and resumed. Outcomes arrive in another order than
 * rows are written, so each goes into the journal first. To resume, the output is cut back to the journal's checkpoint and
 * written again from there without new calls. (This survives the process, not a power failure.) Next: journal.ts.
 */
import { closeSync, existsSync, ftruncateSync, openSync } from 'node:fs';
import { UsageError } from '../command';
import { type Checkpoint, type Entry, Journal, writeAt } from './journal';
import type { BulkOutput } from './output';
import { digestOf, type Outcome, type Row, type RowFormat } from './rows';

const ROWS_PER_WRITE = 100;

export interface ResumableOutputOptions {
  readonly path: string;
  readonly resume: boolean;
  readonly force: boolean;
  /** What must be unchanged for a run to be resumed. */
  readonly settings: string;
}

export class ResumableOutput implements BulkOutput {
  readonly #format: RowFormat;
  readonly #settings: string;
  readonly #file: number;
  readonly #journal: Journal;
  #rows: number;
  #bytes: number;
  #lastDigest: string | undefined;
  readonly rowsKnown: number;
  /** Outcomes from the interrupted run, until their rows are read again. */
  readonly #known = new Map<number, Entry>();
  /** Entries of the journal that are not in the output yet. */
  readonly #pending = new Map<number, string>();
  #unwritten: (readonly [Row, Outcome])[] = [];
  /** Lines that are not in the journal yet. */
  #unjournaled = '';

  /**
   * @returns `'complete'` where an earlier run left nothing to resume
   * @throws {UsageError} where a file would be overwritten, or the run to resume had other settings
   */
  static open(
    { path, resume, force, settings }: ResumableOutputOptions,
    format: RowFormat,
  ): ResumableOutput | 'complete' {
    const journalPath = `${path}.journal`;
    const hasJournal = existsSync(journalPath);
    if (!force) {
      if (hasJournal && !resume) {
        throw new UsageError(
          `${path} belongs to an interrupted run. Use --resume to continue it, or --force to start over.`,
        );
      }
      if (!hasJournal && existsSync(path)) {
        if (resume) return 'complete';
        throw new UsageError(`${path} exists. Use --force to overwrite it.`);
      }
    }
    const isResumed = hasJournal && resume && !force;
    const [checkpoint, entries] = isResumed
      ? Journal.read(journalPath)
      : [{ settings, rows: 0, bytes: 0, digest: undefined }, []];
    if (checkpoint.settings !== settings) {
      throw new UsageError(
        `${path} was started with other settings. Use the same ones to resume it, or --force to start over.`,
      );
    }
    return new ResumableOutput(path, format, checkpoint, entries);
  }

  private constructor(path: string, format: RowFormat, checkpoint: Checkpoint, entries: readonly Entry[]) {
    this.#format = format;
    this.#settings = checkpoint.settings;
    this.#rows = checkpoint.rows;
    this.#bytes = checkpoint.bytes;
    this.#lastDigest = checkpoint.digest;
    for (const entry of entries) {
      if (entry[0] < this.#rows) continue;
      this.#known.set(entry[0], entry);
      this.#pending.set(entry[0], JSON.stringify(entry));
    }
    this.rowsKnown = [...this.#known.keys()].reduce((rows, index) => Math.max(rows, index + 1), this.#rows);
    // The journal before the output: an output without a journal counts as complete.
    this.#journal = new Journal(`${path}.journal`, this.#checkpoint(), this.#pending.values());
    this.#file = openSync(path, existsSync(path) ? 'r+' : 'w');
    ftruncateSync(this.#file, this.#bytes);
  }

  get rowsWritten(): number {
    return this.#rows + this.#unwritten.length;
  }

  known(row: Row): Outcome | undefined {
    if (row.index === this.#rows - 1 && this.#lastDigest !== digestOf(row)) throw inputChanged(row);
    const entry = this.#known.get(row.index);
    if (entry === undefined) return undefined;
    if (entry[1] !== digestOf(row)) throw inputChanged(row);
    this.#known.delete(row.index);
    return entry[2];
  }

  record(row: Row, outcome: Outcome): void {
    const entry = JSON.stringify([row.index, digestOf(row), outcome] satisfies Entry);
    this.#pending.set(row.index, entry);
    this.#unjournaled += `${entry}\n`;
  }

  /** At once for all results that came together: writing costs as much as a call. */
  flush(): void {
    if (this.#unjournaled !== '') this.#journal.append(this.#unjournaled);
    this.#unjournaled = '';
  }

  write(row: Row, outcome: Outcome): void {
    this.#unwritten.push([row, outcome]);
    if (this.#unwritten.length >= ROWS_PER_WRITE) this.#writeRows(false);
  }

  readonly isFull = false;

  async drained(): Promise<void> {
    // Writes are synchronous.
  }

  async close(isComplete: boolean): Promise<void> {
    this.#writeRows(isComplete);
    this.flush();
    closeSync(this.#file);
    this.#journal.close(isComplete);
  }

  /** Rows may be written late: until then they are in the journal. */
  #writeRows(isLast: boolean): void {
    const rows = this.#unwritten;
    const isFirst = this.#bytes === 0;
    if (rows.length > 0 || (isLast && isFirst)) {
      this.#bytes += writeAt(this.#file, this.#format.stringify(rows, isFirst), this.#bytes);
      for (const [{ index }] of rows) this.#pending.delete(index);
      const last = rows.at(-1);
      if (last !== undefined) this.#lastDigest = digestOf(last[0]);
      this.#rows += rows.length;
      this.#unwritten = [];
    }
    if (!this.#journal.isLong) return;
    this.#journal.replace(this.#checkpoint(), this.#pending.values());
    this.#unjournaled = '';
  }

  #checkpoint(): Checkpoint {
    return { settings: this.#settings, rows: this.#rows, bytes: this.#bytes, digest: this.#lastDigest };
  }
}

function inputChanged({ index }: Row): UsageError {
  return new UsageError(`row ${index + 1} of the input has changed since this run began. Use --force to start over.`);
}

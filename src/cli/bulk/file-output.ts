/**
 * Owns: that a `bulk` which is killed at any moment can go on. Results come in another order than rows are written. So
 * each is written to a journal first; the output file can be cut back to a point that the journal names, and written anew
 * from there without asking again. (What a process has written outlives it. The power failing is another matter.)
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { UsageError } from '../command';
import type { BulkOutput } from './output';
import { digestOf, type Outcome, type Row, type RowReader } from './rows';

/** The first line of a journal: up to where the output file is as it should be. */
interface Checkpoint {
  readonly settings: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of the last of these rows. */
  readonly digest: string | undefined;
}
type Entry = readonly [index: number, digest: string, outcome: Outcome];

const LONGEST_JOURNAL = 4_000_000;
const ROWS_AT_ONCE = 100;

export interface FileOutputOptions {
  readonly path: string;
  readonly resume: boolean;
  readonly force: boolean;
  /** What must be the same for a run to go on. */
  readonly settings: string;
}

export class FileOutput implements BulkOutput {
  readonly #reader: RowReader;
  readonly #settings: string;
  readonly #journalPath: string;
  readonly #file: number;
  #journal: number;
  #journalLength = 0;
  #bytes: number;
  #rows: number;
  #lastDigest: string | undefined;
  readonly rowsKnown: number;
  readonly #known = new Map<number, Entry>();
  /** Results that are in the journal and not in the output. */
  readonly #ahead = new Map<number, string>();
  #newRows: (readonly [Row, Outcome])[] = [];

  /** @throws {UsageError} where there is something that must not be overwritten, or nothing to go on with */
  static open({ path, resume, force, settings }: FileOutputOptions, reader: RowReader): FileOutput | 'complete' {
    const journalPath = `${path}.journal`;
    const hasJournal = existsSync(journalPath);
    if (!force) {
      if (hasJournal && !resume) {
        throw new UsageError(
          `${path} is the beginning of a run that has not ended: --resume goes on, --force begins anew`,
        );
      }
      if (!hasJournal && existsSync(path)) {
        if (resume) return 'complete';
        throw new UsageError(`${path} exists: --force overwrites it`);
      }
    }
    const isResumed = hasJournal && resume && !force;
    const [checkpoint, entries] = isResumed
      ? readJournal(journalPath)
      : [{ settings, rows: 0, bytes: 0, digest: undefined }, []];
    if (checkpoint.settings !== settings) {
      throw new UsageError(`${path} was begun with other settings: --resume wants the same, --force begins anew`);
    }
    return new FileOutput(path, reader, checkpoint, entries);
  }

  private constructor(path: string, reader: RowReader, checkpoint: Checkpoint, entries: readonly Entry[]) {
    this.#reader = reader;
    this.#settings = checkpoint.settings;
    this.#journalPath = `${path}.journal`;
    this.#rows = checkpoint.rows;
    this.#bytes = checkpoint.bytes;
    this.#lastDigest = checkpoint.digest;
    for (const entry of entries) {
      if (entry[0] < this.#rows) continue;
      this.#known.set(entry[0], entry);
      this.#ahead.set(entry[0], JSON.stringify(entry));
    }
    this.rowsKnown = [...this.#known.keys()].reduce((rows, index) => Math.max(rows, index + 1), this.#rows);
    // The journal first: an output without one is a complete one.
    this.#journal = this.#newJournal();
    this.#file = openSync(path, existsSync(path) ? 'r+' : 'w');
    ftruncateSync(this.#file, this.#bytes);
  }

  get rowsWritten(): number {
    return this.#rows + this.#newRows.length;
  }

  known(row: Row): Outcome | undefined {
    if (row.index === this.#rows - 1 && this.#lastDigest !== digestOf(row)) throw otherInput(row);
    const entry = this.#known.get(row.index);
    if (entry === undefined) return undefined;
    if (entry[1] !== digestOf(row)) throw otherInput(row);
    this.#known.delete(row.index);
    return entry[2];
  }

  done(row: Row, outcome: Outcome): void {
    const line = JSON.stringify([row.index, digestOf(row), outcome] satisfies Entry);
    this.#ahead.set(row.index, line);
    this.#journalLength += append(this.#journal, `${line}\n`, this.#journalLength);
  }

  write(row: Row, outcome: Outcome): void {
    this.#newRows.push([row, outcome]);
    if (this.#newRows.length >= ROWS_AT_ONCE) this.#flush(false);
  }

  readonly isFull = false;

  async drained(): Promise<void> {
    // What is not written yet is in the journal, a hundred rows at most.
  }

  async close(isComplete: boolean): Promise<void> {
    this.#flush(isComplete);
    closeSync(this.#file);
    closeSync(this.#journal);
    if (isComplete) rmSync(this.#journalPath);
  }

  /** Rows can be written later: they are in the journal. */
  #flush(isLast: boolean): void {
    const rows = this.#newRows;
    const isFirst = this.#bytes === 0;
    if (rows.length > 0 || (isLast && isFirst)) {
      this.#bytes += append(this.#file, this.#reader.write(rows, isFirst), this.#bytes);
      for (const [{ index }] of rows) this.#ahead.delete(index);
      const last = rows.at(-1);
      if (last !== undefined) this.#lastDigest = digestOf(last[0]);
      this.#rows += rows.length;
      this.#newRows = [];
    }
    if (this.#journalLength > LONGEST_JOURNAL) {
      closeSync(this.#journal);
      this.#journal = this.#newJournal();
    }
  }

  /** A journal that says where the output stands, with what has come before its turn, in the place of the present one. */
  #newJournal(): number {
    const checkpoint: Checkpoint = {
      settings: this.#settings,
      rows: this.#rows,
      bytes: this.#bytes,
      digest: this.#lastDigest,
    };
    const text = `${[JSON.stringify(checkpoint), ...this.#ahead.values()].join('\n')}\n`;
    const next = `${this.#journalPath}.next`;
    writeFileSync(next, text);
    renameSync(next, this.#journalPath);
    this.#journalLength = Buffer.byteLength(text);
    return openSync(this.#journalPath, 'r+');
  }
}

function readJournal(path: string): [Checkpoint, Entry[]] {
  const text = readFileSync(path, 'utf8');
  // A last line without an end was being written when the process was killed.
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  try {
    const [checkpoint, ...entries] = lines.map((line) => JSON.parse(line));
    return [checkpoint, entries];
  } catch {
    throw new UsageError(`${path} is not a journal of bulk: --force begins anew`);
  }
}

function otherInput({ index }: Row): UsageError {
  return new UsageError(`row ${index + 1} of the input is not the one that this run began with: --force begins anew`);
}

function append(file: number, text: string, at: number): number {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written, bytes.length - written, at + written);
  return bytes.length;
}

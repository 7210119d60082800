/**
 * Owns: the output file of a run that can be killed at any moment and resumed. Outcomes arrive in another order than rows are
 * written, so each goes into the journal first. To resume, the rows are cut back to the journal's checkpoint and written again
 * from there without new calls. The file gets its name when it is complete. (This survives the process; after a power failure
 * the digests tell whether it can be resumed.) Next: run-folder.ts, journal.ts.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { Failure, UsageError } from '../command';
import { createPrivate, openPrivate, publish, writeAt } from '../files';
import { type Checkpoint, type Entry, Journal } from './journal';
import type { BulkOutput } from './output';
import { digestOf, type Outcome, type Row, type RowFormat } from './rows';
import { RunFolder } from './run-folder';

const ROWS_PER_WRITE = 100;

export interface ResumableOutputOptions {
  readonly path: string;
  readonly resume: boolean;
  readonly force: boolean;
  /** What must be unchanged for a run to be resumed. */
  readonly settings: string;
  /** SHA-256 of the input, for a run that is complete already. */
  inputDigest(): Promise<string>;
  /** Told why a run that was to be resumed starts over. */
  notice(why: string): void;
}

/** An earlier run has left nothing to do. */
export interface Completed {
  readonly rows: number;
  readonly failed: number;
  readonly at: string;
}

/** The input is another one than that of the run to be resumed. */
export class InputChanged extends UsageError {}

export class ResumableOutput implements BulkOutput {
  readonly #path: string;
  readonly #folder: RunFolder;
  readonly #format: RowFormat;
  readonly #start: Checkpoint;
  readonly #file: number;
  readonly #journal: Journal;
  #rows: number;
  #failed: number;
  #bytes: number;
  #written: Hash;
  /** Of the rows that are written. */
  #read = createHash('sha256');
  /** The rows of the interrupted run that were read again. */
  #readAgain = 0;
  readonly rowsKnown: number;
  readonly failedBefore: number;
  /** Outcomes from the interrupted run, until their rows are read again. */
  readonly #known = new Map<number, Entry>();
  /** Entries of the journal that are not in the output yet. */
  readonly #pending = new Map<number, string>();
  #unwritten: (readonly [Row, Outcome])[] = [];
  /** Lines that are not in the journal yet. */
  #unjournaled = '';
  #isOpen = true;

  /**
   * @throws {UsageError} where a file would be overwritten, or the run to resume had other settings or another input
   * @throws {Failure} where another run writes to the file, or files of the run are missing or changed
   */
  static async open(options: ResumableOutputOptions, format: RowFormat): Promise<ResumableOutput | Completed> {
    const folder = new RunFolder(options.path);
    try {
      const found = await resolve(options, folder);
      if ('at' in found) {
        folder.release();
        return found;
      }
      return new ResumableOutput(options.path, folder, format, found.checkpoint, found.entries);
    } catch (error) {
      folder.release();
      throw error;
    }
  }

  private constructor(
    path: string,
    folder: RunFolder,
    format: RowFormat,
    checkpoint: Checkpoint,
    entries: readonly Entry[],
  ) {
    this.#path = path;
    this.#folder = folder;
    this.#format = format;
    this.#start = checkpoint;
    this.#rows = checkpoint.rows;
    this.#failed = checkpoint.failed;
    this.failedBefore = checkpoint.failed;
    this.#bytes = checkpoint.bytes;
    for (const entry of entries) {
      if (entry[0] < this.#rows) continue;
      this.#known.set(entry[0], entry);
      this.#pending.set(entry[0], JSON.stringify(entry));
    }
    this.rowsKnown = [...this.#known.keys()].reduce((rows, index) => Math.max(rows, index + 1), this.#rows);
    if (checkpoint.bytes === 0) {
      // The journal before the rows: rows without a journal are not ours.
      this.#journal = new Journal(folder.journal, checkpoint, this.#pending.values());
      rmSync(folder.rows, { force: true });
      this.#file = createPrivate(folder.rows);
      this.#written = createHash('sha256');
    } else {
      this.#file = openPrivate(folder.rows);
      this.#written = digestOfFile(this.#file, checkpoint.bytes);
      if (this.#written.copy().digest('base64url') !== checkpoint.written) {
        closeSync(this.#file);
        throw new Failure(`${folder.rows} is not as the interrupted run left it: use --force to start over`);
      }
      this.#journal = new Journal(folder.journal, checkpoint, this.#pending.values());
      ftruncateSync(this.#file, this.#bytes);
    }
  }

  get rowsWritten(): number {
    return this.#rows + this.#unwritten.length;
  }

  known(row: Row): Outcome | undefined {
    if (row.index < this.#start.rows) {
      hashRow(this.#read, row);
      this.#readAgain++;
      const isLast = this.#readAgain === this.#start.rows;
      if (isLast && this.#read.copy().digest('base64url') !== this.#start.read) throw changedUpTo(row);
      return undefined;
    }
    const entry = this.#known.get(row.index);
    if (entry === undefined) return undefined;
    if (entry[1] !== digestOf(row)) throw changedUpTo(row);
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
    if (this.#unwritten.length >= ROWS_PER_WRITE) this.#writeRows();
  }

  readonly isFull = false;

  async drained(): Promise<void> {
    // Writes are synchronous.
  }

  async complete(): Promise<void> {
    this.#writeRows();
    if (this.#bytes === 0) this.#writeBytes(this.#format.bytesOf([], true));
    fsyncSync(this.#file);
    // From now on the rows are complete, whether they have their name already or not.
    const complete = { input: this.#format.inputDigest, at: new Date().toISOString() };
    this.#journal.replace({ ...this.#checkpoint(), complete }, []);
    this.#unjournaled = '';
    publish(this.#folder.rows, this.#path, this.#start.replaces);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      this.flush();
    } catch {
      // It is what the run has ended with already.
    }
    closeSync(this.#file);
    this.#journal.close();
    const isEmpty = this.#rows === 0 && this.#pending.size === 0 && this.#bytes === 0;
    if (isEmpty) {
      rmSync(this.#folder.rows, { force: true });
      rmSync(this.#folder.journal, { force: true });
    }
    this.#folder.release();
  }

  /** Rows may be written late: until then they are in the journal. */
  #writeRows(): void {
    const rows = this.#unwritten;
    if (rows.length > 0) {
      this.#writeBytes(this.#format.bytesOf(rows, this.#bytes === 0));
      for (const [row, { error }] of rows) {
        this.#pending.delete(row.index);
        hashRow(this.#read, row);
        if (error !== '') this.#failed++;
      }
      this.#rows += rows.length;
      this.#unwritten = [];
    }
    if (!this.#journal.isLong) return;
    this.#journal.replace(this.#checkpoint(), this.#pending.values());
    this.#unjournaled = '';
  }

  #writeBytes(bytes: Buffer): void {
    writeAt(this.#file, bytes, this.#bytes);
    this.#bytes += bytes.length;
    this.#written.update(bytes);
  }

  #checkpoint(): Checkpoint {
    return {
      ...this.#start,
      rows: this.#rows,
      failed: this.#failed,
      bytes: this.#bytes,
      written: this.#written.copy().digest('base64url'),
      read: this.#read.copy().digest('base64url'),
    };
  }
}

type Found = { readonly checkpoint: Checkpoint; readonly entries: readonly Entry[] };

/** What to do about what is there: nothing, continue, or start; anything else is refused. */
async function resolve(
  { path, resume, force, settings, inputDigest, notice }: ResumableOutputOptions,
  folder: RunFolder,
): Promise<Found | Completed> {
  const earlier = Journal.read(folder.journal);
  if (earlier === undefined && existsSync(folder.rows)) {
    throw new Failure(`${folder.rows} belongs to no run of bulk: move it away`);
  }
  if (earlier?.checkpoint.complete !== undefined) finishPublishing(earlier.checkpoint, folder, path);
  const exists = existsSync(path);
  const fresh: Found = {
    checkpoint: { bulk: 1, settings, rows: 0, failed: 0, bytes: 0, written: '', read: '', replaces: exists },
    entries: [],
  };
  const isWorthKeeping = earlier !== undefined && earlier.checkpoint.rows + earlier.entries.length > 0;
  if (earlier !== undefined && earlier.checkpoint.complete === undefined && isWorthKeeping) {
    if (!resume && !force) {
      throw new UsageError(
        `${path} belongs to an interrupted run: use --resume to continue it, or --force to start over`,
      );
    }
    if (!resume) return fresh;
    if (earlier.checkpoint.settings === settings) {
      const { replaces } = earlier.checkpoint;
      if (exists && !replaces && !force) {
        throw new UsageError(`${path} has appeared since the run began: use --resume --force to overwrite it`);
      }
      return { checkpoint: { ...earlier.checkpoint, replaces: replaces || exists }, entries: earlier.entries };
    }
    if (!force) {
      throw new UsageError(
        `${path} was begun with other settings or columns: use the same ones to resume it, or --force to start over`,
      );
    }
    notice('the interrupted run had other settings or columns: starting over');
    return fresh;
  }
  if (!exists || force) return fresh;
  const { complete, bytes, written, rows, failed } = earlier?.checkpoint ?? fresh.checkpoint;
  if (!resume || complete === undefined) throw new UsageError(`${path} exists: use --force to overwrite it`);
  if (!isOfRun(path, bytes, written)) {
    throw new UsageError(`${path} has been changed since it was written: use --force to overwrite it`);
  }
  if (earlier?.checkpoint.settings !== settings || complete.input !== (await inputDigest())) {
    throw new UsageError(
      `${path} is complete, but for another input or with other settings: use --resume --force to look up all rows`,
    );
  }
  return { rows, failed, at: complete.at };
}

/** A run was killed when its rows were complete and had no name yet. */
function finishPublishing({ bytes, written, replaces }: Checkpoint, folder: RunFolder, path: string): void {
  if (!existsSync(folder.rows)) return;
  if (!isOfRun(folder.rows, bytes, written)) {
    throw new Failure(`${folder.rows} is not as the run left it: move it away`);
  }
  if (existsSync(path) && isOfRun(path, bytes, written)) rmSync(folder.rows);
  else publish(folder.rows, path, replaces);
}

function isOfRun(path: string, bytes: number, written: string): boolean {
  if (statSync(path).size !== bytes) return false;
  const file = openSync(path, 'r');
  try {
    return digestOfFile(file, bytes).digest('base64url') === written;
  } finally {
    closeSync(file);
  }
}

/** Of the first bytes of a file; of fewer, where it is shorter. */
function digestOfFile(file: number, bytes: number): Hash {
  const digest = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1_048_576);
  for (let at = 0; at < bytes; ) {
    const count = readSync(file, buffer, 0, Math.min(buffer.length, bytes - at), at);
    if (count === 0) break;
    digest.update(buffer.subarray(0, count));
    at += count;
  }
  return digest;
}

function hashRow(digest: Hash, { content }: Row): void {
  digest.update(content).update('\n');
}

function changedUpTo({ index }: Row): InputChanged {
  return new InputChanged(
    `row ${index + 1} of the input, or one before it, has changed since the interrupted run began: use --force to start over`,
  );
}

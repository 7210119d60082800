/**
 * Owns: the journal of a run: a checkpoint, which says how much of the rows is valid, followed by the outcomes that are not
 * in the rows yet. When the run is complete it is one line, which says what was made of which input.
 */
import { closeSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { Failure } from '../command';
import { createPrivate, openPrivate, writeAt } from '../files';
import type { Outcome } from './rows';

/** The first line of a journal. */
export interface Checkpoint {
  readonly bulk: 1;
  /** What must be unchanged for a run to be resumed. */
  readonly settings: string;
  /** Rows that are written. */
  readonly rows: number;
  /** Of these, how many failed. */
  readonly failed: number;
  /** Length of the file with these rows. */
  readonly bytes: number;
  /** SHA-256 of that part of the file. */
  readonly written: string;
  /** SHA-256 of these rows in the input. */
  readonly read: string;
  /** Whether a file that stands in the output's place is to be replaced. */
  readonly replaces: boolean;
  /** SHA-256 of the whole input, and when: only where the run is complete. */
  readonly complete?: { readonly input: string; readonly at: string };
}

/** Each further line. */
export type Entry = readonly [index: number, digest: string, outcome: Outcome];

/** Beyond it a new checkpoint is due: so little has to be read and written again by a run that is resumed. */
const MAX_BYTES = 65_536;

export class Journal {
  readonly #path: string;
  #file: number;
  #bytes: number;

  /** Replaces the journal at `path`, if there is one. */
  constructor(path: string, checkpoint: Checkpoint, entries: Iterable<string>) {
    this.#path = path;
    [this.#file, this.#bytes] = create(path, checkpoint, entries);
  }

  /**
   * `undefined` where there is none.
   * @throws {Failure} for a file that is not a journal
   */
  static read(path: string): { readonly checkpoint: Checkpoint; readonly entries: readonly Entry[] } | undefined {
    let text: string;
    try {
      const file = openPrivate(path);
      try {
        text = readFileSync(file, 'utf8');
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    // A last line without a line break was being written when the process was killed.
    const lines = text.split('\n').slice(0, -1);
    try {
      const [checkpoint, ...entries] = lines.map((line) => JSON.parse(line));
      if ((checkpoint as Checkpoint).bulk === 1) return { checkpoint, entries };
    } catch {
      // As below.
    }
    throw new Failure(`${path} is not a journal of bulk: move it away`);
  }

  /** Whether it has grown so long that a new checkpoint is due. */
  get isLong(): boolean {
    return this.#bytes > MAX_BYTES;
  }

  /** @param entries lines with their line breaks */
  append(entries: string): void {
    this.#bytes += writeAt(this.#file, Buffer.from(entries), this.#bytes);
  }

  /** Starts over from a new checkpoint, with the entries that are still needed. */
  replace(checkpoint: Checkpoint, entries: Iterable<string>): void {
    const [file, bytes] = create(this.#path, checkpoint, entries);
    closeSync(this.#file);
    [this.#file, this.#bytes] = [file, bytes];
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Writes a second file and renames it, so that there is a complete journal at any moment. */
function create(path: string, checkpoint: Checkpoint, entries: Iterable<string>): [file: number, bytes: number] {
  const text = `${[JSON.stringify(checkpoint), ...entries].join('\n')}\n`;
  const next = `${path}.next`;
  rmSync(next, { force: true });
  const file = createPrivate(next);
  const bytes = writeAt(file, Buffer.from(text), 0);
  renameSync(next, path);
  return [file, bytes];
}

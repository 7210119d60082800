/**
 * Owns: the journal beside an output file, `<out>.journal`: a checkpoint, which says how much of the output is valid,
 * followed by the outcomes that are not in the output yet. It exists until the output is complete.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { UsageError } from '../command';
import type { Outcome } from './rows';

/** The first line of a journal. */
export interface Checkpoint {
  readonly settings: string;
  /** Rows in the output. */
  readonly rows: number;
  /** Length of the output with these rows. */
  readonly bytes: number;
  /** Digest of the last of these rows. */
  readonly digest: string | undefined;
}

/** Each further line. */
export type Entry = readonly [index: number, digest: string, outcome: Outcome];

const MAX_BYTES = 4_000_000;

export class Journal {
  readonly #path: string;
  #file: number;
  #bytes: number;

  /** Replaces the journal at `path`, if there is one. */
  constructor(path: string, checkpoint: Checkpoint, entries: Iterable<string>) {
    this.#path = path;
    [this.#file, this.#bytes] = create(path, checkpoint, entries);
  }

  /** @throws {UsageError} for a file that is not a journal */
  static read(path: string): [Checkpoint, Entry[]] {
    const text = readFileSync(path, 'utf8');
    // A last line without a line break was being written when the process was killed.
    const lines = text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1);
    try {
      const [checkpoint, ...entries] = lines.map((line) => JSON.parse(line));
      return [checkpoint, entries];
    } catch {
      throw new UsageError(`${path} is not a journal of bulk. Use --force to start over.`);
    }
  }

  /** Whether it has grown so long that a new checkpoint is due. */
  get isLong(): boolean {
    return this.#bytes > MAX_BYTES;
  }

  /** @param entries lines with their line breaks */
  append(entries: string): void {
    this.#bytes += writeAt(this.#file, entries, this.#bytes);
  }

  /** Starts over from a new checkpoint, with the entries that are still needed. */
  replace(checkpoint: Checkpoint, entries: Iterable<string>): void {
    closeSync(this.#file);
    [this.#file, this.#bytes] = create(this.#path, checkpoint, entries);
  }

  close(isComplete: boolean): void {
    closeSync(this.#file);
    if (isComplete) rmSync(this.#path);
  }
}

/** Writes a second file and renames it, so that there is a complete journal at any moment. */
function create(path: string, checkpoint: Checkpoint, entries: Iterable<string>): [file: number, bytes: number] {
  const text = `${[JSON.stringify(checkpoint), ...entries].join('\n')}\n`;
  const next = `${path}.next`;
  writeFileSync(next, text);
  renameSync(next, path);
  return [openSync(path, 'r+'), Buffer.byteLength(text)];
}

/** Writes all of the text at a position. Returns its length in bytes. */
export function writeAt(file: number, text: string, position: number): number {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written, bytes.length - written, position + written);
  return bytes.length;
}

import type { Outcome, Row, RowReader } from './rows';

/** Where results go, in whatever order they come, and rows, in theirs. */
export interface BulkOutput {
  /** Rows that are written already. */
  readonly rowsWritten: number;
  /** Up to where something is known from before: so many rows the input must have. */
  readonly rowsKnown: number;
  /** What is known of a row from before. */
  known(row: Row): Outcome | undefined;
  done(row: Row, outcome: Outcome): void;
  write(row: Row, outcome: Outcome): void;
  /** Whether it takes no more for the moment. */
  readonly isFull: boolean;
  /** When it is ready for more. */
  drained(): Promise<void>;
  /** @param isComplete whether all rows have been written */
  close(isComplete: boolean): Promise<void>;
}

/** Standard output: in order, and nothing to go on with. */
export class StreamOutput implements BulkOutput {
  readonly #stream: NodeJS.WritableStream;
  readonly #reader: RowReader;
  readonly rowsKnown = 0;
  rowsWritten = 0;
  isFull = false;

  constructor(stream: NodeJS.WritableStream, reader: RowReader) {
    this.#stream = stream;
    this.#reader = reader;
  }

  known(): undefined {
    return undefined;
  }

  done(): void {
    // It is written when it is its turn.
  }

  write(row: Row, outcome: Outcome): void {
    this.isFull = !this.#stream.write(this.#reader.write([[row, outcome]], this.rowsWritten === 0));
    this.rowsWritten++;
  }

  async drained(): Promise<void> {
    if (this.isFull) await new Promise((resolve) => this.#stream.once('drain', resolve));
    this.isFull = false;
  }

  async close(isComplete: boolean): Promise<void> {
    if (isComplete && this.rowsWritten === 0) this.#stream.write(this.#reader.write([], true));
  }
}

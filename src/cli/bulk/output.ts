/** Owns: what an output of `bulk` does, and standard output. Next: resumable-output.ts, which can be resumed. */
import type { Outcome, Row, RowFormat } from './rows';

/** Takes outcomes in the order in which they arrive, and rows in the order of the input. */
export interface BulkOutput {
  /** Rows written so far, by an interrupted run too. */
  readonly rowsWritten: number;
  /** Rows that the input of a resumed run must have at least. */
  readonly rowsKnown: number;
  /** The outcome of a row in an interrupted run. */
  known(row: Row): Outcome | undefined;
  /** Keeps an outcome until it is the row's turn to be written. */
  record(row: Row, outcome: Outcome): void;
  /** Has what was recorded outlive the process, if the output can be resumed. */
  flush(): void;
  write(row: Row, outcome: Outcome): void;
  /** Whether to wait for {@link drained} before writing more. */
  readonly isFull: boolean;
  drained(): Promise<void>;
  /** @param isComplete whether all rows have been written */
  close(isComplete: boolean): Promise<void>;
}

/** Standard output, which cannot be resumed. */
export class StreamOutput implements BulkOutput {
  readonly #stream: NodeJS.WritableStream;
  readonly #format: RowFormat;
  readonly rowsKnown = 0;
  rowsWritten = 0;
  isFull = false;

  constructor(stream: NodeJS.WritableStream, format: RowFormat) {
    this.#stream = stream;
    this.#format = format;
  }

  known(): undefined {
    return undefined;
  }

  record(): void {
    // Run keeps it.
  }

  flush(): void {
    // Nothing has to outlive the process.
  }

  write(row: Row, outcome: Outcome): void {
    this.isFull = !this.#stream.write(this.#format.stringify([[row, outcome]], this.rowsWritten === 0));
    this.rowsWritten++;
  }

  async drained(): Promise<void> {
    if (this.isFull) await new Promise((resolve) => this.#stream.once('drain', resolve));
    this.isFull = false;
  }

  async close(isComplete: boolean): Promise<void> {
    if (isComplete && this.rowsWritten === 0) this.#stream.write(this.#format.stringify([], true));
  }
}

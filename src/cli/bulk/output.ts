/** Owns: what an output of `bulk` does, and standard output. Next: resumable-output.ts, which can be resumed. */
import type { Outcome, Row, RowFormat } from './rows';

/** Takes outcomes in the order in which they arrive, and rows in the order of the input. */
export interface BulkOutput {
  /** Rows written so far, by an interrupted run too. */
  readonly rowsWritten: number;
  /** Rows that the input of a resumed run must have at least. */
  readonly rowsKnown: number;
  /** Rows of an interrupted run that failed. */
  readonly failedBefore: number;
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
  /** All rows have been written. */
  complete(): Promise<void>;
  /** Frees what is held. Never throws. */
  close(): void;
}

/** Standard output, a device or a pipe, none of which can be resumed. */
export class StreamOutput implements BulkOutput {
  readonly #stream: NodeJS.WritableStream;
  readonly #format: RowFormat;
  #failure: Error | undefined;
  #wake: () => void = () => {};
  readonly rowsKnown = 0;
  readonly failedBefore = 0;
  rowsWritten = 0;
  isFull = false;

  constructor(stream: NodeJS.WritableStream, format: RowFormat) {
    this.#stream = stream;
    this.#format = format;
    stream.on('error', this.#onError);
    stream.on('drain', this.#onDrain);
  }

  readonly #onError = (error: Error) => {
    this.#failure ??= error;
    this.isFull = true;
    this.#wake();
  };

  readonly #onDrain = () => this.#wake();

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
    this.#writeBytes(this.#format.bytesOf([[row, outcome]], this.rowsWritten === 0));
    this.rowsWritten++;
  }

  /** @throws the error of the stream */
  async drained(): Promise<void> {
    if (this.isFull && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.isFull = false;
  }

  async complete(): Promise<void> {
    if (this.rowsWritten === 0) this.#writeBytes(this.#format.bytesOf([], true));
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      this.#stream.write('', (error) => (error ? reject(error) : resolve()));
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  close(): void {
    this.#stream.removeListener('drain', this.#onDrain);
  }

  #writeBytes(bytes: Buffer): void {
    if (!this.#stream.write(bytes)) this.isFull = true;
  }
}

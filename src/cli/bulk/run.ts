/**
 * Owns: the order of a run's rows. Outcomes arrive in any order, and some are known from an interrupted run; rows are
 * written in the order of the input. Next: output.ts.
 */
import type { LookupResult, ResultRecorder } from '../../lookup/lookup-many';
import type { BulkOutput } from './output';
import { InputChanged } from './resumable-output';
import { type Outcome, outcomeOf, type Row } from './rows';

export class Run implements ResultRecorder<Row> {
  readonly #output: BulkOutput;
  readonly #onRow: (row: Row, outcome: Outcome, lookedUp: number) => void;
  /** Rows with a known outcome that wait for earlier rows, at most as many as lookupMany() reads ahead. */
  readonly #waiting = new Map<number, Row>();
  /** Outcomes of rows that are not written yet. */
  readonly #outcomes = new Map<number, Outcome>();
  readonly #rowsBefore: number;
  #rowsRead = 0;
  #lookedUp = 0;

  /** @param onRow told of each row that is written, and how many this run has looked up */
  constructor(output: BulkOutput, onRow: (row: Row, outcome: Outcome, lookedUp: number) => void) {
    this.#output = output;
    this.#rowsBefore = output.rowsWritten;
    this.#onRow = onRow;
  }

  /** Takes a result as soon as it arrives. */
  record(result: LookupResult<Row>): void {
    const outcome = outcomeOf(result);
    this.#lookedUp++;
    this.#outcomes.set(result.visitor.index, outcome);
    this.#output.record(result.visitor, outcome);
  }

  /** Further calls are made from now on: what was recorded must outlive the process. */
  flush(): void {
    this.#output.flush();
  }

  /** Whether a row has to be looked up: not where an interrupted run has its outcome. */
  readonly needsLookup = (row: Row): boolean => {
    const outcome = this.#output.known(row);
    this.#rowsRead = row.index + 1;
    if (row.index < this.#rowsBefore) return false;
    if (outcome === undefined) return true;
    this.#outcomes.set(row.index, outcome);
    this.#waiting.set(row.index, row);
    this.#writeWaiting();
    return false;
  };

  /** Writes the next row that was looked up, and the waiting ones after it. */
  write(row: Row): void {
    this.#write(row);
    this.#writeWaiting();
  }

  /** @throws {InputChanged} for an input with fewer rows than the interrupted run has seen */
  end(): void {
    this.#writeWaiting();
    const { rowsKnown } = this.#output;
    if (this.#rowsRead >= rowsKnown) return;
    throw new InputChanged(
      `the input has ${this.#rowsRead} rows, and had at least ${rowsKnown} when the interrupted run began: use --force to start over`,
    );
  }

  #writeWaiting(): void {
    for (;;) {
      const row = this.#waiting.get(this.#output.rowsWritten);
      if (row === undefined) return;
      this.#waiting.delete(row.index);
      this.#write(row);
    }
  }

  #write(row: Row): void {
    const outcome = this.#outcomes.get(row.index) as Outcome;
    this.#outcomes.delete(row.index);
    this.#output.write(row, outcome);
    this.#onRow(row, outcome, this.#lookedUp);
  }
}

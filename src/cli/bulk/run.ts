import type { LookupResult } from '../../lookup/lookup-many';
import { UsageError } from '../command';
import type { BulkOutput } from './output';
import { type Outcome, outcomeOf, type Row } from './rows';

/** Rows on their way to the output, in their order: those whose outcome is known from before beside those that are asked about. */
export class Run {
  readonly #output: BulkOutput;
  readonly #onRow: (row: Row, outcome: Outcome) => void;
  /** Known from before, behind rows that are being asked about: as many as a window has. */
  readonly #known = new Map<number, Row>();
  /** Of rows that are not written yet. */
  readonly #outcomes = new Map<number, Outcome>();
  readonly #rowsBefore: number;
  #rowsRead = 0;

  constructor(output: BulkOutput, onRow: (row: Row, outcome: Outcome) => void) {
    this.#output = output;
    this.#rowsBefore = output.rowsWritten;
    this.#onRow = onRow;
  }

  readonly onResult = (result: LookupResult<Row>): void => {
    const outcome = outcomeOf(result);
    this.#outcomes.set(result.visitor.index, outcome);
    this.#output.done(result.visitor, outcome);
  };

  /** Whether a row has to be asked about. */
  readonly isUnknown = (row: Row): boolean => {
    const outcome = this.#output.known(row);
    this.#rowsRead = row.index + 1;
    if (row.index < this.#rowsBefore) return false;
    if (outcome === undefined) return true;
    this.#outcomes.set(row.index, outcome);
    this.#known.set(row.index, row);
    this.#writeKnown();
    return false;
  };

  /** A row whose turn it is. */
  write(row: Row): void {
    this.#write(row);
    this.#writeKnown();
  }

  /** @throws {UsageError} for an input that is shorter than it was */
  end(): void {
    this.#writeKnown();
    const { rowsKnown } = this.#output;
    if (this.#rowsRead >= rowsKnown) return;
    throw new UsageError(
      `the input has ${this.#rowsRead} rows, where it had ${rowsKnown} or more: --force begins anew`,
    );
  }

  #writeKnown(): void {
    for (;;) {
      const row = this.#known.get(this.#output.rowsWritten);
      if (row === undefined) return;
      this.#known.delete(row.index);
      this.#write(row);
    }
  }

  #write(row: Row): void {
    const outcome = this.#outcomes.get(row.index) as Outcome;
    this.#outcomes.delete(row.index);
    this.#output.write(row, outcome);
    this.#onRow(row, outcome);
  }
}

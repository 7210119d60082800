import { createReadStream, existsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createDcsClient } from '../../dcs-client';
import type { LookupResult } from '../../lookup/lookup-many';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from '../account';
import { type Command, countOf, EXIT, print, printJson, readArgs, UsageError, usage } from '../command';
import { type BulkOutput, FileOutput, StreamOutput } from './journal';
import { linesIn, progressOn } from './progress';
import { type CustomerSource, type Format, type Outcome, outcomeOf, type Row, rowReader } from './rows';

const HELP = `Looks up the segments of many visitors: CSV or NDJSON in, the same with segments out, in the same order.

Usage: aam-segments bulk [--in customers.csv] [--out segments.csv] [options]

  --in, --out <file>      left out, or '-': standard input and output
  --format <csv|ndjson>   by default as the name of the input ends, else csv
  --source <source>       where customer ids belong: a data source id, or else an integration code
  --concurrency <n>       calls at a time (16)
  --rate <n>              calls per second, at most
  --resume                go on where an interrupted run has stopped; where there is none, begin
  --force                 begin anew, whatever is in the output file
  --json                  the summary as JSON

Columns (or keys of a line's object) that say who it is: ecid, uuid, customer_id, and beside it data_source_id or
integration_code, auth_state; region. NDJSON may have customerIds as in createDcsClient(). All others are passed through.
Added are aam_status, aam_reason, aam_segment_ids, aam_segment_names (lists with ';'), aam_error; in NDJSON an object 'aam'.

A run that was killed goes on with --resume: every row comes out once, and only calls that were on their way are made
again. What it needs for that is in <out>.journal until it is complete.

${ACCOUNT_HELP}

CSV needs two packages that are not installed along with this one: npm install csv-parse@7 csv-stringify@6. With
cli-progress@3 a terminal shows a bar, and otherwise a line every ten seconds.

Each call is an event to Audience Manager. You have made sure that the visitors agree to it. Exit code 1: some rows failed,
or it was stopped.`;

export const bulk: Command = {
  summary: 'the segments of many visitors, from CSV or NDJSON',
  help: HELP,
  async run(args, { stdin, stdout, stderr }) {
    const { values } = readArgs(args, {
      ...ACCOUNT_ARGS,
      in: { type: 'string', default: '-' },
      out: { type: 'string', default: '-' },
      format: { type: 'string' },
      source: { type: 'string' },
      concurrency: { type: 'string' },
      rate: { type: 'string' },
      resume: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const { in: from, out: to, resume, force, json } = values;
    const format = formatOf(values.format, from);
    const source = customerSourceOf(values.source);
    const concurrency = countOf('concurrency', values.concurrency) ?? 16;
    const ratePerSecond = countOf('rate', values.rate);
    const isFile = from !== '-';
    if (isFile && !existsSync(from)) throw new UsageError(`--in ${from}: there is no such file`);
    if (to === '-' && resume)
      throw new UsageError('--resume needs --out: there is nothing to go on with on standard output');

    const account = accountOptions(values);
    const connections = Math.max(64, concurrency);
    const client = usage(() => createDcsClient({ ...account, dcs: { connections, ...account.dcs } }));
    const input = isFile ? createReadStream(from) : stdin;
    const reader = rowReader(input, format, source);
    const tally = new Tally();
    const stopped = new AbortController();
    const stop = () => stopped.abort(new Error(to === '-' ? 'stopped' : 'stopped; --resume goes on from here'));
    try {
      const settings = JSON.stringify([
        account.orgId,
        account.partner,
        account.segments,
        account.destinations,
        format,
        source,
      ]);
      const output =
        to === '-' ? new StreamOutput(stdout, reader) : FileOutput.open({ path: to, resume, force, settings }, reader);
      if (output === 'complete') {
        print(stderr, `${to} is complete; --force begins anew`);
        return EXIT.ok;
      }
      const total = isFile ? await linesIn(from, format === 'csv' ? 1 : 0) : undefined;
      const progress = progressOn(stderr, total, output.rowsWritten);
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, stop);
      let isComplete = false;
      try {
        const run = new Run(output, (row, outcome) => {
          tally.add(outcome);
          progress.show(row.index + 1, tally.failed);
        });
        const onResult = run.onResult;
        const options = { concurrency, ratePerSecond, onResult, signal: stopped.signal };
        for await (const result of client.lookupMany(reader.rows(run.isUnknown), options)) {
          run.write(result.visitor);
          if (output.isFull) await output.drained();
        }
        run.end();
        isComplete = true;
      } finally {
        progress.stop();
        await output.close(isComplete);
        tally.print(stderr, json);
      }
      return tally.failed === 0 ? EXIT.ok : EXIT.failed;
    } finally {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeListener(name, stop);
      // Standard input may stay open for as long as it likes.
      input.destroy();
      await client.close();
    }
  },
};

/** Rows on their way to the output, in their order: those whose outcome is known from before beside those that are asked about. */
class Run {
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

/** What became of the rows of this run. */
class Tally {
  readonly #beganAtMs = performance.now();
  readonly #statuses = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  #rows = 0;
  failed = 0;

  add({ status, reason, error }: Outcome): void {
    this.#rows++;
    if (error === '') count(this.#statuses, reason === '' ? status : `${status}: ${reason}`);
    else {
      this.failed++;
      count(this.#errors, error);
    }
  }

  print(stream: NodeJS.WritableStream, json: boolean): void {
    const seconds = Math.round((performance.now() - this.#beganAtMs) / 100) / 10;
    const [statuses, errors] = [Object.fromEntries(this.#statuses), Object.fromEntries(this.#errors)];
    if (json) {
      printJson(stream, { rows: this.#rows, failed: this.failed, seconds, statuses, errors });
      return;
    }
    print(stream, `${this.#rows} rows in ${seconds} s, ${this.failed} failed`);
    for (const [status, rows] of this.#statuses) print(stream, `  ${rows} ${status}`);
    for (const [code, rows] of this.#errors) print(stream, `  ${rows} ${code}: ${HINTS[code] ?? 'see the README'}`);
  }
}

const AGAIN = 'run these rows again later';
const HINTS: Readonly<Record<string, string>> = {
  ERR_AAM_INVALID_OPTION:
    'the row names no visitor that could be asked about: 38 digits, or a customer id with its source',
  ERR_AAM_DCS_TIMEOUT: `no answer in time; ${AGAIN}, or with a longer dcs.timeoutMs`,
  ERR_AAM_DCS_NETWORK: `the DCS could not be reached; ${AGAIN}`,
  ERR_AAM_DCS_STATUS: `the DCS answered with an HTTP error; ${AGAIN}`,
  ERR_AAM_DCS_REPLY: 'the DCS answered what is no answer; is there a proxy between?',
  ERR_AAM_DCS_REJECTED: "the DCS had nothing to say, or a configuration error: 'aam-segments doctor'",
  ERR_AAM_DCS_CIRCUIT_OPEN: `too many calls failed for too long; ${AGAIN}`,
};

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function formatOf(given: string | undefined, path: string): Format {
  const format = given ?? (/\.(?:ndjson|jsonl)$/i.test(path) ? 'ndjson' : 'csv');
  if (format !== 'csv' && format !== 'ndjson') throw new UsageError(`--format must be csv or ndjson, got '${format}'`);
  return format;
}

function customerSourceOf(text: string | undefined): CustomerSource {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? { dataSourceId: Number(text) } : { integrationCode: text };
}

/**
 * Owns: the arguments of `bulk` and the wiring of its parts: a format reads rows, lookupMany() looks them up, a run puts them
 * in order, an output writes them. Next: rows.ts, then run.ts.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createInternalClient } from '../../dcs-client';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from '../account';
import { type Command, countOf, EXIT, print, readArgs, UsageError, usage } from '../command';
import { CsvRows } from './csv-rows';
import { NdjsonRows } from './ndjson-rows';
import { StreamOutput } from './output';
import { linesIn, progressOn } from './progress';
import { ResumableOutput } from './resumable-output';
import type { CustomerSource, Format } from './rows';
import { Run } from './run';
import { Tally } from './tally';

const HELP = `Looks up the segments of many visitors. Reads CSV or NDJSON and writes the same rows in the same order, with segments.

Usage: aam-segments bulk [--in customers.csv] [--out segments.csv] [options]

  --in, --out <file>      by default, or with '-', standard input and output
  --format <csv|ndjson>   by default from the input's file name, else csv
  --source <source>       the data source of customer ids: its id or its integration code
  --concurrency <n>       calls in flight at a time (default 16)
  --rate <n>              maximum calls per second
  --resume                continue an interrupted run; start one if there is none
  --force                 start over, overwriting the output file
  --json                  print the summary as JSON

Columns (NDJSON: keys) that name the visitor: ecid, uuid, or customer_id with data_source_id or integration_code and
auth_state; also region. NDJSON may have customerIds as in createDcsClient(). Other columns are passed through.
Added columns: aam_status, aam_reason, aam_segment_ids, aam_segment_names (joined by ';') and aam_error; in NDJSON a key 'aam'.

A run that was killed can be resumed with --resume: every row is written once, and only calls that were in flight are
repeated. The state for that is kept in <out>.journal until the run is complete.

${ACCOUNT_HELP}

CSV needs two optional packages: npm install csv-parse@7 csv-stringify@6. The progress is a line every ten seconds, or a
bar on a terminal with the optional package cli-progress@3.

Each lookup is an event in Audience Manager. Make sure that the visitors have consented. Exit code 1: some rows failed, or
the run was stopped.`;

export const bulk: Command = {
  summary: 'look up the segments of many visitors, from CSV or NDJSON',
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
    if (isFile && !existsSync(from)) throw new UsageError(`--in ${from}: no such file`);
    if (to === '-' && resume) throw new UsageError('--resume needs --out: standard output cannot be resumed');

    const account = accountOptions(values);
    const connections = Math.max(64, concurrency);
    const { client, lookupMany } = usage(() =>
      createInternalClient({ ...account, dcs: { connections, ...account.dcs } }),
    );
    const input = isFile ? createReadStream(from) : stdin;
    const rowFormat = format === 'csv' ? new CsvRows(input, source) : new NdjsonRows(input, source);
    const tally = new Tally();
    const stopped = new AbortController();
    const stop = () => stopped.abort(new Error(to === '-' ? 'stopped' : 'stopped; use --resume to continue'));
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
        to === '-'
          ? new StreamOutput(stdout, rowFormat)
          : ResumableOutput.open({ path: to, resume, force, settings }, rowFormat);
      if (output === 'complete') {
        print(stderr, `${to} is complete. Use --force to start over.`);
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
        const options = { concurrency, ratePerSecond, signal: stopped.signal };
        for await (const result of lookupMany(rowFormat.read(run.needsLookup), options, run)) {
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
      // An open standard input would keep the process alive.
      input.destroy();
      await client.close();
    }
  },
};

function formatOf(given: string | undefined, path: string): Format {
  const format = given ?? (/\.(?:ndjson|jsonl)$/i.test(path) ? 'ndjson' : 'csv');
  if (format !== 'csv' && format !== 'ndjson') throw new UsageError(`--format must be csv or ndjson, got '${format}'`);
  return format;
}

function customerSourceOf(text: string | undefined): CustomerSource {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? { dataSourceId: Number(text) } : { integrationCode: text };
}

import { createReadStream, existsSync } from 'node:fs';
import { createDcsClient } from '../../dcs-client';
import { ACCOUNT_ARGS, ACCOUNT_HELP, accountOptions } from '../account';
import { type Command, countOf, EXIT, print, readArgs, UsageError, usage } from '../command';
import { CsvRows } from './csv-rows';
import { FileOutput } from './file-output';
import { NdjsonRows } from './ndjson-rows';
import { StreamOutput } from './output';
import { linesIn, progressOn } from './progress';
import type { CustomerSource, Format } from './rows';
import { Run } from './run';
import { Tally } from './tally';

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
    const reader = format === 'csv' ? new CsvRows(input, source) : new NdjsonRows(input, source);
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

function formatOf(given: string | undefined, path: string): Format {
  const format = given ?? (/\.(?:ndjson|jsonl)$/i.test(path) ? 'ndjson' : 'csv');
  if (format !== 'csv' && format !== 'ndjson') throw new UsageError(`--format must be csv or ndjson, got '${format}'`);
  return format;
}

function customerSourceOf(text: string | undefined): CustomerSource {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? { dataSourceId: Number(text) } : { integrationCode: text };
}

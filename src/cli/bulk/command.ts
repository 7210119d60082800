/**
 * Owns: the arguments of `bulk` and the wiring of its parts: a format reads rows, lookupMany() looks them up, a run puts them
 * in order, an output writes them. Next: rows.ts, then run.ts.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { createInternalClient } from '../../dcs-client';
import { ACCOUNT_OPTIONS, ACCOUNT_SECTION, type Account, accountOf, PROXY_SECTION } from '../account';
import { countOf } from '../arguments';
import { type Call, defineCommand, EXIT, type ExitCode, Failure, type OptionSpecs, UsageError } from '../command';
import { assertNotInPlace, isSystemError, openInput, outputTarget, statOf, systemError } from '../files';
import { InputText } from '../input-text';
import { print, printJson } from '../printer';
import { throughProxy } from '../proxy';
import { delimiterOf } from './csv-dialect';
import { CsvRows } from './csv-rows';
import { NdjsonRows } from './ndjson-rows';
import { StreamOutput } from './output';
import { linesIn, progressOn } from './progress';
import { type Completed, InputChanged, ResumableOutput } from './resumable-output';
import type { CustomerSource, Format, RowFormat } from './rows';
import { Run } from './run';
import { Tally } from './tally';

const OPTIONS = {
  in: { type: 'string', value: '<file>', help: "CSV or NDJSON; standard input by default, or with '-'" },
  out: { type: 'string', value: '<file>', help: "standard output by default, or with '-'" },
  format: {
    type: 'string',
    value: '<csv|ndjson>',
    choices: ['csv', 'ndjson'],
    help: "by default from the input's name, else csv",
  },
  delimiter: {
    type: 'string',
    value: '<char>',
    help: "what separates cells: ',', ';', 'tab', ... (default: detected)",
  },
  source: {
    type: 'string',
    value: '<source>',
    help: 'the data source of customer ids: its id or its integration code',
  },
  concurrency: { type: 'string', value: '<n>', help: 'calls in flight at a time (default 16)' },
  rate: { type: 'string', value: '<n>', help: 'maximum calls per second' },
  resume: { type: 'boolean', help: 'continue an interrupted run; start one if there is none' },
  force: {
    type: 'boolean',
    help: 'overwrite the output file; with --resume, start over only if there is nothing to continue',
  },
  'safe-cells': {
    type: 'boolean',
    help: 'write cells that a spreadsheet would run as formulas with an apostrophe before them',
  },
  ...ACCOUNT_OPTIONS,
} as const satisfies OptionSpecs;

export const bulk = defineCommand({
  name: 'bulk',
  summary: 'look up the segments of many visitors, from CSV or NDJSON',
  synopsis: '[--in customers.csv] [--out segments.csv] [options]',
  description: `Looks up the segments of many visitors. Writes the rows that it reads, in the same order and with the same bytes, and adds
the segments. Each lookup is an event in Audience Manager: make sure that the visitors have consented.`,
  operands: [],
  options: OPTIONS,
  sections: [
    {
      title: 'COLUMNS',
      text: `Columns (in NDJSON: keys) that name the visitor, in upper or lower case: ecid, uuid, or customer_id with data_source_id or
integration_code and auth_state; also region. NDJSON may have customerIds as in createDcsClient(). All others are passed
through. Added are aam_status, aam_reason, aam_segment_ids, aam_segment_names (joined by ';') and aam_error; in NDJSON a key
'aam'. Cells may be separated by commas, semicolons, tabs or bars, and the file may be UTF-8 or UTF-16 with a byte order
mark; the output is written in the same way.`,
    },
    {
      title: 'FILES',
      text: `The output file gets its name when it is complete; until then its rows are in the folder <out>.bulk, and a file that it
replaces stays as it is. A run that was killed can be continued with --resume: every row is written once, and only calls
that were in flight are repeated. For a job that runs every night, use --resume --force: it continues what was
interrupted, and otherwise replaces yesterday's file. Files can only be read by their owner.`,
    },
    ACCOUNT_SECTION,
    PROXY_SECTION,
  ],
  failure: 'some rows failed, the run was stopped, or a file could not be written',
  examples: ['--in customers.csv --out segments.csv --source acme_crm --rate 500 --resume --force'],
  run: runBulk,
});

async function runBulk(call: Call<typeof OPTIONS>): Promise<ExitCode> {
  const { values, env, stderr } = call;
  const { in: from = '-', out: to = '-' } = values;
  const plan: Plan = {
    call,
    from,
    to,
    account: accountOf(values, env),
    format: formatOf(values.format, from),
    source: customerSourceOf(values.source),
    delimiter: delimiterOf(values.delimiter),
    concurrency: countOf('concurrency', values.concurrency) ?? 16,
    ratePerSecond: countOf('rate', values.rate),
  };
  if (to === '-' && values.resume) throw new UsageError('--resume needs --out: standard output cannot be resumed');
  assertNotInPlace(from, to);
  try {
    return await attempt(plan, values.resume);
  } catch (error) {
    const canStartOver = error instanceof InputChanged && values.resume && values.force && from !== '-';
    if (!canStartOver) throw error;
    if (!values.quiet) print(stderr, 'the input has changed since the interrupted run began: starting over');
    return attempt(plan, false);
  }
}

interface Plan {
  readonly call: Call<typeof OPTIONS>;
  readonly from: string;
  readonly to: string;
  readonly account: Account;
  readonly format: Format;
  readonly source: CustomerSource;
  readonly delimiter: string | undefined;
  readonly concurrency: number;
  readonly ratePerSecond: number | undefined;
}

async function attempt(plan: Plan, resume: boolean): Promise<ExitCode> {
  const { call, from, to, account, format, concurrency, ratePerSecond } = plan;
  const { values, stderr } = call;
  const { json, quiet } = values;
  const connections = Math.max(64, concurrency);
  const dispatched = throughProxy({ ...account.options, dcs: { connections, ...account.options.dcs } }, call.env);
  const { client, lookupMany } = account.checked(() => createInternalClient(dispatched.options));
  const stopped = new AbortController();
  let isResumable = false;
  const stop = () => stopped.abort(new Failure(isResumable ? 'stopped: use --resume to continue' : 'stopped'));
  const input = openInput('--in', from, call.stdin);
  const tally = new Tally();
  try {
    const rowFormat = formatFor(plan, new InputText(input, from === '-' ? 'standard input' : from));
    const header = await rowFormat.open();
    const output = await openOutput(plan, resume, rowFormat, header);
    if ('at' in output) return alreadyComplete(call, to, output);
    isResumable = output instanceof ResumableOutput;
    try {
      const isFile = from !== '-' && statOf(from)?.isFile() === true;
      const total = isFile && !quiet ? await linesIn(from, format === 'csv' ? 1 : 0) : undefined;
      const before = output.rowsWritten;
      const progress = quiet ? { show() {}, stop() {} } : progressOn(stderr, total, before);
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, stop);
      try {
        const run = new Run(output, (row, outcome, lookedUp) => {
          tally.add(outcome);
          progress.show(row.index + 1, tally.failed, lookedUp);
        });
        const options = { concurrency, ratePerSecond, signal: stopped.signal };
        for await (const result of lookupMany(rowFormat.read(run.needsLookup), options, run)) {
          run.write(result.visitor);
          if (output.isFull) await output.drained();
        }
        run.end();
        await output.complete();
      } finally {
        progress.stop();
        output.close();
        if (!quiet) tally.print(stderr, json, before);
      }
      return tally.failed + output.failedBefore === 0 ? EXIT.ok : EXIT.failed;
    } finally {
      output.close();
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const name = to === '-' ? 'standard output' : `--out ${to}`;
    throw new Failure(`${name}: ${systemError(error)}${isResumable ? ': use --resume to continue' : ''}`);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeListener(name, stop);
    // An open standard input would keep the process alive.
    input.destroy();
    await client.close();
    await dispatched.close();
  }
}

async function openOutput(
  { call, from, to, account, format, source, delimiter }: Plan,
  resume: boolean,
  rowFormat: RowFormat,
  header: string,
): Promise<StreamOutput | ResumableOutput | Completed> {
  if (to === '-') return new StreamOutput(call.stdout, rowFormat);
  const target = outputTarget(to);
  if (target.kind === 'device') return new StreamOutput(createWriteStream(target.path), rowFormat);
  const { orgId, partner, segments, destinations, dcs } = account.options;
  const asked = [orgId, partner, segments, destinations, dcs?.segmentIds];
  return ResumableOutput.open(
    {
      path: target.path,
      resume,
      force: call.values.force,
      settings: JSON.stringify([...asked, format, source, delimiter, call.values['safe-cells'], header]),
      inputDigest: () => digestOf(from, rowFormat),
      notice: (why) => {
        if (!call.values.quiet) print(call.stderr, why);
      },
    },
    rowFormat,
  );
}

/** An input that cannot be read twice is read to its end. */
async function digestOf(from: string, rowFormat: RowFormat): Promise<string> {
  if (from === '-') {
    for await (const _ of rowFormat.read(() => false));
    return rowFormat.inputDigest;
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(from)) hash.update(chunk as Buffer);
  return hash.digest('base64url');
}

function alreadyComplete(
  { values, stderr }: Call<typeof OPTIONS>,
  to: string,
  { rows, failed, at }: Completed,
): ExitCode {
  if (values.json && !values.quiet) printJson(stderr, { rows: 0, rowsBefore: rows, failed, completeSince: at });
  else if (!values.quiet || failed > 0) {
    const failures = failed === 0 ? '' : `, ${failed} of its ${rows} rows failed`;
    print(
      stderr,
      `${to} is complete since ${at}${failures}, and the input has not changed: use --force to look up all rows again`,
    );
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

function formatFor({ call, format, source, delimiter }: Plan, text: InputText): RowFormat {
  if (format === 'ndjson') return new NdjsonRows(text, source);
  return new CsvRows(text, { source, delimiter, hasSafeCells: call.values['safe-cells'] });
}

function formatOf(given: string | undefined, path: string): Format {
  const format = given ?? (/\.(?:ndjson|jsonl)$/i.test(path) ? 'ndjson' : 'csv');
  if (format !== 'csv' && format !== 'ndjson') throw new UsageError(`--format must be csv or ndjson, got '${format}'`);
  return format;
}

function customerSourceOf(text: string | undefined): CustomerSource {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) return { integrationCode: text };
  if (text.length > 15) throw new UsageError(`--source is no data source id: '${text}'`);
  return { dataSourceId: Number(text) };
}

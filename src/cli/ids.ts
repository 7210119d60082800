/** Owns: `aam-segments ids`. Next: bulk/, which takes its output. */
import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isVisitorId } from '../identity/visitor';
import { isRecord } from '../option-checks';
import { type Command, EXIT, print, printJson, readArgs } from './command';

const HELP = `Extracts visitor ids and regions from stored DCS answers, as CSV for 'bulk'.

Usage: aam-segments ids [--in responses.ndjson] [--out ids.csv] [--json]

Each line is one answer as JSON: of /event (uuid, dcs_region) or of /id (d_mid, dcs_region). A visitor with several answers
is written once, with the last region; one whose answer reports an opt-out is left out. By default, or with '-', files are
standard input and output. --json prints the summary as JSON.

Exit code 1: some lines were not DCS answers.`;

/** Opt-outs and a refusing consent string (Audience Manager docs, "DCS error codes"). */
const OPT_OUT_CODES: readonly unknown[] = [171, 173, 315];

export const ids: Command = {
  summary: 'extract visitor ids and regions from stored DCS answers',
  help: HELP,
  async run(args, { stdin, stdout, stderr }) {
    const { values } = readArgs(args, {
      in: { type: 'string', default: '-' },
      out: { type: 'string', default: '-' },
      json: { type: 'boolean' },
    });
    const input = values.in === '-' ? stdin : createReadStream(values.in);
    const regions = new Map<string, string>();
    const badLines: number[] = [];
    let lines = 0;
    let optedOut = 0;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      lines++;
      if (line.trim() === '') continue;
      const answer = answerOf(line);
      if (answer === undefined) {
        badLines.push(lines);
        continue;
      }
      const key = answer.ecid === undefined ? `uuid,${answer.uuid}` : `ecid,${answer.ecid}`;
      if (answer.isOptOut) optedOut++;
      if (answer.isOptOut) regions.delete(key);
      else if (answer.ecid !== undefined || answer.uuid !== undefined) {
        regions.set(key, answer.region ?? regions.get(key) ?? '');
      }
    }
    const rows = [...regions].map(([key, region]) => {
      const [kind, id] = key.split(',') as [string, string];
      return kind === 'ecid' ? [id, '', region] : ['', id, region];
    });
    // Digits and nothing else: there is nothing to quote.
    const text = [['ecid', 'uuid', 'region'], ...rows].map((row) => `${row.join()}\n`).join('');
    if (values.out === '-') stdout.write(text);
    else
      await new Promise<void>((resolve, reject) => {
        createWriteStream(values.out).on('error', reject).end(text, resolve);
      });
    const summary = { lines, ids: rows.length, optedOut, unusable: badLines.length };
    if (values.json) printJson(stderr, summary);
    else {
      print(stderr, `${lines} lines, ${rows.length} ids, ${optedOut} opt-outs left out`);
      if (badLines.length > 0)
        print(stderr, `${badLines.length} lines are not DCS answers: ${badLines.slice(0, 10).join(', ')}`);
    }
    return badLines.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

function answerOf(line: string) {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(answer)) return undefined;
  const { d_mid, errors, d_optout } = answer;
  const uuid = answer.uuid ?? answer.u;
  const codes = Array.isArray(errors) ? errors.map((error) => Number(isRecord(error) ? error.code : error)) : [];
  const isOptOut = codes.some((code) => OPT_OUT_CODES.includes(code)) || d_optout === true || d_optout === 'true';
  const region = String(answer.dcs_region ?? '');
  return {
    ecid: isVisitorId(d_mid) ? d_mid : undefined,
    uuid: isVisitorId(uuid) ? uuid : undefined,
    region: /^[1-9]\d{0,3}$/.test(region) ? region : undefined,
    isOptOut,
  };
}

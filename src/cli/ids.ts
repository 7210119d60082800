/** Owns: `aam-segments ids`. Next: bulk/, which takes its output. */
import { createWriteStream } from 'node:fs';
import { isVisitorId } from '../identity/visitor';
import { isRecord } from '../option-checks';
import { defineCommand, EXIT, Failure, UsageError } from './command';
import { assertNotInPlace, openInput, outputTarget, systemError, writeWhole } from './files';
import { endOfLine, InputText } from './input-text';
import { print, printJson } from './printer';

/** Opt-outs and a refusing consent string (Audience Manager docs, "DCS error codes"). */
const OPT_OUT_CODES: readonly unknown[] = [171, 173, 315];

export const ids = defineCommand({
  name: 'ids',
  summary: 'extract visitor ids and regions from stored DCS answers',
  synopsis: '[--in responses.ndjson] [--out ids.csv] [options]',
  description: `Extracts visitor ids and regions from stored DCS answers, as CSV for 'bulk'. Each line is one answer as JSON: of /event (uuid,
dcs_region) or of /id (d_mid, dcs_region). A visitor with several answers is written once, with the last region; one whose
answer reports an opt-out is left out.`,
  operands: [],
  options: {
    in: { type: 'string', value: '<file>', help: "NDJSON; standard input by default, or with '-'" },
    out: { type: 'string', value: '<file>', help: "standard output by default, or with '-'" },
    force: { type: 'boolean', help: 'overwrite the output file' },
  },
  sections: [],
  failure: 'some lines were not DCS answers, or a file could not be written',
  examples: ['--in responses.ndjson --out ids.csv'],
  async run({ values, stdin, stdout, stderr }) {
    const { in: from = '-', out: to = '-', force, json, quiet } = values;
    assertNotInPlace(from, to);
    const target = to === '-' ? undefined : outputTarget(to);
    if (target?.kind === 'file' && target.exists && !force) {
      throw new UsageError(`${to} exists: use --force to overwrite it`);
    }
    const input = new InputText(openInput('--in', from, stdin), from === '-' ? 'standard input' : from);
    await input.open();
    const regions = new Map<string, string>();
    const badLines: number[] = [];
    let lines = 0;
    let optedOut = 0;
    for (;;) {
      const line = await input.next(endOfLine);
      if (line === undefined) break;
      lines++;
      input.line = lines;
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
    if (target === undefined) stdout.write(text);
    else if (target.kind === 'file') writeWhole(target, text, force);
    else await writeToDevice(target.path, text);
    const summary = { lines, ids: rows.length, optedOut, unusable: badLines.length };
    if (json && !quiet) printJson(stderr, summary);
    else if (!quiet) {
      print(stderr, `${lines} lines, ${rows.length} ids, ${optedOut} opt-outs left out`);
      if (badLines.length > 0)
        print(stderr, `${badLines.length} lines are not DCS answers: ${badLines.slice(0, 10).join(', ')}`);
    }
    return badLines.length === 0 ? EXIT.ok : EXIT.failed;
  },
});

async function writeToDevice(path: string, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    createWriteStream(path)
      .on('error', (error) => reject(new Failure(`--out ${path}: ${systemError(error)}`)))
      .on('finish', resolve)
      .end(text);
  });
}

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

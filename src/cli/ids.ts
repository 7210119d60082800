/** Owns: `aam-segments ids`. Next: bulk/, which takes its output. */
import { createWriteStream } from 'node:fs';
import { exclusionIn } from '../dcs/protocol/reply';
import { isVisitorId } from '../identity/visitor';
import { isRecord } from '../option-checks';
import { defineCommand, EXIT, Failure, UsageError } from './command';
import { assertNotInPlace, openInput, outputTarget, systemError, writeWhole } from './files';
import { endOfLine, InputText } from './input-text';
import { print, printJson } from './printer';

export const ids = defineCommand({
  name: 'ids',
  summary: 'extract visitor ids and regions from stored DCS answers',
  synopsis: '[--in responses.ndjson] [--out ids.csv] [options]',
  description: `Extracts visitor ids and regions from stored DCS answers, as CSV for 'bulk'. Each line is one answer as JSON: of /event (uuid,
dcs_region) or of /id (d_mid, dcs_region). A visitor with several answers is written once, with the last region; one whose last
answer says that the DCS does not serve them is left out (such as an opt-out), and one that it has denylisted, in any.`,
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
    const denylisted = new Set<string>();
    let optedOut = 0;
    let notServed = 0;
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
      const { keys, region, exclusion } = answer;
      if (exclusion !== undefined) {
        if (exclusion === 'opted-out') optedOut++;
        else notServed++;
        // All ids of the answer are of this visitor.
        for (const key of keys) {
          regions.delete(key);
          if (exclusion === 'denylisted') denylisted.add(key);
        }
        continue;
      }
      const [key] = keys;
      if (key !== undefined && !keys.some((each) => denylisted.has(each))) {
        regions.set(key, region ?? regions.get(key) ?? '');
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
    const summary = { lines, ids: rows.length, optedOut, notServed, unusable: badLines.length };
    if (json && !quiet) printJson(stderr, summary);
    else if (!quiet) {
      print(
        stderr,
        `${lines} lines, ${rows.length} ids; left out: ${optedOut} opt-outs, ${notServed} answers about others whom the DCS does not serve`,
      );
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
  const { d_mid } = answer;
  const uuid = answer.uuid ?? answer.u;
  const region = String(answer.dcs_region ?? '');
  return {
    // An ECID names the visitor better than a UUID.
    keys: [...(isVisitorId(d_mid) ? [`ecid,${d_mid}`] : []), ...(isVisitorId(uuid) ? [`uuid,${uuid}`] : [])],
    region: /^[1-9]\d{0,3}$/.test(region) ? region : undefined,
    exclusion: exclusionIn(answer),
  };
}

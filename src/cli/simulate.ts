import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isRecord } from '../option-checks';
import { createDcsSimulator, type DcsSimulator } from '../testing/dcs-simulator';
import { type Command, countOf, EXIT, print, printJson, readArgs, UsageError } from './command';

const HELP = `Adobe's Data Collection Servers on this machine, to develop against from any language.

Usage: aam-segments simulate [options]

  --port <n>              where the alias listens; the regions listen on the ports after it (any free ones)
  --partner <alias>       the alias whose calls are answered: Host <alias>.demdex.net (acme)
  --visitors <file>       who is in which segments, a JSON object on each line:
                          {"ecid": "...", "segments": [984263]}, or "uuid", or
                          {"customer_id": "C-1", "integration_code": "acme_crm", "segments": [984263]}, or "data_source_id"
  --no-segment-ids        as an account for which Adobe has not enabled d_cts
  --quiet                 no line for each call
  --json                  lines as JSON

It listens on 127.0.0.1 only, until it is interrupted. Everybody else is known too, and is in no segment.`;

export const simulate: Command = {
  summary: 'the DCS on this machine, to develop against',
  help: HELP,
  async run(args, { stdout }) {
    const { values } = readArgs(args, {
      port: { type: 'string' },
      partner: { type: 'string', default: 'acme' },
      visitors: { type: 'string' },
      'no-segment-ids': { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const { partner, visitors, quiet, json } = values;
    const port = countOf('port', values.port);
    const simulator = await started({ partner, port, segmentIds: !values['no-segment-ids'] });
    try {
      const known = visitors === undefined ? 0 : await readVisitors(simulator, visitors);
      const { defaultOrigin, origins } = simulator.dcs;
      if (json) printJson(stdout, { defaultOrigin, origins, visitors: known });
      else {
        print(stdout, `alias      ${defaultOrigin} (Host: ${partner}.demdex.net)`);
        for (const [region, origin] of Object.entries(origins)) print(stdout, `region ${region.padEnd(4)}${origin}`);
        print(stdout, `${known} visitors are known. Ctrl+C ends it.`);
      }
      await interrupted((interval) => {
        for (const { method, path, region, answeredStatus, params } of quiet ? [] : simulator.requests) {
          if (json) printJson(stdout, { method, path, region, status: answeredStatus, params });
          else print(stdout, `${method} ${path} at ${region}: ${answeredStatus ?? 'no answer yet'} ${shown(params)}`);
        }
        // The log would grow with every call.
        simulator.clear();
        interval.refresh();
      });
    } finally {
      await simulator.close();
    }
    return EXIT.ok;
  },
};

async function started(options: Parameters<typeof createDcsSimulator>[0]): Promise<DcsSimulator> {
  try {
    return await createDcsSimulator(options);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

const LOG_EVERY_MS = 200;

/** Until SIGINT or SIGTERM; meanwhile, `log` again and again. */
function interrupted(log: (timer: NodeJS.Timeout) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer: NodeJS.Timeout = setTimeout(() => log(timer), LOG_EVERY_MS);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        clearTimeout(timer);
        resolve();
      });
    }
  });
}

function shown(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(' ');
}

/** @throws {UsageError} with the number of the line */
async function readVisitors(simulator: DcsSimulator, path: string): Promise<number> {
  let number = 0;
  let known = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    number++;
    if (line.trim() === '') continue;
    try {
      addVisitor(simulator, JSON.parse(line));
      known++;
    } catch (error) {
      throw new UsageError(`${path}, line ${number}: ${(error as Error).message}`);
    }
  }
  return known;
}

function addVisitor(simulator: DcsSimulator, given: unknown): void {
  if (!isRecord(given) || !Array.isArray(given.segments))
    throw new TypeError('an object with a list of segments is wanted');
  const { ecid, uuid, customer_id, integration_code, data_source_id, segments } = given;
  const visitor =
    customer_id === undefined
      ? simulator.visitor(String(ecid ?? uuid))
      : simulator.customer((integration_code ?? data_source_id) as string | number, customer_id as string);
  visitor.in(...segments);
}

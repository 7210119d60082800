/** Owns: `aam-segments simulate`. Next: ../testing/dcs-simulator.ts. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isRecord } from '../option-checks';
import { createDcsSimulator, type DcsSimulator } from '../testing/dcs-simulator';
import { type Command, countOf, EXIT, print, printJson, readArgs, UsageError } from './command';

const HELP = `Runs a simulated DCS on this machine, to develop against in any language.

Usage: aam-segments simulate [options]

  --port <n>              port of the alias; the regions listen on the ports after it (default: free ports)
  --partner <alias>       the alias that is answered, by Host: <alias>.demdex.net (default acme)
  --visitors <file>       NDJSON with the segments of visitors, such as
                          {"ecid": "...", "segments": [984263]} (or "uuid") and
                          {"customer_id": "C-1", "integration_code": "acme_crm", "segments": [984263]} (or "data_source_id")
  --no-segment-ids        answer like an account without d_cts enabled
  --quiet                 do not print calls
  --json                  print JSON lines

It listens on 127.0.0.1 until it is interrupted. All other visitors are in no segment.`;

export const simulate: Command = {
  summary: 'run a simulated DCS on this machine',
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
    const simulator = await startSimulator({ partner, port, segmentIds: !values['no-segment-ids'] });
    try {
      const loaded = visitors === undefined ? 0 : await readVisitors(simulator, visitors);
      const { defaultOrigin, origins } = simulator.dcs;
      if (json) printJson(stdout, { defaultOrigin, origins, visitors: loaded });
      else {
        print(stdout, `alias      ${defaultOrigin} (Host: ${partner}.demdex.net)`);
        for (const [region, origin] of Object.entries(origins)) print(stdout, `region ${region.padEnd(4)}${origin}`);
        print(stdout, `${loaded} visitors loaded. Press Ctrl+C to stop.`);
      }
      await interrupted((interval) => {
        for (const { method, path, region, answeredStatus, params } of quiet ? [] : simulator.requests) {
          if (json) printJson(stdout, { method, path, region, status: answeredStatus, params });
          else print(stdout, `${method} ${path} at ${region}: ${answeredStatus ?? 'not answered'} ${shown(params)}`);
        }
        // Or the log would grow without bound.
        simulator.clear();
        interval.refresh();
      });
    } finally {
      await simulator.close();
    }
    return EXIT.ok;
  },
};

async function startSimulator(options: Parameters<typeof createDcsSimulator>[0]): Promise<DcsSimulator> {
  try {
    return await createDcsSimulator(options);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

const LOG_INTERVAL_MS = 200;

/** Resolves on SIGINT or SIGTERM. Until then calls `log` when its timer fires. */
function interrupted(log: (timer: NodeJS.Timeout) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer: NodeJS.Timeout = setTimeout(() => log(timer), LOG_INTERVAL_MS);
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

/** @throws {UsageError} with the line number */
async function readVisitors(simulator: DcsSimulator, path: string): Promise<number> {
  let number = 0;
  let loaded = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    number++;
    if (line.trim() === '') continue;
    try {
      addVisitor(simulator, JSON.parse(line));
      loaded++;
    } catch (error) {
      throw new UsageError(`${path}, line ${number}: ${(error as Error).message}`);
    }
  }
  return loaded;
}

function addVisitor(simulator: DcsSimulator, given: unknown): void {
  if (!isRecord(given) || !Array.isArray(given.segments))
    throw new TypeError("must be an object with an array 'segments'");
  const { ecid, uuid, customer_id, integration_code, data_source_id, segments } = given;
  const visitor =
    customer_id === undefined
      ? simulator.visitor(String(ecid ?? uuid))
      : simulator.customer((integration_code ?? data_source_id) as string | number, customer_id as string);
  visitor.in(...segments);
}

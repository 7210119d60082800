/** Owns: `aam-segments simulate`. Next: ../testing/dcs-simulator.ts. */
import { isRecord } from '../option-checks';
import { createDcsSimulator, type DcsSimulator } from '../testing/dcs-simulator';
import { countOf } from './arguments';
import { defineCommand, EXIT, Failure, UsageError } from './command';
import { openInput } from './files';
import { endOfLine, InputText } from './input-text';
import { print, printJson } from './printer';

/** The alias and the regions. */
const PORTS = 9;

export const simulate = defineCommand({
  name: 'simulate',
  summary: 'run a simulated DCS on this machine',
  synopsis: '[options]',
  description: `Runs a simulated DCS on this machine, to develop against in any language. It listens on 127.0.0.1 until it is interrupted, and
answers calls with a Host of demdex.net or of this machine. It prints the two lines that send the calls of a site or client here.`,
  operands: [],
  options: {
    port: {
      type: 'string',
      value: '<n>',
      help: 'port of the alias; the regions listen on the eight ports after it (default: free ports)',
    },
    partner: { type: 'string', value: '<alias>', help: 'the alias that is answered (default: AAM_PARTNER, else acme)' },
    visitors: { type: 'string', value: '<file>', help: 'NDJSON with the segments of visitors' },
    'no-segment-ids': { type: 'boolean', help: 'answer like an account without d_cts enabled' },
  },
  sections: [
    {
      title: 'VISITORS',
      text: `Each line of the file is a visitor, such as
  {"ecid": "...", "segments": [984263]} (or "uuid") and
  {"customer_id": "C-1", "integration_code": "acme_crm", "segments": [984263]} (or "data_source_id").
All others are in no segment.`,
    },
  ],
  failure: 'a port is taken',
  examples: ['--port 4700 --visitors visitors.ndjson'],
  async run({ values, env, stdin, stdout }) {
    const { visitors, quiet, json } = values;
    const partner = values.partner ?? (env.AAM_PARTNER || 'acme');
    const simulator = await startSimulator(partner, countOf('port', values.port), !values['no-segment-ids']);
    try {
      const loaded = visitors === undefined ? 0 : await readVisitors(simulator, visitors, stdin);
      const { defaultOrigin, origins } = simulator.dcs;
      if (json) printJson(stdout, { partner, defaultOrigin, origins, visitors: loaded });
      else if (!quiet) {
        print(stdout, `alias      ${defaultOrigin} (Host: ${partner}.demdex.net)`);
        for (const [region, origin] of Object.entries(origins)) print(stdout, `region ${region.padEnd(4)}${origin}`);
        print(stdout, 'To call it, put these lines into the options of aamSegments() or createDcsClient():');
        for (const line of String(simulator).split('\n')) print(stdout, `  ${line}`);
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
});

async function startSimulator(partner: string, port: number | undefined, segmentIds: boolean): Promise<DcsSimulator> {
  try {
    return await createDcsSimulator({ partner, port, segmentIds });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message.replace(/options\.(\w+)/g, '--$1'));
    const { code, port: taken } = error as NodeJS.ErrnoException & { port?: number };
    if (code === 'EADDRINUSE' || code === 'EACCES') {
      const why = code === 'EADDRINUSE' ? 'is taken' : 'may not be used';
      throw new Failure(`Port ${taken} ${why}: use another --port, with ${PORTS} free ones from it on`);
    }
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
async function readVisitors(simulator: DcsSimulator, path: string, stdin: NodeJS.ReadStream): Promise<number> {
  const input = new InputText(openInput('--visitors', path, stdin), path);
  await input.open();
  let loaded = 0;
  for (;;) {
    const line = await input.next(endOfLine);
    if (line === undefined) return loaded;
    input.line++;
    if (line.trim() === '') continue;
    try {
      addVisitor(simulator, JSON.parse(input.decoded(line) ?? ''));
      loaded++;
    } catch (error) {
      throw new UsageError(`${path}, line ${input.line}: ${(error as Error).message}`);
    }
  }
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

/** `npm run chaos`, or `npm run chaos -- 60` for a minute: prints the report and the verdicts. */
import { type ChaosReport, MAX_WAIT_MS, runChaos } from './chaos';
import { percentile, verdictsOfMeasure, verdictsOfService } from './chaos-verdicts';

const seconds = Number(process.argv[2] ?? 180);
if (!(seconds >= 5)) throw new RangeError(`seconds must be a number of at least 5, got ${process.argv[2]}`);

function printed(report: ChaosReport): void {
  const { requests, faults, statuses, heldMs, idleExtraMs, refusals, optOuts, failedOptOuts, end } = report;
  const row = (values: readonly number[], offsetMs: number) => {
    const at = (percent: number) => Number((percentile(values, percent) + offsetMs).toFixed(1));
    return { views: values.length, 'p50 ms': at(50), 'p99 ms': at(99), 'p99.9 ms': at(99.9), 'slowest ms': at(100) };
  };
  console.log(`\n${requests} requests in ${seconds} s. Calls to the DCS by fault`);
  console.table(faults);
  console.log('Pages by status');
  console.table(statuses);
  console.log(`${refusals.length} refusals, ${optOuts.length} opt-outs. Opt-outs that failed, and all events`);
  console.table({ ...failedOptOuts, ...end?.stats.events });
  console.log(`Time in the middleware (maxWaitMs: ${MAX_WAIT_MS}), and on a route that only waits for as long`);
  console.table({ page: row(heldMs, 0), idle: row(idleExtraMs, MAX_WAIT_MS) });
}

async function main(): Promise<void> {
  const report = await runChaos({ seconds, seed: Date.now() % 1_000_000, express: 'express' });
  printed(report);
  for (const { wanted, isMet, seen } of [...verdictsOfService(report), ...verdictsOfMeasure(report)]) {
    console.log(`${isMet ? 'ok    ' : 'FAILED'} ${wanted}: ${seen}`);
    if (!isMet) process.exitCode = 1;
  }
}

void main();

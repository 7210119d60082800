/** The DCS simulator in its own process, so that its CPU time is not measured. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createDcsSimulator } from 'express-aam-segments/testing';
import { ecidOf, segmentsOf } from './visitors';

interface Dcs {
  readonly dcs: { readonly origins: Record<number, string>; readonly defaultOrigin: string };
  stop(): Promise<void>;
}

/** Starts a simulator with `visitors` visitors in segments, which takes `latencyMs` per call. */
export async function startDcs(visitors: number, latencyMs = 0): Promise<Dcs> {
  const child: ChildProcess = fork(__filename, [String(visitors), String(latencyMs)]);
  const [dcs] = (await once(child, 'message')) as [Dcs['dcs']];
  return {
    dcs,
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

async function serve(visitors: number, latencyMs: number): Promise<void> {
  const simulator = await createDcsSimulator({ segmentIds: true });
  for (let n = 0; n < visitors; n++) simulator.visitor(ecidOf(n)).in(...segmentsOf(n));
  const slowDown = () => latencyMs > 0 && simulator.fault({ kind: 'latency', latencyMs });
  slowDown();
  // Or the log would grow without bound.
  setInterval(() => {
    simulator.clear();
    slowDown();
  }, 1_000).unref();
  process.on('disconnect', () => process.exit());
  process.send?.(simulator.dcs);
}

if (require.main === module) void serve(Number(process.argv[2]), Number(process.argv[3]));

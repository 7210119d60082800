import { PassThrough } from 'node:stream';
import { runCli } from '../../src/cli/cli';

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in this process. */
export async function cli(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Result> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const streams = { stdin, stdout, stderr } as unknown as Parameters<typeof runCli>[1];
  const code = await runCli(args, streams, env);
  return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}

#!/usr/bin/env node
/** Owns: the process of `aam-segments`. Next: cli.ts. */
import { runCli } from './cli';
import { EXIT } from './command';
import { systemError } from './files';
import { print } from './printer';

// The reader may close the pipe early, as in `aam-segments ids | head`: what is left has nowhere to go.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') print(process.stderr, `aam-segments: standard output: ${systemError(error)}`);
  process.exit(EXIT.failed);
});
// Nobody is left to be told.
process.stderr.on('error', () => {});

// One line each, without the number of the process and advice for developers.
process.removeAllListeners('warning');
process.on('warning', ({ message }) =>
  print(process.stderr, `aam-segments: ${message.replace(/options\.orgId/g, '--org')}`),
);

void runCli(process.argv.slice(2), process, process.env).then((exitCode) => {
  process.exitCode = exitCode;
});

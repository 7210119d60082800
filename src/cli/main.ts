#!/usr/bin/env node
/** Owns: `aam-segments <command>`. Each command is a file, or a folder, beside this one. */
import { bulk } from './bulk/command';
import { type Command, EXIT, type ExitCode, print, UsageError } from './command';
import { cookie } from './cookie';
import { doctor } from './doctor';
import { ids } from './ids';
import { lookup } from './lookup';
import { simulate } from './simulate';

const COMMANDS: Readonly<Record<string, Command>> = { lookup, cookie, bulk, ids, doctor, simulate };

const HELP = `Adobe Audience Manager segments on the command line.

Usage: aam-segments <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

Run aam-segments <command> --help for its options. Exit code: 0 success, 1 failure, 2 wrong usage.`;

async function main([name, ...args]: readonly string[]): Promise<ExitCode> {
  const { stdin, stdout, stderr } = process;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(name === undefined ? stderr : stdout, HELP);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    print(stderr, `aam-segments: unknown command '${name}'. Run aam-segments --help for the list.`);
    return EXIT.usage;
  }
  if (args.includes('--help') || args.includes('-h')) {
    print(stdout, command.help);
    return EXIT.ok;
  }
  try {
    return await command.run(args, { stdin, stdout, stderr });
  } catch (error) {
    const isUsage = error instanceof UsageError;
    print(stderr, `aam-segments ${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (isUsage) print(stderr, `Run aam-segments ${name} --help for its options.`);
    return isUsage ? EXIT.usage : EXIT.failed;
  }
}

// The reader may close the pipe early: `aam-segments ids | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

void main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode;
});

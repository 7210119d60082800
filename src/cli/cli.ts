/** Owns: which command runs, and what its errors look like. Each command is a file, or a folder, beside this one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments, suggestion } from './arguments';
import { bulk } from './bulk/command';
import { type Command, type Environment, EXIT, type ExitCode, type Streams, UsageError } from './command';
import { completionOf } from './completion';
import { consent } from './consent';
import { cookie } from './cookie';
import { doctor } from './doctor';
import { isSystemError, systemError } from './files';
import { helpOf, overview } from './help';
import { ids } from './ids';
import { lookup } from './lookup';
import { print, printJson, printOwnText } from './printer';
import { simulate } from './simulate';

const OTHERS: readonly Command[] = [lookup, cookie, consent, bulk, ids, doctor, simulate];
export const COMMANDS: readonly Command[] = [...OTHERS, completionOf(OTHERS)];

/** Runs `aam-segments <args>`. Resolves with the exit code, and does not reject. */
export async function runCli(args: readonly string[], streams: Streams, env: Environment): Promise<ExitCode> {
  const { stdout, stderr } = streams;
  const [name, ...rest] = args;
  const names = COMMANDS.map((command) => command.name);
  if (name === '--version' || name === '-V' || name === 'version') {
    if (rest.includes('--json')) printJson(stdout, { version: version() });
    else print(stdout, version());
    return EXIT.ok;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    printOwnText(stdout, overview(COMMANDS));
    return EXIT.ok;
  }
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) {
    const known = [...names, '--help', '--version'];
    const why = name === undefined ? `Missing command: use ${names.join(', ')}, or --help` : undefined;
    print(stderr, `aam-segments: ${why ?? `Unknown command '${name}'${suggestion(name as string, known)}`}`);
    return EXIT.usage;
  }
  try {
    const { values, operands } = readArguments(command, rest);
    if (values.help) {
      printOwnText(stdout, helpOf(command));
      return EXIT.ok;
    }
    return await command.run({ ...streams, values, operands, env });
  } catch (error) {
    const message = isSystemError(error) ? systemError(error) : error instanceof Error ? error.message : String(error);
    print(stderr, `aam-segments ${command.name}: ${message}`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8'));
  return version;
}

/** Owns: what all commands share: reading arguments, exit codes, printing. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AamError } from '../errors';

/** `failed`: something went wrong at run time; `usage`: the command was called in a wrong way. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  readonly help: string;
  run(args: readonly string[], streams: Streams): Promise<ExitCode>;
}

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** A mistake in how the command was called: exit code 2, with a pointer to `--help`. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig['options']>;

type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; allowPositionals: boolean; strict: true }>
>;

/** @throws {UsageError} */
export function readArgs<const O extends Options>(
  args: readonly string[],
  options: O,
  positionals: readonly string[] = [],
): { readonly values: Parsed<O>['values']; readonly positionals: readonly string[] } {
  const parsed = usage(() =>
    parseArgs({ args: [...args], options, allowPositionals: positionals.length > 0, strict: true }),
  );
  const given = parsed.positionals as readonly string[];
  if (given.length !== positionals.length) {
    throw new UsageError(`expected one argument ${positionals.join(' ')}, got ${given.length}`);
  }
  return { values: parsed.values, positionals: given };
}

/** Runs `run`; turns errors about arguments and options into a {@link UsageError}. */
export function usage<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof AamError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
      throw new UsageError((error as Error).message);
    }
    throw error;
  }
}

/**
 * Parses an argument that is an integer from 1.
 * @throws {UsageError}
 */
export function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(`--${name} must be an integer of at least 1, got '${text}'`);
  return count;
}

export function print(stream: NodeJS.WritableStream, line: string): void {
  stream.write(`${line}\n`);
}

export function printJson(stream: NodeJS.WritableStream, value: unknown): void {
  print(stream, JSON.stringify(value));
}

/** Owns: what a command is, its options, exit codes and errors. Next: arguments.ts, which reads them; cli.ts, which runs it. */

/** `failed`: something went wrong at run time; `usage`: the command was called in a wrong way. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  /** Whether it can be repeated. */
  readonly multiple?: true;
  /** What stands for its value in the help, such as `<file>`. */
  readonly value?: string;
  readonly help: string;
  /** All values that it takes, for completion. */
  readonly choices?: readonly string[];
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** A flag that is not given is `false`, a list that is not given is empty. */
export type OptionValues<O extends OptionSpecs> = {
  readonly [Name in keyof O]: O[Name]['type'] extends 'boolean'
    ? boolean
    : O[Name] extends { readonly multiple: true }
      ? readonly string[]
      : string | undefined;
};

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** How a command was called. */
export interface Call<O extends OptionSpecs = OptionSpecs> extends Streams {
  readonly values: OptionValues<O> & OptionValues<typeof COMMON_OPTIONS>;
  /** Arguments without a dash, as many as the command has operands. */
  readonly operands: readonly string[];
  readonly env: Environment;
}

/** A section of the help beside the usual ones. */
export interface HelpSection {
  readonly title: string;
  readonly text: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What follows the name in the synopsis. */
  readonly synopsis: string;
  readonly description: string;
  /** How the arguments without a dash are called in messages. */
  readonly operands: readonly string[];
  /** All values that the first operand takes, for completion. */
  readonly operandChoices?: readonly string[];
  readonly options: OptionSpecs;
  readonly sections: readonly HelpSection[];
  /** What exit code 1 means. */
  readonly failure: string;
  readonly examples: readonly string[];
  run(call: Call): Promise<ExitCode>;
}

/** Options of every command. */
export const COMMON_OPTIONS = {
  json: { type: 'boolean', help: 'print JSON instead of text' },
  quiet: { type: 'boolean', help: 'print results only in files, and errors; the exit code tells the rest' },
  help: { type: 'boolean', help: 'print this help' },
} as const satisfies OptionSpecs;

/** Makes a command; `run` gets the values that its options have. */
export function defineCommand<const O extends OptionSpecs>(
  command: Omit<Command, 'options' | 'run'> & { readonly options: O; run(call: Call<O>): Promise<ExitCode> },
): Command {
  return command as unknown as Command;
}

/** A mistake in how the command was called: exit code 2. The message says what would have been right. */
export class UsageError extends Error {}

/** Something outside went wrong: exit code 1. */
export class Failure extends Error {}

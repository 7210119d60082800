/** Owns: the help of the command line and of each command, in the shape of a manual page. */
import { COMMON_OPTIONS, type Command, type OptionSpecs } from './command';

const EXIT_STATUS = (failure: string) => `  0  success
  1  ${failure}
  2  wrong usage`;

export function helpOf(command: Command): string {
  const { name, summary, synopsis, description, options, sections, failure, examples } = command;
  return [
    `NAME\n  aam-segments ${name} - ${summary}`,
    `SYNOPSIS\n  aam-segments ${name} ${synopsis}`,
    `DESCRIPTION\n${description}`,
    `OPTIONS\n${optionsIn({ ...options, ...COMMON_OPTIONS })}`,
    ...sections.map(({ title, text }) => `${title}\n${text}`),
    `EXIT STATUS\n${EXIT_STATUS(failure)}`,
    `EXAMPLES\n${examples.map((example) => `  aam-segments ${name} ${example}`).join('\n')}`,
  ].join('\n\n');
}

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  return [
    'NAME\n  aam-segments - Adobe Audience Manager segments on the command line',
    'SYNOPSIS\n  aam-segments <command> [options]\n  aam-segments --version',
    `COMMANDS\n${commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`).join('\n')}`,
    `EXIT STATUS\n${EXIT_STATUS('failure')}`,
    'Run aam-segments <command> --help for its options.',
  ].join('\n\n');
}

function optionsIn(options: OptionSpecs): string {
  return Object.entries(options)
    .map(([name, { value, help }]) => {
      const flag = `  --${name}${value === undefined ? '' : ` ${value}`}`;
      return flag.length < 25 ? `${flag.padEnd(26)}${help}` : `${flag}\n${''.padEnd(26)}${help}`;
    })
    .join('\n');
}

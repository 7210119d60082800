/** Owns: `aam-segments completion`: scripts with which bash and zsh complete commands, options and values. */
import { COMMON_OPTIONS, type Command, defineCommand, EXIT, type OptionSpecs, UsageError } from './command';
import { printJson, printOwnText } from './printer';

const SHELLS = ['bash', 'zsh'];

/** @param commands the others */
export function completionOf(commands: readonly Command[]): Command {
  const completion: Command = defineCommand({
    name: 'completion',
    summary: 'print a script that completes commands and options in bash or zsh',
    synopsis: '<bash|zsh>',
    description: 'Prints a script for the shell. It completes commands, options, and names of files.',
    operands: ['<bash|zsh>'],
    operandChoices: SHELLS,
    options: {},
    sections: [
      { title: 'INSTALLATION', text: '  eval "$(aam-segments completion bash)"   in ~/.bashrc; in ~/.zshrc with zsh' },
    ],
    failure: 'failure',
    examples: ['bash'],
    async run({ values, operands, stdout }) {
      const [shell = ''] = operands;
      if (!SHELLS.includes(shell)) throw new UsageError(`Unknown shell '${shell}': use bash or zsh`);
      const script = scriptFor(shell, [...commands, completion]);
      if (values.json) printJson(stdout, { shell, script });
      else if (!values.quiet) printOwnText(stdout, script);
      return EXIT.ok;
    },
  });
  return completion;
}

/** Names and choices are our own: nothing in them needs quoting. */
function scriptFor(shell: string, commands: readonly Command[]): string {
  const cases = commands.map(({ name, options, operandChoices = [] }) => {
    const known: OptionSpecs = { ...options, ...COMMON_OPTIONS };
    const words = [...Object.keys(known).map((option) => `--${option}`), ...operandChoices].join(' ');
    const values = Object.entries(known).flatMap(([option, { choices }]) =>
      choices === undefined
        ? []
        : [`      --${option}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$word")); return;;`],
    );
    const choosing = values.length === 0 ? '' : `\n    case "$before" in\n${values.join('\n')}\n    esac`;
    return `  ${name})${choosing}\n    words='${words}';;`;
  });
  const names = commands.map(({ name }) => name).join(' ');
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_aam_segments() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W '${names} --help --version' -- "$word")); return; fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word"));;
    *) COMPREPLY=($(compgen -f -- "$word") $(compgen -W "$words" -- "$word"));;
  esac
}
complete -o filenames -F _aam_segments aam-segments`;
}

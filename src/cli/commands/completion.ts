/** `completion` of fanctl and fanatic: what a shell needs to complete their words, from the definitions of the commands. */
import { FanError } from '../../base/error.js';
import { completionScript, SHELLS } from '../output/completion-script.js';
import { print, programName } from '../output/output.js';
import { type Command, type CommandLoaders, refuseWord } from './command.js';

/** The command that completes all of `loaders`, itself among them. */
export function completionCommand(loaders: CommandLoaders): Command {
  const program = programName();
  return {
    name: 'completion',
    synopsis: [`completion ${SHELLS.join('|')}`],
    summary: 'print what makes a shell complete these words',
    description: 'To be sourced by the shell, or kept where it looks for completions. Nothing is installed.',
    options: [],
    completes: SHELLS.join('|'),
    examples: [
      `completion bash > /etc/bash_completion.d/${program}`,
      `completion zsh > /usr/local/share/zsh/site-functions/_${program}`,
      `completion fish > /etc/fish/completions/${program}.fish`,
    ],
    run: async ({ words }) => {
      const [name, ...more] = words;
      if (name === undefined) throw new FanError('usage', `completion for which shell? ${SHELLS.join(', ')}`);
      refuseWord('completion', more[0]);
      const shell = SHELLS.find((known) => known === name);
      if (!shell) throw new FanError('usage', `completion knows no "${name}": say ${SHELLS.join(', ')}`);
      const commands = await Promise.all([...loaders.values()].map((load) => load()));
      print(completionScript(shell, commands, program).trimEnd());
    },
  };
}

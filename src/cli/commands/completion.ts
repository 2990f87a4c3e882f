/** `fanctl completion`: what a shell needs to complete fanctl's words, made from the definitions of the commands. */
import { FanError } from '../../base/error.js';
import { completionScript, SHELLS } from '../output/completion-script.js';
import { print } from '../output/output.js';
import { type Command, type CommandLoaders, refuseWord } from './command.js';

/** The command that completes all of `loaders`, itself among them. */
export function completionCommand(loaders: CommandLoaders): Command {
  return {
    name: 'completion',
    synopsis: [`completion ${SHELLS.join('|')}`],
    summary: 'print what makes a shell complete these words',
    description: 'To be sourced by the shell, or kept where it looks for completions. Nothing is installed.',
    options: [],
    completes: SHELLS.join('|'),
    examples: [
      'completion bash > /etc/bash_completion.d/fanctl',
      'completion zsh > /usr/local/share/zsh/site-functions/_fanctl',
      'completion fish > /etc/fish/completions/fanctl.fish',
    ],
    run: async ({ words }) => {
      const [name, ...more] = words;
      if (name === undefined) throw new FanError('usage', `completion for which shell? ${SHELLS.join(', ')}`);
      refuseWord('completion', more[0]);
      const shell = SHELLS.find((known) => known === name);
      if (!shell) throw new FanError('usage', `completion knows no "${name}": say ${SHELLS.join(', ')}`);
      print(
        completionScript(shell, await Promise.all([...loaders.values()].map((load) => load()))).trimEnd(),
      );
    },
  };
}

/** `help` of fanctl and fanatic: an overview, or one command with its options. The manual (man/fanctl.8) says more. */
import type { Parsed } from '../../base/command-line.js';
import { FanError } from '../../base/error.js';
import { programName } from '../output/output.js';
import { type Command, type CommandLoaders, runCommandLine } from './command.js';

/** The command that explains all of `loaders`, itself among them. */
export function helpCommand(loaders: CommandLoaders, about?: Parsed): Command {
  return {
    name: 'help',
    synopsis: ['help [COMMAND]'],
    summary: `explain ${about?.name ?? 'fanctl'} or one of its commands`,
    description: 'COMMAND --help does the same.',
    options: [],
    completes: 'COMMAND',
    examples: about ? [] : ['help up', 'up --help'],
    run: ({ words }) => {
      const [name, ...more] = words;
      if (more.length > 0)
        throw new FanError('usage', `help explains one command at a time: see ${programName()} help`);
      return runCommandLine(loaders, name === undefined ? ['--help'] : [name, '--help'], about);
    },
  };
}

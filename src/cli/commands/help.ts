/** `fanctl help`: an overview, or one command with its options. The manual (man/fanctl.8) says more. */
import { FanError } from '../../base/error.js';
import { FAN_FLAGS } from '../../config/fan-flags.js';
import { print } from '../output/output.js';
import { type Command, type CommandLoaders, type CommandOption, loadCommand } from './command.js';

/** The command that explains all of `loaders`, itself among them. */
export function helpCommand(loaders: CommandLoaders): Command {
  return {
    name: 'help',
    synopsis: ['help [COMMAND]'],
    summary: 'explain fanctl or one of its commands',
    description: 'COMMAND --help does the same.',
    options: [],
    run: async ({ words }) => {
      const [name, ...more] = words;
      if (more.length > 0) throw new FanError('usage', 'help explains one command at a time');
      if (name !== undefined) return print(formatCommand(await loadCommand(loaders, name)));
      print(formatOverview(await Promise.all([...loaders.values()].map((load) => load()))));
    },
  };
}

function formatOverview(commands: readonly Command[]): string {
  const forms = commands.flatMap(({ synopsis }) => synopsis.map((form) => `  fanctl ${form}`));
  const names = formatTable(commands.map(({ name, summary }) => [name, summary]));
  return [
    'fanctl: fan networking, an overlay mapped onto the addresses of the underlay',
    '',
    ...forms,
    '',
    ...names,
    '',
    'fanctl help COMMAND says more, the manual (man fanctl) all. For example:',
    '  fanctl up 250.0.0.0/8 eth0/16 dhcp',
  ].join('\n');
}

export function formatCommand(command: Command): string {
  const lines = command.synopsis.map((form, i) => `${i === 0 ? 'usage:' : '      '} fanctl ${form}`);
  lines.push('', command.description);
  if (command.options.length > 0) {
    lines.push('', 'Options:');
    lines.push(...formatTable(command.options.map(describeOption)));
  }
  if (command.takesFlags) {
    lines.push('', 'Flags:');
    lines.push(
      ...formatTable(FAN_FLAGS.map((flag) => [`${flag.name} ${flag.argument ?? ''}`.trim(), flag.summary])),
    );
  }
  return lines.join('\n');
}

function describeOption({ names, value, summary }: CommandOption): [string, string] {
  return [`${names.join(', ')} ${value ?? ''}`.trim(), summary];
}

function formatTable(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
}

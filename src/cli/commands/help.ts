/** `fanctl help`: an overview, or one command with its options. The manual (man/fanctl.8) says more. */
import { FanError } from '../../base/error.js';
import { FAN_FLAGS } from '../../config/fan-flags.js';
import type { Command, CommandOption } from '../command.js';
import { print } from '../output.js';

/** The command that explains `others` and itself. */
export function helpCommand(others: readonly Command[]): Command {
  const help: Command = {
    name: 'help',
    synopsis: ['help [COMMAND]'],
    summary: 'explain fanctl or one of its commands',
    description: 'COMMAND --help does the same.',
    options: [],
    run: async ({ words }) => {
      const [name, ...more] = words;
      if (more.length > 0) throw new FanError('usage', 'help explains one command at a time');
      const all = [...others, help];
      print(name === undefined ? formatOverview(all) : formatCommand(findCommand(all, name)));
    },
  };
  return help;
}

/** Throws FanError usage, which names the commands that there are. */
export function findCommand(commands: readonly Command[], name: string): Command {
  const command = commands.find((one) => one.name === name);
  if (command) return command;
  if (name === 'config') {
    throw new FanError('unsupported', 'config is not in this release: edit /etc/network/fan by hand');
  }
  const names = commands.map((one) => one.name).join(', ');
  throw new FanError('usage', `unknown command "${name}": say one of ${names}`);
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

#!/usr/bin/env node
/**
 * fanatic, Ubuntu's guide to setting a host and its container runtimes up for a fan: loads the command that the first
 * word names (fanatic/) and runs it.
 */
import type { Parsed } from '../base/command-line.js';
import { runPaths } from '../control/protocol.js';
import { type Command, type CommandLoaders, runCommandLine } from './commands/command.js';
import { runProgram } from './output/output.js';

/** In the order of the help: fanatic/runtime-commands.ts makes a pair of commands of each. */
const RUNTIMES = ['docker', 'lxd', 'incus', 'lxc', 'podman', 'cni'];

const FANATIC: Parsed = {
  name: 'fanatic',
  synopsis: ['COMMAND ...', '', '--version'],
  description: `sets a host and its container runtimes up for a fan, to stay over a boot. A fan is
said as OVERLAY UNDERLAY, or with -o and -u; without, the one line of /etc/network/fan is meant. fanatic alone, at a terminal, asks.`,
  options: [],
  sections: [
    [
      'More',
      [
        ['fanatic help COMMAND', 'all of one command'],
        ['man fanatic', 'all of all'],
      ],
    ],
  ],
  examples: ['fanatic enable-fan -o 250.0.0.0/8 -u 172.30.0.0/16', 'fanatic enable-docker', 'fanatic show'],
};

const COMMANDS: CommandLoaders = new Map([
  ['enable-fan', async () => (await import('./fanatic/enable-fan.js')).enableFan],
  ['disable-fan', async () => (await import('./fanatic/disable-fan.js')).disableFan],
  ...RUNTIMES.flatMap((name): [string, () => Promise<Command>][] => [
    [`enable-${name}`, () => loadRuntime(name, 'enableCommand')],
    [`disable-${name}`, () => loadRuntime(name, 'disableCommand')],
  ]),
  ['show', async () => (await import('./fanatic/show.js')).show],
  ['test', async () => (await import('./fanatic/test.js')).test],
  ['configure', async () => (await import('./fanatic/configure.js')).configure],
  ['deconfigure', async () => (await import('./fanatic/configure.js')).deconfigure],
  ['help', async () => (await import('./commands/help.js')).helpCommand(COMMANDS, FANATIC)],
  ['completion', async () => (await import('./commands/completion.js')).completionCommand(COMMANDS)],
]);

async function loadRuntime(name: string, which: 'enableCommand' | 'disableCommand'): Promise<Command> {
  const commands = await import('./fanatic/runtime-commands.js');
  return commands[which](commands.runtimeOf(name));
}

void runProgram('fanatic', async () => {
  const words = process.argv.slice(2);
  if (words.length > 0 || !process.stdin.isTTY) return runCommandLine(COMMANDS, words, FANATIC);
  const { runWizard } = await import('./fanatic/configure.js');
  await runWizard(runPaths());
});

#!/usr/bin/env node
/**
 * fanctl, the operator's command: loads the command that the first word names (commands/, a file each) and runs it.
 * It decides nothing about fans: the words are read by config/, the work is done by fand.
 */
import { createRequire } from 'node:module';
import { FanError } from '../base/error.js';
import { runPaths } from '../control/protocol.js';
import { type CommandLoaders, loadCommand, splitOptions } from './commands/command.js';
import { print, runProgram } from './output/output.js';

/** In the order of the help. All of them take longer to load than most take to run: each is loaded when it is asked for. */
const COMMANDS: CommandLoaders = new Map([
  ['up', async () => (await import('./commands/up.js')).up],
  ['down', async () => (await import('./commands/down.js')).down],
  ['show', async () => (await import('./commands/show.js')).show],
  ['stats', async () => (await import('./commands/stats.js')).stats],
  ['explain', async () => (await import('./commands/explain.js')).explain],
  ['probe', async () => (await import('./commands/probe.js')).probe],
  ['trace', async () => (await import('./commands/trace.js')).trace],
  ['capture', async () => (await import('./commands/capture.js')).capture],
  ['dissect', async () => (await import('./commands/dissect.js')).dissect],
  ['doctor', async () => (await import('./commands/doctor.js')).doctor],
  ['top', async () => (await import('./commands/top.js')).top],
  ['help', async () => (await import('./commands/help.js')).helpCommand(COMMANDS)],
]);

const HELP_OPTIONS = ['--help', '-h'];

async function main(words: readonly string[]): Promise<void> {
  const [name, ...rest] = words;
  if (name === undefined) {
    throw new FanError('usage', `say what to do: ${[...COMMANDS.keys()].join(', ')}; fanctl help explains`);
  }
  if (name === '--version') return print(`fanctl ${version()}`);
  const paths = runPaths();
  if (HELP_OPTIONS.includes(name)) return main(['help']);
  const command = await loadCommand(COMMANDS, name);
  if (rest.some((word) => HELP_OPTIONS.includes(word))) {
    const { formatCommand } = await import('./commands/help.js');
    return print(formatCommand(command));
  }
  return command.run({ ...splitOptions(command, rest), paths });
}

function version(): string {
  return (createRequire(import.meta.url)('#package') as { version: string }).version;
}

await runProgram('fanctl', () => main(process.argv.slice(2)));

#!/usr/bin/env node
/**
 * fanctl, the operator's command: finds the command that the first word names and runs it (commands/, a file
 * each). It decides nothing about fans: the words are read by config/, the work is done by fand.
 */
import { createRequire } from 'node:module';
import { FanError } from '../base/error.js';
import { runPaths } from '../daemon/protocol.js';
import { splitOptions } from './command.js';
import { capture } from './commands/capture.js';
import { dissect } from './commands/dissect.js';
import { doctor } from './commands/doctor.js';
import { down } from './commands/down.js';
import { explain } from './commands/explain.js';
import { findCommand, formatCommand, helpCommand } from './commands/help.js';
import { probe } from './commands/probe.js';
import { show } from './commands/show.js';
import { stats } from './commands/stats.js';
import { top } from './commands/top.js';
import { trace } from './commands/trace.js';
import { up } from './commands/up.js';
import { print, runProgram } from './output.js';

const WORKERS = [up, down, show, stats, explain, probe, trace, capture, dissect, doctor, top];
const HELP = helpCommand(WORKERS);
const COMMANDS = [...WORKERS, HELP];

const HELP_OPTIONS = ['--help', '-h'];

async function main(words: readonly string[]): Promise<void> {
  const [name, ...rest] = words;
  if (name === undefined) {
    const names = COMMANDS.map((command) => command.name).join(', ');
    throw new FanError('usage', `say what to do: ${names}; fanctl help explains`);
  }
  if (name === '--version') return print(`fanctl ${version()}`);
  const paths = runPaths();
  if (HELP_OPTIONS.includes(name)) return HELP.run({ words: [], given: new Map(), paths });
  const command = findCommand(COMMANDS, name);
  if (rest.some((word) => HELP_OPTIONS.includes(word))) return print(formatCommand(command));
  return command.run({ ...splitOptions(command, rest), paths });
}

function version(): string {
  return (createRequire(import.meta.url)('#package') as { version: string }).version;
}

await runProgram('fanctl', () => main(process.argv.slice(2)));

#!/usr/bin/env node
/**
 * fanctl, the operator's command: loads the command that the first word names (commands/, a file each) and runs it.
 * It decides nothing about fans: the words are read by config/, the work is done by fand.
 */
import { type CommandLoaders, runCommandLine } from './commands/command.js';
import { runProgram } from './output/output.js';

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
  ['config', async () => (await import('./commands/config.js')).config],
  ['leases', async () => (await import('./commands/leases.js')).leases],
  ['logs', async () => (await import('./commands/logs.js')).logs],
  ['restart', async () => (await import('./commands/restart.js')).restart],
  ['help', async () => (await import('./commands/help.js')).helpCommand(COMMANDS)],
  ['completion', async () => (await import('./commands/completion.js')).completionCommand(COMMANDS)],
]);

void runProgram('fanctl', () => runCommandLine(COMMANDS, process.argv.slice(2)));

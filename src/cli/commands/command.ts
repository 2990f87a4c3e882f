/**
 * What a command of fanctl or fanatic is: a name, its help, the options of its own, and the function that does it. From
 * the one definition come what the command line takes (commander, base/command-line.ts), the help, and shell completion.
 * The words that describe a fan are config/'s; they reach `run` untouched.
 */
import { Command as Parser } from 'commander';
import type { HelpRow } from '../../base/command-help.js';
import {
  type CommandOption,
  createParser,
  joinShortValues,
  type Parsed,
  packageVersion,
  readWords,
  runParser,
  withHint,
} from '../../base/command-line.js';
import { FanError, UnknownWord } from '../../base/error.js';
import { FAN_FLAGS } from '../../config/fan-flags.js';
import { type RunPaths, runPaths } from '../../control/protocol.js';
import { beQuiet, programName } from '../output/output.js';

export type { CommandOption };

export interface Invocation {
  /** What is left of the command line without the command and its own options. */
  readonly words: readonly string[];
  /** The command's own options that were given: first spelling → value, '' for a flag. */
  readonly given: ReadonlyMap<string, string>;
  readonly paths: RunPaths;
}

export interface Command {
  readonly name: string;
  /** The forms of the command line, without the program. */
  readonly synopsis: readonly string[];
  readonly summary: string;
  /** A paragraph for `fanctl help NAME`, wrapped to the terminal. */
  readonly description: string;
  /** The words that are no options, by their name in the synopsis. */
  readonly operands?: readonly HelpRow[];
  /** A value's name says how a shell completes it, see completion.ts: FILE, BRIDGE, "a|b". */
  readonly options: readonly CommandOption[];
  /** Whether the flags of a fan are listed in its help. */
  readonly takesFlags?: boolean;
  /** How a shell completes its words, as of a value: FILE, FAN-WORDS, FANS-UP, COMMAND, "a|b". */
  readonly completes?: string;
  /** Command lines for the help, without the program. */
  readonly examples?: readonly string[];
  /** Throws FanError; what it prints goes through output.ts. */
  run(invocation: Invocation): Promise<void>;
}

/** Every command by its name, and how it is loaded. */
export type CommandLoaders = ReadonlyMap<string, () => Promise<Command>>;

const FANCTL: Parsed = {
  name: 'fanctl',
  synopsis: ['COMMAND ...', '--version'],
  description: 'fan networking: an overlay mapped onto the addresses of the underlay',
  options: [],
  sections: [
    [
      'More',
      [
        ['fanctl help COMMAND', 'all of one command'],
        ['man fanctl', 'all of all'],
      ],
    ],
  ],
  examples: ['fanctl up 250.0.0.0/8 eth0/16 dhcp', 'fanctl show'],
};

/** Options that several commands have. */
export const QUIET: CommandOption = {
  names: ['-q', '--quiet'],
  summary: 'print nothing but errors: the exit status tells the rest',
};
export const JSON_OPTION: CommandOption = { names: ['--json'], summary: 'what was done, as an object' };
export const DRY_RUN: CommandOption = {
  names: ['--dry-run'],
  summary: 'print each step in words and as the command that it stands for; change nothing',
};
export const ALL: CommandOption = { names: ['-a', '--all'], summary: 'every line of /etc/network/fan' };

const FLAGS = FAN_FLAGS.map(
  ({ name, argument, summary }): HelpRow => [`${name} ${argument ?? ''}`.trim(), summary],
);

/**
 * Does what `argv` says by the command of `about` that its first word names; only that one is loaded. Throws FanError.
 */
export async function runCommandLine(
  loaders: CommandLoaders,
  argv: readonly string[],
  about: Parsed = FANCTL,
): Promise<void> {
  const [name] = argv;
  if (name === undefined) {
    const names = [...loaders.keys()].join(', ');
    throw new FanError('usage', `say what to do: ${names}; ${about.name} help explains`);
  }
  const command = await loaders.get(name)?.();
  const isOverview = name === '--help' || name === '-h';
  const shown = isOverview ? await Promise.all([...loaders.values()].map((load) => load())) : [command];
  // Looked up where it is asked for: it stands in a file of its own.
  const version = argv.includes('--version') ? packageVersion() : '';
  const program = createParser(about).version(`${about.name} ${version}`, '--version', 'print the version');
  // What stands behind the command is the command's.
  program.enablePositionalOptions();
  for (const known of shown) if (known) program.addCommand(parserOf(known, about.name));
  // Of the others the name is enough, to know a typo by.
  if (!command && !isOverview) for (const each of loaders.keys()) program.addCommand(new Parser(each));
  // A help for what is no command is none.
  const words = command || name.startsWith('-') ? argv : [name];
  await runParser(program, joinShortValues(words, command?.options ?? []));
}

function parserOf(command: Command, program: string): Parser {
  const parser = createParser({
    ...command,
    sections: command.takesFlags ? [['Flags', FLAGS]] : [],
    examples: (command.examples ?? []).map((words) => `${program} ${words}`),
  });
  // Words that are no options of its own are the command's to judge.
  parser.allowUnknownOption().allowExcessArguments().summary(command.summary);
  return parser.action(async () => {
    try {
      const read = readWords(parser, command.options);
      if (command.options.includes(QUIET) && read.given.has('-q')) beQuiet();
      await command.run({ ...read, paths: runPaths() });
    } catch (error) {
      throw error instanceof UnknownWord ? withHint(error, command.options) : error;
    }
  });
}

/** Throws UnknownWord where a command that takes no more has a word left. */
export function refuseWord(name: string, word: string | undefined): void {
  if (word !== undefined)
    throw new UnknownWord(`${name} takes no "${word}"`, `see ${programName()} help ${name}`, [word]);
}

/** Throws FanError not-root: `up` and `down` change the host's network, `show` and `stats` only read. */
export function requireRoot(name: string): void {
  if (process.geteuid?.() !== 0)
    throw new FanError('not-root', `${name} must run as root: try sudo ${programName()} ${name}`);
}

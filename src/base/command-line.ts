/**
 * How all three programs read their words, over commander: options with values in each spelling, --help, --version,
 * near names for typos. What commander finds wrong becomes one FanError usage, in our words, that says what to do.
 *
 * The words of a fan are no options of commander's: two generations of syntax, in any order, with or without dashes.
 * They are left to config/fan-line.ts, which throws UnknownWord for those that it doesn't know; `withHint` asks
 * commander here, too, which known one was meant.
 */
import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import { type Explained, helpOf } from './command-help.js';
import { FanError, type UnknownWord } from './error.js';
import { stdout } from './standard-streams.js';
import { DEFAULT_COLUMNS, terminalColumns } from './wrap.js';

export interface CommandOption {
  /** The spellings, the one in the manual first: ["-e", "--every"]. */
  readonly names: readonly string[];
  readonly summary: string;
  /** What stands for its value in the help, "FILE"; an option without it is a flag. */
  readonly value?: string;
  /** May be given several times: its values are joined by newlines. */
  readonly repeats?: boolean;
}

/** A program, or one of its commands. */
export interface Parsed extends Explained {
  readonly name: string;
  readonly options: readonly CommandOption[];
}

export interface ReadWords {
  /** What is left of the command line without the options, in its order. */
  readonly words: readonly string[];
  /** Options that were given: first spelling → value, '' for a flag. */
  readonly given: ReadonlyMap<string, string>;
}

export function packageVersion(): string {
  return (createRequire(import.meta.url)('#package') as { version: string }).version;
}

/** A parser of the words of a program, or of the command of one that it is added to. */
export function createParser(parsed: Parsed): Command {
  const parser = new Command(parsed.name)
    .helpOption('-h, --help', 'explain this, and do nothing')
    .helpCommand(false)
    .allowExcessArguments(false)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // What is wrong is told by whoever catches the error.
      writeErr: () => {},
      getOutHelpWidth: () => terminalColumns(DEFAULT_COLUMNS),
    })
    .configureHelp(helpOf(parsed));
  parser.exitOverride((error) => {
    throw error.exitCode === 0 ? error : usageError(error, parser);
  });
  for (const option of parsed.options) parser.addOption(optionOf(option));
  return parser;
}

/** Runs what `words` ask for. That only help or the version was asked for, which is printed by then, is no error. */
export async function runParser(parser: Command, words: readonly string[]): Promise<void> {
  try {
    await parser.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
  }
}

/** "-d=3" as "-d3", which is commander's spelling, for the options that have a value. */
export function joinShortValues(words: readonly string[], options: readonly CommandOption[]): string[] {
  const short = new Set(options.filter(({ value }) => value !== undefined).flatMap(({ names }) => names));
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  return words.map((word, i) => {
    const isJoined = i < end && /^-[A-Za-z]=/.test(word) && short.has(word.slice(0, 2));
    return isJoined ? word.slice(0, 2) + word.slice(3) : word;
  });
}

/** What `parser` has read. */
export function readWords(parser: Command, options: readonly CommandOption[]): ReadWords {
  const given = new Map<string, string>();
  for (const option of options) {
    const key = optionOf(option).attributeName();
    if (parser.getOptionValueSource(key) !== 'cli') continue;
    const value: unknown = parser.getOptionValue(key);
    given.set(option.names[0]!, typeof value === 'string' ? value : '');
  }
  // commander leaves the "--" where an option that it doesn't know stands before it.
  const end = parser.args.indexOf('--');
  return { words: parser.args.filter((_, i) => i !== end), given };
}

/** `error` with the known word that was meant, of its own or of `options`, where one is near. */
export function withHint(error: UnknownWord, options: readonly CommandOption[]): FanError {
  const known = [...error.known, ...options.flatMap(({ names }) => names), '--help'];
  for (const word of error.words) {
    const near = nearestOption(word, known);
    const what = error.words.length > 1 ? `unknown word "${word}"` : error.what;
    if (near !== undefined) return new FanError('usage', `${what}, did you mean ${near}?`);
  }
  return error;
}

/** As commander finds it; a word without dashes is given without them. */
function nearestOption(word: string, known: readonly string[]): string | undefined {
  const dashed = word.startsWith('--') ? word : `--${word.replace(/^-/, '')}`;
  const [flag] = dashed.split('=');
  const parser = new Command()
    .helpOption(false)
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
  for (const name of known.filter((each) => each.startsWith('--'))) parser.option(name);
  try {
    parser.parse([flag!], { from: 'user' });
  } catch (error) {
    const near = nearOf(error as CommanderError);
    return word.startsWith('-') ? near : near?.slice(2);
  }
  // A known one with dashes or without, where it is not taken: the error says enough.
  return undefined;
}

/** Of "error: unknown command 'sohw'\n(Did you mean show?)". */
function nearOf({ message }: CommanderError): string | undefined {
  return /\(Did you mean (?:one of )?(.*)\?\)/.exec(message)?.[1]?.replace(/, (?=[^,]*$)/, ' or ');
}

function usageError(error: CommanderError, parser: Command): FanError {
  const see = `see ${helpCommandOf(parser)}`;
  const said = (what: string) => new FanError('usage', what, { cause: error });
  if (error.code === 'commander.excessArguments') return said(`"${parser.args[0]}" is no option: ${see}`);
  const given = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.optionMissingArgument') {
    const [name, value = ''] = given.split(/(?:, \S+)? </);
    return said(`${name} needs a value, ${value.slice(0, -1)}: ${see}`);
  }
  const isCommand = error.code === 'commander.unknownCommand';
  const what = isCommand ? `unknown command "${given}"` : `unknown option ${given}`;
  const near = nearOf(error);
  if (near !== undefined) return said(`${what}, did you mean ${near}?`);
  const names = parser.commands.map((command) => command.name()).join(', ');
  return said(`${what}: ${isCommand ? `say one of ${names}; ${see}` : see}`);
}

/** The command line that explains it: "fanctl help up", "fand --help". */
export function helpCommandOf(parser: Command): string {
  return parser.parent ? `${parser.parent.name()} help ${parser.name()}` : `${parser.name()} --help`;
}

function optionOf({ names, summary, value, repeats }: CommandOption): Option {
  const flags = names.join(', ');
  if (value === undefined) return new Option(flags, summary);
  const option = new Option(`${flags} <${value}>`, summary);
  if (!repeats) return option;
  return option.argParser((text: string, before?: string) =>
    before === undefined ? text : `${before}\n${text}`,
  );
}

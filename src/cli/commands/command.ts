/**
 * What a command of fanctl is: a name, its help, the options of its own, and the function that does it.
 * The words that describe a fan are config/'s; they reach `run` untouched.
 */
import { FanError } from '../../base/error.js';
import type { RunPaths } from '../../control/protocol.js';

export interface CommandOption {
  /** The spellings, the one in the manual first: ["-e", "--every"]. */
  readonly names: readonly string[];
  readonly summary: string;
  /** What stands for its value in the help, "FILE"; an option without it is a flag. */
  readonly value?: string;
  /** May be given several times: its values are joined by newlines. */
  readonly repeats?: boolean;
}

export interface Invocation {
  /** What is left of the command line without the command and its own options. */
  readonly words: readonly string[];
  /** The command's own options that were given: first spelling → value, '' for a flag. */
  readonly given: ReadonlyMap<string, string>;
  readonly paths: RunPaths;
}

export interface Command {
  readonly name: string;
  /** The forms of the command line, without "fanctl". */
  readonly synopsis: readonly string[];
  readonly summary: string;
  /** A paragraph for `fanctl help NAME`, wrapped by hand. */
  readonly description: string;
  readonly options: readonly CommandOption[];
  /** Whether the flags of a fan are listed in its help. */
  readonly takesFlags?: boolean;
  /** Throws FanError; what it prints goes through output.ts. */
  run(invocation: Invocation): Promise<void>;
}

/** Every command by its name, and how it is loaded. */
export type CommandLoaders = ReadonlyMap<string, () => Promise<Command>>;

/** Throws FanError usage, which names the commands that there are. */
export function loadCommand(loaders: CommandLoaders, name: string): Promise<Command> {
  const load = loaders.get(name);
  if (load) return load();
  if (name === 'config') {
    throw new FanError('unsupported', 'config is not in this release: edit /etc/network/fan by hand');
  }
  throw new FanError('usage', `unknown command "${name}": say one of ${[...loaders.keys()].join(', ')}`);
}

/**
 * Takes the command's own options out of `words`, wherever they stand; a value is the next word, or follows a "=", or
 * the letter of a short one.
 * What stands behind "--" is left alone. Throws FanError usage.
 */
export function splitOptions(
  command: Command,
  words: readonly string[],
): Pick<Invocation, 'words' | 'given'> {
  const given = new Map<string, string>();
  const left: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') return { words: [...left, ...words.slice(i + 1)], given };
    const [name, ...rest] = splitWord(command, word);
    const option = command.options.find(({ names }) => names.includes(word) || names.includes(name!));
    if (!option || (option.value === undefined && rest.length > 0)) left.push(word);
    else if (option.value === undefined) given.set(option.names[0]!, '');
    else {
      const value = rest.length > 0 ? rest.join('=') : valueAfter(command, option, words[++i]);
      const before = option.repeats ? given.get(option.names[0]!) : undefined;
      given.set(option.names[0]!, before === undefined ? value : `${before}\n${value}`);
    }
  }
  return { words: left, given };
}

/** "--io=raw", and "-c1" where -c has a value, as name and value. */
function splitWord({ options }: Command, word: string): string[] {
  const short = word.slice(0, 2);
  const isJoined = word.length > 2 && /^-[A-Za-z]$/.test(short) && !word.includes('=');
  if (isJoined && options.some(({ names, value }) => value !== undefined && names.includes(short))) {
    return [short, word.slice(2)];
  }
  return word.split('=');
}

function valueAfter({ name }: Command, { names, value }: CommandOption, word: string | undefined): string {
  if (word !== undefined) return word;
  throw new FanError('usage', `${names[0]} needs a value, ${value}: see fanctl help ${name}`);
}

/** Throws FanError not-root: `up` and `down` change the host's network, `show` and `stats` only read. */
export function requireRoot(name: string): void {
  if (process.geteuid?.() !== 0)
    throw new FanError('not-root', `${name} must run as root: try sudo fanctl ${name}`);
}

/** `-a` reads /etc/network/fan, which this release does not. */
export function refuseAuto(name: string, words: readonly string[]): void {
  if (words.includes('-a')) {
    throw new FanError(
      'unsupported',
      `${name} -a is not in this release: name the fan, see fanctl help ${name}`,
    );
  }
}

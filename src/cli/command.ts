/**
 * What a command of fanctl is: a name, its help, the options of its own, and the function that does it.
 * The words that describe a fan are config/'s; they reach `run` untouched.
 */
import { FanError } from '../base/error.js';
import type { RunPaths } from '../daemon/protocol.js';

export interface CommandOption {
  /** The spellings, the one in the manual first: ["-e", "--every"]. */
  readonly names: readonly string[];
  readonly summary: string;
}

export interface Invocation {
  /** What is left of the command line without the command and its own options. */
  readonly words: readonly string[];
  /** First spelling of each option of the command's own that was given. */
  readonly given: ReadonlySet<string>;
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

/** Takes the command's own options out of `words`, wherever they stand. */
export function splitOptions(
  command: Command,
  words: readonly string[],
): Pick<Invocation, 'words' | 'given'> {
  const given = new Set<string>();
  const left = words.filter((word) => {
    const option = command.options.find(({ names }) => names.includes(word));
    if (option) given.add(option.names[0]!);
    return !option;
  });
  return { words: left, given };
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

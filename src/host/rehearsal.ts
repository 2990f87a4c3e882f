/**
 * A rehearsal of steps: what they read is read, what they would change is only written down, as the commands that they
 * run. For `--dry-run`.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const noted = new AsyncLocalStorage<string[][]>();

/**
 * Runs `act`, which then changes nothing, and returns the commands that it would have run, word by word; it is given
 * those that there are so far.
 */
export async function rehearse(act: (sofar: readonly string[][]) => Promise<unknown>): Promise<string[][]> {
  const commands: string[][] = [];
  await noted.run(commands, () => act(commands));
  return commands;
}

/** In a rehearsal: notes a command, a change to a file written as one too, and returns true: it must not be done. */
export function isNoted(...command: readonly string[]): boolean {
  const commands = noted.getStore();
  commands?.push([...command]);
  return commands !== undefined;
}

/** Whether this is a rehearsal. */
export function isRehearsal(): boolean {
  return noted.getStore() !== undefined;
}

/** The command for a shell. */
export function shellLine(command: readonly string[]): string {
  return command
    .map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

/** How a dry run is printed: as a script for a shell, each step in words before its commands, or as JSON. */
import { printable } from '../../base/printable.js';
import type { Rehearsal } from '../../control/rehearse.js';
import { print, printNote } from './output.js';

export function printRehearsal({ steps, notes }: Rehearsal): void {
  for (const { what, commands } of steps) {
    print(`# ${printable(what)}${commands.length === 0 ? ': nothing to be done' : ''}`);
    for (const command of commands) print(command);
  }
  for (const note of notes) printNote(note);
}

/** As `--dry-run --json` prints it. */
export function rehearsalToJson({ bridges, steps, notes }: Rehearsal) {
  return { bridges, steps, notes };
}

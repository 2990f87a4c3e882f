/**
 * How the help of a program or a command looks: its forms, what it does, what its words, options and flags are, and
 * examples; wrapped to the terminal. The lists are commander's, the layout is ours, as commander has no place for
 * several forms, for flags without dashes, or for a term as wide as the terminal.
 */
import type { Command, Help } from 'commander';
import { DEFAULT_COLUMNS, wrapText } from './wrap.js';

/** A term and what it means. */
export type HelpRow = readonly [term: string, text: string];

export interface Explained {
  /** The forms of the command line, without the program. */
  readonly synopsis: readonly string[];
  /** A paragraph; a line of it that begins with a space stays one. */
  readonly description: string;
  /** The words that are no options. */
  readonly operands?: readonly HelpRow[];
  /** More lists, each under its title. */
  readonly sections?: readonly (readonly [title: string, rows: readonly HelpRow[]])[];
  /** Whole command lines. */
  readonly examples?: readonly string[];
}

/** A text that would get less beside its term stands below it. */
const LEAST_TEXT = 20;

/** For commander's configureHelp. */
export function helpOf(explained: Explained): Partial<Help> {
  return {
    subcommandTerm: (command) => `${command.parent?.name()} ${command.name()}`,
    optionTerm: ({ flags }) => flags.replace(/[<>]/g, ''),
    formatHelp: (command, helper) => formatHelp(explained, command, helper),
  };
}

function formatHelp(explained: Explained, command: Command, helper: Help): string {
  const { synopsis, description, operands = [], sections = [], examples = [] } = explained;
  const columns = helper.helpWidth ?? DEFAULT_COLUMNS;
  const program = command.parent?.name() ?? command.name();
  const options = helper
    .visibleOptions(command)
    .map((option): HelpRow => [helper.optionTerm(option), helper.optionDescription(option)]);
  const commands = helper
    .visibleCommands(command)
    .map((each): HelpRow => [helper.subcommandTerm(each), helper.subcommandDescription(each)]);
  const lists = [
    ['Arguments', operands] as const,
    ['Options', options] as const,
    ...sections,
    ['Commands', commands] as const,
  ].filter(([, rows]) => rows.length > 0);
  const width = Math.max(...lists.flatMap(([, rows]) => rows.map(([term]) => term.length)));
  const forms = synopsis.map((form, i) => {
    const label = `${i === 0 ? 'usage:' : '      '} ${program} `;
    return wrapText(label, form, columns);
  });
  const blocks = [
    forms.join('\n'),
    wrapText('', description.replaceAll(/\n(?=\S)/g, ' '), columns),
    ...lists.map(([title, rows]) =>
      [`${title}:`, ...rows.map((row) => formatRow(row, width, columns))].join('\n'),
    ),
    ['Examples:', ...examples.map((line) => wrapText('  ', line, columns, 4))].join('\n'),
  ];
  return `${(examples.length > 0 ? blocks : blocks.slice(0, -1)).join('\n\n')}\n`;
}

function formatRow([term, text]: HelpRow, width: number, columns: number): string {
  if (columns - width - 4 >= LEAST_TEXT) return wrapText(`  ${term.padEnd(width)}  `, text, columns);
  return `  ${term}\n${wrapText('      ', text, columns)}`;
}

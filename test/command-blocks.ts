/**
 * The blocks of the documentation, and what the comment before each says of it. A block is indented by four, or fenced.
 *
 *   <!-- run: host -->        commands, run on a host of a lab as root; a page begins with no fan up
 *   <!-- run: fan -->         the same with a fan up on two hosts and a container on each
 *   <!-- run: container -->   the same, in the first host's container
 *   <!-- run: fan, until ^C -->  each line by itself, ended by an interrupt
 *   <!-- not run: REASON -->  commands that no test runs as they stand, and why
 *   <!-- output -->           what a program prints, or a file: no commands
 *
 * A fence that names its language is commands only where that is sh. test/lab/docs.test.ts runs them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../bench/lab/repository.js';

export type Place = 'host' | 'fan' | 'container';

export type Mark =
  | { readonly kind: 'run'; readonly place: Place; readonly untilInterrupt: boolean }
  | { readonly kind: 'not run'; readonly reason: string }
  | { readonly kind: 'output' };

export interface Block {
  /** Of its first line, from 1. */
  readonly line: number;
  /** Without fence and indentation. */
  readonly text: string;
  /** Undefined where no comment stands before it. */
  readonly mark: Mark | undefined;
}

const INDENT = '    ';
const RUN = /^run: (host|fan|container)(, until \^C)?$/;

/** README.md, SECURITY.md and the pages of docs/, as paths from the repository. */
export function documents(): string[] {
  const pages = readdirSync(join(REPOSITORY, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'SECURITY.md', ...pages.sort().map((name) => `docs/${name}`)];
}

export function readBlocks(document: string): Block[] {
  return blocksOf(readFileSync(join(REPOSITORY, document), 'utf8'));
}

/** Every block of a Markdown text but those fenced in a language that is not sh. Throws for a mark that is none. */
export function blocksOf(text: string): Block[] {
  const lines = text.split('\n');
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const start = i;
    const fence = /^```(\w*)/.exec(lines[i]!);
    const isIndented = startsIndented(lines, i);
    if (!fence && !isIndented) continue;
    const body: string[] = [];
    if (fence) {
      while (++i < lines.length && !lines[i]!.startsWith('```')) body.push(lines[i]!);
    } else {
      for (; isInside(lines, i); i++) body.push(lines[i]!.slice(INDENT.length));
    }
    const language = fence?.[1] ?? '';
    if (language !== '' && language !== 'sh') continue;
    blocks.push({ line: start + 1, text: body.join('\n').trimEnd(), mark: markBefore(lines, start) });
  }
  return blocks;
}

/** Behind text an indented line goes on with its paragraph, or its list. */
function startsIndented(lines: readonly string[], at: number): boolean {
  const before = lines[at - 1] ?? '';
  return lines[at]!.startsWith(INDENT) && (before === '' || before.endsWith('-->'));
}

/** An empty line is inside where the indentation goes on behind it. */
function isInside(lines: readonly string[], at: number): boolean {
  const next = lines[at] === '' ? lines.slice(at).find((line) => line !== '') : lines[at];
  return at < lines.length && next !== undefined && next.startsWith(INDENT);
}

function markBefore(lines: readonly string[], start: number): Mark | undefined {
  const comment = /^<!-- (.*) -->$/.exec(lines[start - 1] ?? '')?.[1];
  if (comment === undefined) return undefined;
  if (comment === 'output') return { kind: 'output' };
  const reason = /^not run: (.+)$/.exec(comment)?.[1];
  if (reason !== undefined) return { kind: 'not run', reason };
  const run = RUN.exec(comment);
  if (!run) throw new Error(`line ${start}: "${comment}" is no mark of a block`);
  return { kind: 'run', place: run[1] as Place, untilInterrupt: run[2] !== undefined };
}

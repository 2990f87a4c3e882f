/**
 * The terminal as a full screen: its other buffer, so that what was there comes back; no cursor; keys as they are
 * pressed. Plain ANSI (ECMA-48, xterm's private modes). However the program ends, the terminal is as before.
 */
import { writeSync } from 'node:fs';
import { isTerminal, stdout } from '../../base/standard-streams.js';

const ESC = '\x1b[';
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
const HOME = `${ESC}H`;
const REST_OF_LINE = `${ESC}K`;
const REST_OF_SCREEN = `${ESC}J`;
const BOLD = `${ESC}1m`;
const NORMAL = `${ESC}0m`;
/** What the interrupt key sends where the terminal makes no signal of it. */
export const CTRL_C = '\x03';

const DEFAULT_SIZE = { columns: 80, rows: 24 };

export interface ScreenEvents {
  onKey(key: string): void;
  onResize(): void;
}

/** Whether a full screen can be shown: stdout is a terminal that knows more than lines. */
export function hasScreen(): boolean {
  return isTerminal() && process.env.TERM !== 'dumb';
}

/** Whether the locale says that more than ASCII can be shown (POSIX: the first that is set counts). */
export function speaksUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

export class Screen {
  readonly #onKeys: (chunk: Buffer) => void;
  readonly #onResize: () => void;
  /** For an end that nobody saw coming. */
  readonly #onExit = (): void => this.close();
  #isOpen = true;

  /** Takes the terminal of stdout; keys come where stdin is one too. */
  constructor({ onKey, onResize }: ScreenEvents) {
    this.#onKeys = (chunk) => {
      for (const key of chunk.toString('utf8')) onKey(key);
    };
    this.#onResize = onResize;
    process.once('exit', this.#onExit);
    if (process.stdin.isTTY) process.stdin.setRawMode(true).on('data', this.#onKeys).resume();
    stdout.stream.on('resize', this.#onResize);
    writeSync(process.stdout.fd, ENTER);
  }

  get size(): { columns: number; rows: number } {
    const { columns, rows } = stdout.stream;
    return columns > 0 && rows > 0 ? { columns, rows } : DEFAULT_SIZE;
  }

  /** Replaces what is shown; lines that are too long or too many are the caller's to cut. */
  draw(lines: readonly { text: string; isTitle: boolean }[]): void {
    const rows = lines.map(({ text, isTitle }) => (isTitle ? `${BOLD}${text}${NORMAL}` : text));
    stdout.write(`${HOME}${rows.join(`${REST_OF_LINE}\r\n`)}${REST_OF_LINE}${REST_OF_SCREEN}`);
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#onExit);
    stdout.stream.off('resize', this.#onResize);
    try {
      if (process.stdin.isTTY) process.stdin.off('data', this.#onKeys).setRawMode(false).pause();
      writeSync(process.stdout.fd, LEAVE);
    } catch {
      // The terminal is gone, and with it all that could be restored.
    }
  }
}

/** `fanctl top`: what fand does at this moment, again and again: a screen, or lines where there is no terminal. */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { FanError } from '../../base/error.js';
import { BrokenOff, FandClient, NotRunning } from '../../control/client.js';
import type { Activity } from '../../control/protocol.js';
import { type Reading, readRates } from '../output/activity-rates.js';
import { formatCompactJson, print } from '../output/output.js';
import { CTRL_C, hasScreen, Screen, speaksUtf8 } from '../output/terminal.js';
import { ASCII, BLOCKS, type Line, RateHistories, renderTop } from '../output/top-view.js';
import { type Command, type Invocation, refuseWord } from './command.js';

const DEFAULT_SECONDS = 1;
const LEAST_SECONDS = 0.1;
const MOST_SECONDS = 3600;
/** The first rates come sooner: nobody likes to wait before an empty screen. */
const FIRST_MS = 250;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const top: Command = {
  name: 'top',
  synopsis: ['top [-d SECONDS] [-n COUNT] [--json]'],
  summary: 'watch rates, drops by reason, peers and fand itself',
  description: `A screen that is renewed until q or Ctrl-C; without a terminal, lines, once unless -n says
otherwise. Packets are counted as on the wire, bits are those of inner packets. "busy" is the
share of a CPU that each forwarding thread takes.`,
  options: [
    {
      names: ['-d'],
      value: 'SECONDS',
      summary: `between two readings, ${LEAST_SECONDS} to ${MOST_SECONDS}; 1`,
    },
    { names: ['-n'], value: 'COUNT', summary: 'leave after so many readings' },
    { names: ['--json'], summary: 'each reading as an object on a line' },
  ],
  examples: ['top', 'top -d 5', 'top -n 1 --json'],
  run,
};

interface Plan {
  readonly client: FandClient;
  readonly delayMs: number;
  /** Of readings. */
  readonly count: number;
}

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('top', words[0]);
  const delayMs = readSeconds(given.get('-d')) * 1000;
  const asked = readCount(given.get('-n'));
  const client = new FandClient(paths);
  if (!given.has('--json') && hasScreen()) {
    return new ScreenTop({ client, delayMs, count: asked ?? Number.POSITIVE_INFINITY }).run();
  }
  await printReadings({ client, delayMs, count: asked ?? 1 }, given.has('--json'));
}

function readSeconds(text: string | undefined): number {
  if (text === undefined) return DEFAULT_SECONDS;
  const seconds = Number(text);
  if (/^[0-9.]+$/.test(text) && seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return seconds;
  throw new FanError(
    'usage',
    `-d: "${text}" is no number of seconds from ${LEAST_SECONDS} to ${MOST_SECONDS}`,
  );
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(count) && count > 0) return count;
  throw new FanError('usage', `-n: "${text}" is no number from 1`);
}

/** Throws FanError where fand is not running, or leaves in between. */
async function printReadings({ client, delayMs, count }: Plan, asJson: boolean): Promise<void> {
  let before = await client.activity();
  const layout = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY, glyphs: ASCII };
  for (let printed = 0; printed < count; ) {
    await sleep(delayMs);
    const now = await client.activity();
    const reading = readRates(before, now);
    before = now;
    if (!reading) continue;
    if (printed > 0 && !asJson) print('');
    if (asJson) print(formatCompactJson(reading));
    else print(toText(renderTop(reading, new Map(), layout)));
    printed += 1;
  }
}

function toText(lines: readonly Line[]): string {
  return lines.map(({ text }) => text).join('\n');
}

/** The screen, until q, Ctrl-C, a signal, or `count` readings. */
class ScreenTop {
  readonly #plan: Plan;
  readonly #end = new AbortController();
  readonly #histories = new RateHistories();
  readonly #glyphs = speaksUtf8(process.env) ? BLOCKS : ASCII;
  #screen: Screen | undefined;
  /** What is shown, for when the size changes: a reading, or why there is none. */
  #shown: Reading | string = '';

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  async run(): Promise<void> {
    // What can be said in a line is said before the screen is taken.
    const first = await this.#plan.client.activity();
    const stop = (signal: NodeJS.Signals): void => {
      process.exitCode = 128 + constants.signals[signal];
      this.#end.abort();
    };
    for (const signal of SIGNALS) process.on(signal, stop);
    const onKey = (key: string): void => {
      if (key === 'q' || key === 'Q' || key === CTRL_C) this.#end.abort();
    };
    this.#screen = new Screen({ onKey, onResize: () => this.#draw() });
    try {
      await this.#watch(first);
    } finally {
      this.#screen.close();
      for (const signal of SIGNALS) process.off(signal, stop);
    }
  }

  async #watch(first: Activity): Promise<void> {
    let before: Activity | undefined = first;
    let wait = Math.min(FIRST_MS, this.#plan.delayMs);
    for (let drawn = 0; drawn < this.#plan.count && !this.#end.signal.aborted; drawn++) {
      await sleep(wait, undefined, { signal: this.#end.signal }).catch(() => undefined);
      if (this.#end.signal.aborted) return;
      wait = this.#plan.delayMs;
      before = await this.#read(before);
      this.#draw();
    }
  }

  /** A fand that leaves may come back: that is waited for. */
  async #read(before: Activity | undefined): Promise<Activity | undefined> {
    try {
      const now = await this.#plan.client.activity();
      const reading = before && readRates(before, now);
      if (reading) {
        this.#histories.add(reading);
        this.#shown = reading;
      }
      return now;
    } catch (error) {
      if (!(error instanceof NotRunning || error instanceof BrokenOff)) throw error;
      this.#shown = error.message;
      return undefined;
    }
  }

  #draw(): void {
    if (!this.#screen) return;
    const { columns, rows } = this.#screen.size;
    const layout = { columns, rows, glyphs: this.#glyphs };
    const shown = this.#shown;
    this.#screen.draw(
      typeof shown === 'string'
        ? [{ text: shown.slice(0, columns), isTitle: false }]
        : renderTop(shown, this.#histories.byBridge, layout),
    );
  }
}

/**
 * The live account of a demonstration: each step shown while it runs, ticked or crossed when it ends, with its
 * duration and what it has to say. Colours, and a running clock, only on a terminal.
 */

type Colour = 'green' | 'red' | 'bold' | 'dim';
const CODES: Record<Colour, string> = { green: '32', red: '31', bold: '1', dim: '2' };
const CLOCK_MS = 100;
/** Off a terminal a step that takes longer than this is announced. */
const SLOW_MS = 1000;

export class StepFailed extends Error {
  constructor(title: string, cause: unknown) {
    super(title, { cause });
    this.name = 'StepFailed';
  }
}

export class Account {
  readonly #terminal = process.stdout.isTTY === true;
  readonly #began = performance.now();

  heading(text: string): void {
    process.stdout.write(`\n${this.#paint('bold', text)}\n\n`);
  }

  /** Runs one step. `say` adds lines below it. What the action throws is shown and comes on as StepFailed. */
  async step<T>(title: string, action: (say: (text: string) => void) => Promise<T>): Promise<T> {
    const said: string[] = [];
    const start = performance.now();
    const stopClock = this.#announce(title, start);
    try {
      const result = await action((text) => said.push(...text.split('\n')));
      stopClock();
      this.#close(title, start, true, said);
      return result;
    } catch (error) {
      stopClock();
      const why = error instanceof Error ? error.message : String(error);
      this.#close(title, start, false, [...said, ...why.split('\n')]);
      throw new StepFailed(title, error);
    }
  }

  /** The last line. */
  end(failed: StepFailed | undefined): void {
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
    const text = failed ? `failed at: ${failed.message}` : 'the fan works';
    process.stdout.write(`\n${this.#paint(failed ? 'red' : 'green', text)} (${seconds} s)\n`);
  }

  #announce(title: string, start: number): () => void {
    if (!this.#terminal) {
      const timer = setTimeout(() => process.stdout.write(`  … ${title}\n`), SLOW_MS);
      return () => clearTimeout(timer);
    }
    const show = () => {
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      process.stdout.write(`\r  … ${title} ${this.#paint('dim', `${seconds} s`)}`);
    };
    show();
    const timer = setInterval(show, CLOCK_MS);
    return () => {
      clearInterval(timer);
      process.stdout.write('\r\x1b[K');
    };
  }

  #close(title: string, start: number, ok: boolean, said: readonly string[]): void {
    const mark = this.#paint(ok ? 'green' : 'red', ok ? '✓' : '✗');
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stdout.write(`  ${mark} ${title} ${this.#paint('dim', `(${seconds} s)`)}\n`);
    for (const line of said) process.stdout.write(`      ${line}\n`);
  }

  #paint(colour: Colour, text: string): string {
    return this.#terminal ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
  }
}

/**
 * Commands: start one, gather what it prints, fail with a text that says what ran, how it ended and what it
 * wrote to stderr. Everything that the lab, the demo and the benchmarks run goes through here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StartOptions {
  /** Written to stdin, which is closed after it; without it stdin is /dev/null. */
  input?: string | Uint8Array;
  /** True: stdin is open and empty for as long as the command runs. */
  openInput?: boolean;
  /** Added to the environment of this process. */
  env?: Readonly<Record<string, string>>;
}

export interface RunOptions extends StartOptions {
  /** Ended with SIGKILL after this time; the default is 60,000. */
  timeoutMs?: number;
  /** True: any exit code resolves. */
  anyExit?: boolean;
}

export interface Output {
  /** Exit code, or 128 + the signal's number as shells count. */
  code: number;
  stdout: string;
  stderr: string;
}

export class CommandError extends Error {
  readonly command: string;
  readonly output: Output;

  constructor(argv: readonly string[], output: Output, what = `exit ${output.code}`) {
    const said = (output.stderr.trim() || output.stdout.trim()).split('\n').slice(-8).join('\n  ');
    const command = argv.join(' ');
    super(`${command}: ${what}${said === '' ? '' : `\n  ${said}`}`);
    this.name = 'CommandError';
    this.command = command;
    this.output = output;
  }

  get code(): number {
    return this.output.code;
  }

  get stderr(): string {
    return this.output.stderr;
  }
}

/** A command that runs: its output so far, ways to wait for it and to end it. */
export class RunningCommand {
  readonly argv: readonly string[];
  /** Resolves when it has ended and its output is complete; never rejects, except that it couldn't start. */
  readonly ended: Promise<Output>;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  #over = false;

  constructor(argv: readonly string[], options: StartOptions = {}) {
    const [program = '', ...args] = argv;
    this.argv = argv;
    const { input, openInput = false, env } = options;
    this.#child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: [input === undefined && !openInput ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // A program that leaves without reading its input is no error of ours.
    this.#child.stdin?.on('error', () => {});
    if (!openInput) this.#child.stdin?.end(input);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#over = true;
        resolve({
          code: code ?? 128 + (signal ? constants.signals[signal] : 0),
          stdout: this.stdout,
          stderr: this.stderr,
        });
      });
    });
    this.ended.catch(() => {
      this.#over = true;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return !this.#over;
  }

  /** Waits until stdout or stderr matches; fails when the command ends before, or after `timeoutMs`. */
  async prints(pattern: RegExp, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!pattern.test(this.stdout) && !pattern.test(this.stderr)) {
      if (!this.running) throw new CommandError(this.argv, await this.ended, 'ended before it was ready');
      if (Date.now() > deadline)
        throw new CommandError(this.argv, this.#sofar(), `not ready in ${timeoutMs} ms`);
      await sleep(10);
    }
  }

  /** Writes to its stdin, which openInput has left open. */
  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends it, with SIGKILL where the first signal doesn't help within 10 s. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Output> {
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#kill(), 10_000);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the end; kills at the time limit. Throws CommandError for an exit code other than 0. */
  async finish(options: Pick<RunOptions, 'timeoutMs' | 'anyExit'> = {}): Promise<Output> {
    const { timeoutMs = 60_000, anyExit = false } = options;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#kill();
    }, timeoutMs);
    const output = await this.ended.finally(() => clearTimeout(timer));
    if (late) throw new CommandError(this.argv, output, `still running after ${timeoutMs / 1000} s`);
    if (output.code !== 0 && !anyExit) throw new CommandError(this.argv, output);
    return output;
  }

  /** Its output ends with it, also where a child of its own, as of a shell, still holds the other end. */
  #kill(): void {
    this.#child.kill('SIGKILL');
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  #sofar(): Output {
    return { code: -1, stdout: this.stdout, stderr: this.stderr };
  }
}

export function run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
  return new RunningCommand(argv, options).finish(options);
}

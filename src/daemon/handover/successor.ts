/**
 * The next fand, as the one before sees it: a child with the same words, started with the open files that it takes over
 * (heritage.ts). It stays in the same control group, with the same output and surroundings, whoever asked for it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { FanError } from '../../base/error.js';
import { Channel, type Message } from './channel.js';
import { type Account, type Heritage, withDescriptors } from './heritage.js';

/** Names, for the next fand, the descriptor of its end of the channel. */
export const CHANNEL = 'UFAN_HANDOVER';

/** Descriptors of the child: output, the channel, then what it inherits. */
const CHANNEL_FD = 3;
/** Steps of `up` are done once more for each fan, on a host that may be busy. */
const START_TIMEOUT_MS = 90_000;
const TAKE_TIMEOUT_MS = 10_000;

export class Successor {
  readonly #child: ChildProcess;
  readonly #channel: Channel;
  #end: string | undefined;
  readonly #gone: Promise<undefined>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#channel = new Channel(child.stdio[CHANNEL_FD] as Duplex);
    this.#gone = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end ??= how;
        resolve(undefined);
      };
      child.on('error', (error) => end(`${process.execPath} cannot be run: ${error.message}`));
      child.on('exit', (code, signal) => end(signal ? `ended by ${signal}` : `it ended with status ${code}`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Resolves once it is ready to take over. `environment`: beside ours; `onStart` is given it before. Throws FanError daemon
   * with the trouble that it met; then it is gone.
   */
  static async prepare(
    heritage: Heritage,
    environment: Readonly<Record<string, string>>,
    onStart: (successor: Successor) => void,
  ): Promise<Successor> {
    const inherited: number[] = [];
    const passed = withDescriptors(heritage, (fd) => CHANNEL_FD + inherited.push(fd));
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      // A hang-up of a terminal that we may have is not to end it.
      detached: true,
      cwd: '/',
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...inherited],
      env: { ...process.env, ...environment, [CHANNEL]: `${CHANNEL_FD}` },
    });
    const successor = new Successor(child);
    onStart(successor);
    try {
      await successor.#channel.send({ type: 'heritage', heritage: passed });
      await successor.#hear('prepared', START_TIMEOUT_MS);
      return successor;
    } catch (error) {
      await successor.end();
      throw error;
    }
  }

  /** Lets it begin, where we have stopped; returns how long nobody forwarded, ms, or null. Throws FanError daemon. */
  async begin(account: Account): Promise<number | null> {
    await this.#channel.send({ type: 'account', account });
    const { atNs } = await this.#hear('took', TAKE_TIMEOUT_MS);
    if (atNs === null || account.pausedNs === null) return null;
    return Number(BigInt(atNs) - BigInt(account.pausedNs)) / 1e6;
  }

  /** Returns when it is gone, whatever it was at. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
    this.#channel.close();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #hear<Type extends Message['type']>(
    type: Type,
    timeoutMs: number,
  ): Promise<Extract<Message, { type: Type }>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutMs);
    });
    try {
      const message = await Promise.race([this.#channel.next(), late]);
      if (message === 'late') throw failure(`it does not answer within ${timeoutMs / 1000} s`);
      if (message?.type === type) return message as Extract<Message, { type: Type }>;
      if (message?.type === 'failed') throw failure(message.message);
      if (message !== undefined) throw failure(`it said "${message.type}" where "${type}" was due`);
      await this.#gone;
      throw failure(this.#end ?? 'it ended');
    } finally {
      clearTimeout(timer);
    }
  }
}

function failure(why: string): FanError {
  return new FanError('daemon', `the next fand did not take over: ${why}. The one that runs goes on`);
}

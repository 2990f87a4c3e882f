/**
 * The fand before, as the next one sees it: what it passes on, and what it is told.
 */
import { Socket } from 'node:net';
import { errorText, FanError } from '../../base/error.js';
import { native } from '../../io/native.js';
import { Channel } from './channel.js';
import { type Account, type Heritage, PROTOCOL, withDescriptors } from './heritage.js';
import { CHANNEL } from './successor.js';

export class Predecessor {
  readonly #channel: Channel;

  private constructor(fd: number) {
    native.closeOnExec(fd);
    this.#channel = new Channel(new Socket({ fd, readable: true, writable: true }));
  }

  /** Undefined where we were started by nobody of the kind. Takes the variable out of the environment. */
  static fromEnvironment(): Predecessor | undefined {
    const fd = Number(process.env[CHANNEL] ?? '');
    delete process.env[CHANNEL];
    return Number.isInteger(fd) && fd > 2 ? new Predecessor(fd) : undefined;
  }

  /** What it passes on; none of it is for those that we start. Throws FanError daemon where we can't take it. */
  async heritage(): Promise<Heritage> {
    const message = await this.#channel.next();
    if (message?.type !== 'heritage') throw new FanError('daemon', 'there is no fand to take over from');
    const { protocol, version } = message.heritage;
    if (protocol !== PROTOCOL) {
      throw new FanError(
        'daemon',
        `it can't take over from fand ${version}, which hands over in another way: run "fanctl restart --hard"`,
      );
    }
    return withDescriptors(message.heritage, (fd) => {
      native.closeOnExec(fd);
      return fd;
    });
  }

  /** All is ready; resolves when it has stopped: with its account, or without where it died. */
  async prepared(): Promise<Account | undefined> {
    await this.#channel.send({ type: 'prepared' });
    const message = await this.#channel.next();
    return message?.type === 'account' ? message.account : undefined;
  }

  /** We forward, since `atNs` if anything, and answer: it may leave. */
  async took(atNs: bigint | undefined): Promise<void> {
    await this.#channel.send({ type: 'took', atNs: atNs === undefined ? null : `${atNs}` });
  }

  /** Resolves when it is gone. */
  async gone(): Promise<void> {
    while ((await this.#channel.next()) !== undefined);
    this.#channel.close();
  }

  /** It has to go on. */
  async fail(error: unknown): Promise<void> {
    await this.#channel.send({ type: 'failed', message: errorText(error) });
  }
}

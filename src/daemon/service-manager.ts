/**
 * What a service manager that started fand is told (sd_notify(3)): that it is ready, that it lives, that it leaves. Where
 * none asked for it, nothing is.
 */
import { errorText } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { native } from '../io/native.js';

/** Signs of life in the time after which the manager gives us up. */
const SIGNS = 3;

export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #signEveryMs: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;

  /** For a process that goes on in our place: what the manager told us. */
  readonly environment: Readonly<Record<string, string>>;

  /** Takes the variables out of the environment: they are not for dnsmasq and others that fand starts. */
  static fromEnvironment(log: Logger): ServiceManager {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limitUs, WATCHDOG_PID: pid } = process.env;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name];
    const isWatched = limitUs !== undefined && (pid === undefined || Number(pid) === process.pid);
    const environment = {
      ...(socket !== undefined && { NOTIFY_SOCKET: socket }),
      ...(isWatched && { WATCHDOG_USEC: limitUs }),
    };
    return new ServiceManager(environment, isWatched ? Number(limitUs) / 1000 / SIGNS : 0, log);
  }

  private constructor(environment: Readonly<Record<string, string>>, signEveryMs: number, log: Logger) {
    this.environment = environment;
    this.#socket = environment.NOTIFY_SOCKET;
    this.#signEveryMs = signEveryMs;
    this.#log = log;
  }

  /** From now on it hears from us for as long as this thread turns. */
  ready(): void {
    this.#tell('READY=1');
    if (this.#signEveryMs > 0) {
      this.#timer = setInterval(() => this.#tell('WATCHDOG=1'), this.#signEveryMs);
      this.#timer.unref();
    }
  }

  /** The service is this process from now on, of which the manager hears next. */
  handedOver(pid: number): void {
    clearInterval(this.#timer);
    this.#tell(`MAINPID=${pid}`);
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  #tell(text: string): void {
    if (!this.#socket) return;
    try {
      native.notify(this.#socket, text);
    } catch (error) {
      clearInterval(this.#timer);
      this.#log.warn(`the service manager can't be told ${text}: ${errorText(error)}`);
    }
  }
}

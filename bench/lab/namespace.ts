/**
 * A network namespace of the lab and what can be done in it: run a command, leave one running, configure it by a
 * batch of `ip` lines. Nothing here works in the namespace that the lab itself was started from.
 */
import { type Output, RunningCommand, type RunOptions, run, type StartOptions } from './command.js';

export class Namespace {
  /** As in `ip netns list`. */
  readonly name: string;
  /** What its commands find in their environment beside this process's own. */
  readonly env: Readonly<Record<string, string>>;

  constructor(name: string, env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.env = env;
  }

  /** Runs a command to its end. Throws CommandError for an exit code other than 0, or after the time limit. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run(this.inside(argv), { ...options, env: { ...this.env, ...options.env } });
  }

  /** Starts a command and returns at once. The lab ends it where the caller doesn't. */
  spawn(argv: readonly string[], options: StartOptions = {}): RunningCommand {
    return new RunningCommand(this.inside(argv), { ...options, env: { ...this.env, ...options.env } });
  }

  /** Lines for `ip -batch`, without the leading "ip"; the first that fails ends it. */
  async ip(...lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Sets a sysctl by its path under /proc/sys: "net/ipv4/ip_forward". */
  async sysctl(path: string, value: string | number): Promise<void> {
    await this.exec(['sysctl', '-qw', `${path}=${value}`]);
  }

  /** `ip netns exec` gives the command this namespace's /sys as well, and becomes the command (same pid). */
  protected inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }
}

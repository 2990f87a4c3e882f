/**
 * What the tests of a fan's life ask of a host that has none: all that `up` could change there, what fanctl says where it
 * refuses, and that a test leaves nothing to the next.
 */
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { CommandError, run } from '../../../bench/lab/command.js';
import type { Host } from '../../../bench/lab/host.js';
import type { Lab } from '../../../bench/lab/lab.js';
import { steadyLinks } from '../steady-links.js';

export const OVERLAY = '250.0.0.0/8';
export const UNDERLAY = 'eth0/16';

/** All that `up` could change; what the containers' own ports do is set up before the first snapshot. */
export async function snapshot(host: Host): Promise<Record<string, string>> {
  const read = async (...argv: string[]) => (await host.exec(argv)).stdout;
  const sysctls = "grep -rs '' /proc/sys/net/ipv4 /proc/sys/net/ipv6/conf | grep -v tcp_fastopen_key | sort";
  return {
    links: steadyLinks(await read('ip', '-d', 'link')),
    addresses: await read('sh', '-c', 'ip -4 address | grep -v valid_lft'),
    routes: await read('ip', '-4', 'route', 'show', 'table', 'all'),
    rules: await read('ip', 'rule'),
    nft: await read('nft', '-s', 'list', 'ruleset'),
    sysctls: await read('sh', '-c', sysctls),
    files: readdirSync(host.dir).join(' '),
    processes: await processesOf(host),
  };
}

/** Runs fanctl where it is expected to fail; its stderr and exit code. */
export async function refused(host: Host, args: string[]): Promise<{ stderr: string; code: number | null }> {
  try {
    await host.fanctl(args);
  } catch (error) {
    if (error instanceof CommandError) return { stderr: error.output.stderr.trim(), code: error.output.code };
    throw error;
  }
  throw new Error(`fanctl ${args.join(' ')} succeeded`);
}

/** Their process ids, a line each. */
export const processesOf = async ({ name }: Host) => (await run(['ip', 'netns', 'pids', name])).stdout;

/** Takes every fan down; returns when no process is left on any host. */
export async function leaveNothing({ hosts }: Lab): Promise<void> {
  await Promise.all(hosts.map((host) => host.fanctl(['down', '-e', '--force'])));
  // The fand of an `up` that was refused leaves by itself.
  await expect.poll(() => Promise.all(hosts.map(processesOf))).toEqual(hosts.map(() => ''));
}

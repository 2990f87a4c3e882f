/**
 * Network namespaces for the tests of src/host: a host with an underlay device, a peer behind it, containers. All
 * names are unique, all of it goes with close(). Nothing is made outside these namespaces.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunningCommand } from '../../../bench/lab/command.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import type { StepRecord } from '../../../src/host/steps/step.js';
import { steadyLinks } from '../steady-links.js';

const exec = promisify(execFile);
const DRIVER = new URL('host-driver.mjs', import.meta.url).pathname;
const READ_TUN = new URL('read-tun.py', import.meta.url).pathname;

export const FAN = {
  overlay: '250.0.0.0/8',
  address: '172.30.0.28',
  length: 16,
  bridge: 'fan-250-0-28',
  tun: 'tun-250-0-28',
  mtu: 1480,
  hostReserve: 1,
  dhcp: true,
  underlayDevice: 'eth0',
};

export type TestFan = typeof FAN & { host?: boolean };

let count = 0;

export class HostLab {
  readonly #names: string[] = [];
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly runDir: string;

  private constructor(runDir: string) {
    this.runDir = runDir;
  }

  static async open(): Promise<HostLab> {
    return new HostLab(await mkdtemp(join(tmpdir(), 'ufan-host-')));
  }

  /** A new namespace with lo up. */
  async namespace(role: string): Promise<string> {
    const name = `ufan-${role}-${process.pid}-${count++}-${Math.random().toString(36).slice(2, 6)}`;
    await exec('ip', ['netns', 'add', name]);
    this.#names.push(name);
    await this.run(name, 'ip', 'link', 'set', 'dev', 'lo', 'up');
    return name;
  }

  /** A host 172.30.0.28/16 on `device` and its peer 172.30.0.27/16 on eth0, without IPv6 noise. */
  async hostAndPeer(device = 'eth0'): Promise<{ host: string; peer: string }> {
    const host = await this.namespace('h');
    const peer = await this.namespace('p');
    await this.run(
      host,
      'ip',
      'link',
      'add',
      'name',
      device,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      peer,
    );
    await this.configure(host, device, '172.30.0.28/16');
    await this.configure(peer, 'eth0', '172.30.0.27/16');
    await awaitLinks(host, device);
    await awaitLinks(peer, 'eth0');
    return { host, peer };
  }

  /** A container on `bridge` of `host`; `address` may be absent, for DHCP. */
  async container(host: string, bridge: string, address?: string): Promise<string> {
    const name = await this.namespace('c');
    const port = `port${count}`;
    await this.run(
      host,
      'ip',
      'link',
      'add',
      'name',
      port,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      name,
    );
    await this.run(host, 'ip', 'link', 'set', 'dev', port, 'master', bridge, 'mtu', '1480', 'up');
    await this.configure(name, 'eth0', address);
    await awaitLinks(name, 'eth0');
    await awaitLinks(host, port, bridge);
    return name;
  }

  async configure(namespace: string, device: string, address?: string): Promise<void> {
    await this.run(namespace, 'ip', 'link', 'set', 'dev', device, 'addrgenmode', 'none', 'up');
    if (address) await this.run(namespace, 'ip', 'address', 'add', address, 'dev', device);
  }

  /** Runs a program in a namespace and returns its stdout; rejects with its stderr in the message. */
  async run(namespace: string, ...command: string[]): Promise<string> {
    const { stdout } = await exec('ip', ['netns', 'exec', namespace, ...command], { maxBuffer: 64 << 20 });
    return stdout;
  }

  async json<T>(namespace: string, ...command: string[]): Promise<T> {
    return JSON.parse(await this.run(namespace, ...command)) as T;
  }

  /** Calls src/host in a namespace; rejects with an Error {code, message} as the call did. */
  async call<T>(namespace: string, call: string, ...args: unknown[]): Promise<T> {
    const out = await this.run(namespace, process.execPath, DRIVER, JSON.stringify({ call, args }));
    const { value, error } = JSON.parse(out) as { value: T; error?: { code: string; message: string } };
    if (error) throw Object.assign(new Error(error.message), { code: error.code });
    return value;
  }

  /** Applies the steps of a fan; they are undone at close() where the test didn't. */
  async up(namespace: string, fan: Partial<TestFan> = {}): Promise<StepRecord[]> {
    const records = await this.call<StepRecord[]>(namespace, 'up', { ...FAN, runDir: this.runDir, ...fan });
    this.#undo.push(() => this.down(namespace, records));
    return records;
  }

  down(namespace: string, records: readonly StepRecord[]): Promise<string[]> {
    return this.call<string[]>(namespace, 'down', records);
  }

  /** "SOURCE DESTINATION PROTOCOL" of each IPv4 packet that comes to the fan's TUN while `namespace` pings an address once. */
  async seenAtTun(host: string, namespace: string, destination: string): Promise<string[]> {
    const python = ['ip', 'netns', 'exec', host, '/usr/bin/python3'];
    const reader = new RunningCommand([...python, READ_TUN, FAN.tun]);
    try {
      await reader.prints(/^attached$/m);
      // Nobody answers: ping waits a second, in which nothing else may come.
      await this.run(namespace, 'ping', '-c', '1', '-W', '1', destination).catch(() => '');
      await reader.prints(/^attached\n./);
    } finally {
      await reader.stop();
    }
    return reader.stdout.trim().split('\n').slice(1);
  }

  /** Everything that `up` could change in a namespace; counters and timers aside. */
  async snapshot(namespace: string): Promise<Record<string, string>> {
    const read = (...command: string[]) => this.run(namespace, ...command);
    // The kernel makes this key up when the first server asks for TCP Fast Open, as dnsmasq does.
    const settings =
      "grep -rs '' /proc/sys/net/ipv4 /proc/sys/net/ipv6/conf | grep -v tcp_fastopen_key | sort";
    return {
      links: steadyLinks(await read('ip', '-d', '-j', 'link')),
      addresses: await read('ip', '-j', 'address'),
      routes: await read('ip', '-j', 'route', 'show', 'table', 'all'),
      routes6: await read('ip', '-j', '-6', 'route', 'show', 'table', 'all'),
      rules: await read('ip', '-j', 'rule'),
      nft: (await read('nft', '-j', 'list', 'ruleset')).replace(/"(packets|bytes)": \d+/g, '""'),
      settings: await read('sh', '-c', settings),
      files: (await exec('ls', ['-A', this.runDir])).stdout,
      processes: (await exec('ip', ['netns', 'pids', namespace])).stdout,
    };
  }

  async close(): Promise<void> {
    for (const undo of this.#undo) await undo();
    for (const name of this.#names) await exec('ip', ['netns', 'delete', name]);
    await rm(this.runDir, { recursive: true, force: true });
  }
}

/**
 * `fanctl restart` while everything is in use: no connection breaks, no byte is wrong, counters go on, and what is lost or
 * late is measured. Where the next fand can't start the first one goes on.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningCommand, run } from '../../../bench/lab/command.js';
import { attachContainers, containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FANCTL, REPOSITORY } from '../../../bench/lab/repository.js';
import { isAlive } from '../../../src/control/process-end.js';
import type { FanView } from '../../../src/control/protocol.js';
import { fandPid, killFand, PYTHON, readCounters, until } from '../fan-lab.js';

const SCRIPT = join(REPOSITORY, 'test/lab/steady-traffic.py');
const PROGRAMS = join(REPOSITORY, 'test/lab/egress-programs.py');
const PORT = 9300;
const IDLE = 200;
const STREAMS = 2;
const BEAT_MS = 2;
const RESTARTS = 10;
/** The devices and sockets of VXLAN, by the way that is the same. */
const FEW_RESTARTS = 3;
/** Of the path, by the datagrams that did not come back; the figure. */
const MOST_LOST_MS = 50;
/** What the host's own scheduling adds where others use the machine. */
const BUSY_MACHINE_MS = 1000;

interface Beat {
  sent: number;
  lost: number;
  lostSpanMs: number;
  silenceMs: number;
  longestMs: number;
}

interface Restarted {
  pid: number;
  pausedMs: number | null;
  notes: string[];
}

/** Traffic between two containers, in both directions, for as long as a test wants. */
class Traffic {
  readonly #server: RunningCommand;
  readonly #hold: RunningCommand;
  readonly #beat: RunningCommand;

  private constructor(server: RunningCommand, hold: RunningCommand, beat: RunningCommand) {
    this.#server = server;
    this.#hold = hold;
    this.#beat = beat;
  }

  static async start(from: Host, to: Host, address: string): Promise<Traffic> {
    const client = (words: readonly string[]) =>
      from.container(1).spawn([PYTHON, SCRIPT, ...words], { openInput: true });
    const server = to.container(1).spawn([PYTHON, SCRIPT, 'serve', `${PORT}`]);
    await server.prints(/ready/);
    const hold = client(['hold', address, `${PORT}`, `${IDLE}`, `${STREAMS}`]);
    const beat = client(['beat', address, `${PORT}`, `${BEAT_MS}`]);
    await Promise.all([hold.prints(/ready/), beat.prints(/ready/)]);
    return new Traffic(server, hold, beat);
  }

  /** Returns once so many more bytes have come back. */
  async moves(bytes: number): Promise<void> {
    const start = await this.#bytes();
    await until(
      () => this.#bytes(),
      (now) => now >= start + bytes,
    );
  }

  async stop(): Promise<{ broken: string[]; bytes: number; beat: Beat }> {
    for (const each of [this.#beat, this.#hold]) each.say('stop\n');
    const [beat, hold] = await Promise.all([this.#beat.finish(), this.#hold.finish()]);
    await this.#server.stop();
    return { ...JSON.parse(lastLine(hold.stdout)), beat: JSON.parse(lastLine(beat.stdout)) };
  }

  async #bytes(): Promise<number> {
    const lines = () => this.#hold.stdout.split('\n').length;
    const before = lines();
    this.#hold.say('bytes\n');
    await until(
      async () => lines(),
      (now) => now > before,
    );
    return JSON.parse(lastLine(this.#hold.stdout)).bytes;
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

async function restart(host: Host): Promise<Restarted> {
  return JSON.parse((await host.fanctl(['restart', '--json'])).stdout);
}

async function traces(host: Host): Promise<Record<string, string>> {
  const read = async (...argv: string[]) => (await host.exec(argv)).stdout;
  return {
    // Ports of containers keep the MTU of the fan that they were in.
    links: (await read('ip', '-o', 'link')).replace(/\d+: /g, '').replace(/^(c\S+) mtu \d+/gm, '$1'),
    routes: await read('ip', '-4', 'route'),
    nft: await read('nft', '-s', 'list', 'ruleset'),
    files: readdirSync(host.dir).join(' '),
    processes: (await run(['ip', 'netns', 'pids', host.name])).stdout,
  };
}

let lab: Lab;
let host: Host;
let peer: Host;
let clean: Record<string, string>;
beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 1 });
  [host, peer] = [lab.host(1), lab.host(2)];
  // What the containers' own ports do is set up before.
  await raise([]);
  await Promise.all(lab.hosts.map((each) => each.fanctl(['down', '-e', '--force'])));
  clean = await traces(host);
});
afterEach(async () => {
  await Promise.all(lab.hosts.map((each) => each.fanctl(['down', '-e', '--force'])));
});
afterAll(() => lab.remove());

async function raise(words: readonly string[]): Promise<FanView[]> {
  const raised = await Promise.all(
    lab.hosts.map((each) => raiseFan(each, ['250.0.0.0/8', 'eth0/16', ...words])),
  );
  return raised.map(({ view }) => view);
}

describe('restart', () => {
  it.each([
    ['raw', ['--io', 'raw'], RESTARTS],
    ['packet', ['--io', 'packet', '--dhcp'], RESTARTS],
    ['bpf', ['--io', 'bpf'], RESTARTS],
    ['raw with two workers', ['--io', 'raw', '--workers', '2'], RESTARTS],
    ['packet with two workers', ['--io', 'packet', '--workers', '2'], RESTARTS],
    ['raw over VXLAN', ['vxlan', '--io', 'raw'], FEW_RESTARTS],
    [
      'raw over VXLAN, layer 2, two workers',
      ['vxlan', 'layer2', '--io', 'raw', '--workers', '2'],
      FEW_RESTARTS,
    ],
    ['bpf over VXLAN', ['vxlan', '--io', 'bpf', '--dhcp'], FEW_RESTARTS],
    ['bpf over VXLAN, layer 2', ['vxlan', 'layer2', '--io', 'bpf'], FEW_RESTARTS],
    ['bpf over VXLAN with two workers', ['vxlan', '--io', 'bpf', '--workers', '2'], FEW_RESTARTS],
  ])('again and again breaks nothing: io %s', async (name, words, restarts) => {
    const [, theirs] = await raise(words);
    const traffic = await Traffic.start(host, peer, containerAddress(theirs!, 1));
    const paused: number[] = [];
    let pid = fandPid(host);
    for (let i = 0; i < restarts; i++) {
      await traffic.moves(1 << 20);
      const counters = await readCounters(host);
      const restarted = await restart(host);
      expect(restarted.pid).not.toBe(pid);
      expect(fandPid(host)).toBe(restarted.pid);
      await until(
        async () => isAlive(pid),
        (alive) => !alive,
      );
      pid = restarted.pid;
      paused.push(restarted.pausedMs!);
      const after = await readCounters(host);
      for (const [counter, value] of Object.entries(counters)) {
        expect(after[counter], counter).toBeGreaterThanOrEqual(value);
      }
    }
    await traffic.moves(1 << 20);
    const { broken, bytes, beat } = await traffic.stop();
    const most = Math.max(...paused);
    console.log(
      `${name}: ${restarts} restarts, ${Math.round(bytes / 2 ** 20)} MiB compared, paused for ${paused.map((ms) => ms.toFixed(1)).join(' ')} ms, ` +
        `of ${beat.sent} datagrams ${beat.lost} lost within ${beat.lostSpanMs} ms, longest silence ${beat.silenceMs} ms`,
    );
    expect(broken).toEqual([]);
    expect(most).toBeLessThan(BUSY_MACHINE_MS);
    expect(beat.lostSpanMs).toBeLessThan(MOST_LOST_MS + BUSY_MACHINE_MS);
    await host.fanctl(['down', '-e', '--force']);
    expect(await traces(host)).toEqual(clean);
  });
});

/** A host's commands in one mount namespace, as in a container: `ip netns exec` makes another one for each. */
async function inOneMountNamespace(machine: Host): Promise<{ wrapper: string[]; holder: RunningCommand }> {
  const holder = machine.spawn(['sh', '-c', 'echo ready; exec sleep infinity']);
  await holder.prints(/ready/);
  return { wrapper: ['nsenter', '-t', `${holder.pid}`, '-m'], holder };
}

describe('kill -9', () => {
  it('with io bpf plain traffic goes on without fand, and fanctl restart brings one', async () => {
    const { wrapper, holder } = await inOneMountNamespace(host);
    const inside = async (argv: readonly string[]) => (await host.exec([...wrapper, ...argv])).stdout;
    const fanctl = (...words: string[]) => inside([process.execPath, FANCTL, ...words]);
    const words = ['250.0.0.0/8', 'eth0/16', '--io', 'bpf'];
    try {
      const [, theirs] = await Promise.all([raiseFan(host, words, wrapper), raiseFan(peer, words)]);
      const traffic = await Traffic.start(host, peer, containerAddress(theirs.view, 1));
      await traffic.moves(1 << 20);
      await killFand(host);
      await traffic.moves(16 << 20);
      expect(await fanctl('show')).toMatch(/dead/);
      await traffic.moves(1 << 20);
      await fanctl('restart');
      expect(await fanctl('show')).not.toMatch(/dead/);
      await traffic.moves(16 << 20);
      // Of the fand that died nothing is attached any more.
      expect(await programsAt(host)).toEqual([1, 1, 1]);
      await killFand(host);
      await fanctl('up', ...words);
      await traffic.moves(1 << 20);
      const { broken, beat } = await traffic.stop();
      console.log(
        `bpf: kill -9 twice, of ${beat.sent} datagrams ${beat.lost} lost within ${beat.lostSpanMs} ms`,
      );
      expect(broken).toEqual([]);
      await killFand(host);
      await fanctl('down', '-e', '--force');
      expect(await traces(host)).toEqual({ ...clean, processes: `${holder.pid}\n` });
      expect(await programsAt(host)).toEqual([0]);
      expect(await inside(['cat', '/proc/self/mounts'])).not.toMatch(/^ufan /m);
    } finally {
      await holder.stop();
    }
  });

  it.each([
    ['raw', ['--io', 'raw']],
    ['packet', ['--io', 'packet']],
    ['raw over VXLAN', ['vxlan', '--io', 'raw']],
    ['bpf over VXLAN', ['vxlan', '--io', 'bpf']],
  ])('io %s: connections are there again after fanctl restart', async (_, words) => {
    const [, theirs] = await raise(words);
    const traffic = await Traffic.start(host, peer, containerAddress(theirs!, 1));
    await traffic.moves(1 << 20);
    await killFand(host);
    await host.fanctl(['restart']);
    await traffic.moves(1 << 20);
    expect((await traffic.stop()).broken).toEqual([]);
  });
});

/** How many programs are at the egress of TUN and bridge, and at the ingress of the underlay's device. */
async function programsAt(machine: Host): Promise<number[]> {
  const links = JSON.parse((await machine.exec(['ip', '-j', 'link'])).stdout) as { ifname: string }[];
  const names = links.map(({ ifname }) => ifname).filter((name) => /^(fan|tun)-/.test(name));
  const at = [...names.map((name) => [name]), ['eth0', 'ingress']];
  return Promise.all(
    at.map(async (words) => Number((await machine.exec([PYTHON, PROGRAMS, ...words])).stdout)),
  );
}

describe('a next fand that does not come', () => {
  /** A copy of the programs, in which files may be spoilt. */
  function copyOfPrograms(): string {
    const tree = join(host.dir, 'tree');
    mkdirSync(join(tree, 'native/build'), { recursive: true });
    for (const path of ['dist/src', 'package.json', 'native/build/Release/ufan.node']) {
      cpSync(join(REPOSITORY, path), join(tree, path), { recursive: true });
    }
    for (const name of ['gso_shim', 'bridge_exit', 'encap', 'decap'].map((each) => `${each}.bpf.o`)) {
      cpSync(join(REPOSITORY, 'native/build', name), join(tree, 'native/build', name));
    }
    symlinkSync(join(REPOSITORY, 'node_modules'), join(tree, 'node_modules'));
    return tree;
  }

  it('leaves the one that runs as it was', async () => {
    const tree = copyOfPrograms();
    const fanctl = [process.execPath, join(tree, 'dist/src/cli/fanctl.js')];
    const words = ['250.0.0.0/8', 'eth0/16', '--io', 'bpf'];
    const [, theirs] = await Promise.all([raiseCopy(fanctl, words), raiseFan(peer, words)]);
    const traffic = await Traffic.start(host, peer, containerAddress(theirs.view, 1));
    const pid = fandPid(host);
    const spoil = async (file: string, from: string | RegExp, to: string, says: RegExp) => {
      const path = join(tree, 'dist/src/daemon', file);
      const text = readFileSync(path, 'utf8');
      const spoilt = text.replace(from, to);
      expect(spoilt).not.toBe(text);
      writeFileSync(path, spoilt);
      await traffic.moves(1 << 20);
      await expect(host.exec([...fanctl, 'restart'])).rejects.toThrow(says);
      writeFileSync(path, text);
      expect(fandPid(host)).toBe(pid);
      await traffic.moves(1 << 20);
      expect((await host.exec([...fanctl, 'show'])).stdout).not.toMatch(/dead/);
      expect(await programsAt(host)).toEqual([1, 1, 1]);
    };
    await spoil('fand.js', /^/, 'this is no program\n', /did not take over: it ended with status 1/);
    await spoil('handover/heritage.js', /PROTOCOL = \d+/, 'PROTOCOL = 0', /hands over in another way/);
    // It had begun already.
    await spoil(
      'handover/predecessor.js',
      'async took(atNs) {',
      'async took(atNs) { process.exit(7);',
      /ended with status 7/,
    );
    await host.exec([...fanctl, 'restart']);
    expect(fandPid(host)).not.toBe(pid);
    await traffic.moves(1 << 20);
    expect((await traffic.stop()).broken).toEqual([]);
    await host.exec([...fanctl, 'down', '-e', '--force']);
    rmSync(tree, { recursive: true });
    expect(await traces(host)).toEqual(clean);
  });

  async function raiseCopy(fanctl: readonly string[], words: readonly string[]) {
    await host.exec([...fanctl, 'up', ...words]);
    const [view] = await showFans(host);
    await attachContainers(host, view!);
  }
});

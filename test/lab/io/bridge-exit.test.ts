/**
 * BridgeExit against the kernel: what it is told of a bridge's forwarding database as that changes, and which way packets
 * take. Two namespaces: a host with a bridge and a TUN, and one with the far ends of the bridge's ports.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../bench/lab/command.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import { PYTHON } from '../fan-lab.js';
import { HostLab } from '../host/host-lab.js';

const DRIVER = new URL('bridge-exit-driver.mjs', import.meta.url).pathname;
const SEND_FRAMES = new URL('../send-frames.py', import.meta.url).pathname;
/** Of a bridge's neighbour, and the container that has it. */
const MAC = '02000000000a';
const OTHER_MAC = '02000000000b';
const CONTAINER = '250.0.28.2';
const PEER = '250.0.27.2';
const MOST_PORTS = 4096;

const lab = await HostLab.open();
let host: string;
let containers: string;
let driver: ChildProcessWithoutNullStreams;
let lines: Interface;

const withColons = (mac: string) => mac.match(/../g)!.join(':');

async function ip(namespace: string, ...batch: string[]): Promise<void> {
  for (const line of batch) await lab.run(namespace, 'ip', ...line.split(' '));
}

function bridge(line: string): Promise<string> {
  return lab.run(host, 'bridge', ...line.split(' '));
}

async function call<T = unknown>(...words: unknown[]): Promise<T> {
  const answer = new Promise<string>((resolve) => lines.once('line', resolve));
  driver.stdin.write(`${JSON.stringify(words)}\n`);
  const { value, error } = JSON.parse(await answer);
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

/** A port vN of the bridge, its far end cN. */
async function addPort(n: number): Promise<void> {
  await ip(host, `link add v${n} mtu 1480 type veth peer name c${n} mtu 1480 netns ${containers}`);
  await ip(containers, `link set c${n} up`);
  await ip(host, `link set v${n} master br0 up`);
  await awaitLinks(containers, `c${n}`);
  await awaitLinks(host, `v${n}`, 'br0');
}

/** The bridge sees a frame from this address at port N. */
async function speak(n: number, mac = MAC): Promise<void> {
  const frame = `020000000001${mac}88b5`.padEnd(120, '0');
  await lab.run(containers, PYTHON, SEND_FRAMES, `c${n}`, frame);
}

/** What the program knows: MAC address → index of the port. */
function known(): Promise<Record<string, number>> {
  return call('ports');
}

const index = (device: string) => call<number>('index', device);

beforeAll(async () => {
  host = await lab.namespace('h');
  containers = await lab.namespace('c');
  for (const namespace of [host, containers]) {
    for (const which of ['all', 'default']) {
      await lab.run(namespace, 'sysctl', '-qw', `net.ipv6.conf.${which}.disable_ipv6=1`);
    }
  }
  await lab.run(host, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await ip(host, 'link add br0 address 02:00:00:00:00:01 type bridge', 'link set br0 mtu 1480 up');
  await ip(host, 'address add 250.0.28.1/24 dev br0');
  await ip(host, `neighbour add ${CONTAINER} lladdr ${withColons(MAC)} nud permanent dev br0`);
  await addPort(1);
  await addPort(2);
  driver = spawn('ip', ['netns', 'exec', host, process.execPath, DRIVER, 'br0', 'tun0']);
  driver.stderr.pipe(process.stderr);
  lines = createInterface({ input: driver.stdout });
  await new Promise((resolve) => lines.once('line', resolve));
  await ip(host, 'link set tun0 mtu 1480 up');
  await ip(host, 'route add 250.0.0.0/8 dev tun0');
});

afterAll(async () => {
  driver?.kill();
  await lab.close();
});

describe('what it is told', () => {
  it('what was there before', async () => {
    await speak(1);
    await bridge(`fdb add ${withColons(OTHER_MAC)} dev v2 master static`);
    await call('attach');
    expect(await known()).toEqual({ [MAC]: await index('v1'), [OTHER_MAC]: await index('v2') });
  });

  it('an address that moves, and its end', async () => {
    await speak(2);
    await expect.poll(known).toEqual({ [MAC]: await index('v2'), [OTHER_MAC]: await index('v2') });
    await bridge(`fdb del ${withColons(OTHER_MAC)} dev v2 master`);
    await bridge(`fdb del ${withColons(MAC)} dev v2 master`);
    expect(await known()).toEqual({});
    expect(await call('readable')).toBe(false);
    await speak(1);
    await expect.poll(() => call('readable')).toBe(true);
    expect(await known()).toEqual({ [MAC]: await index('v1') });
  });

  it('an address that nobody has heard of for long', async () => {
    await speak(1);
    await expect.poll(known).toEqual({ [MAC]: await index('v1') });
    await ip(host, 'link set br0 type bridge ageing_time 100');
    await expect.poll(known).toEqual({});
    await ip(host, 'link set br0 type bridge ageing_time 30000');
  });

  it('a port that leaves the bridge and comes back', async () => {
    await speak(1);
    await bridge(`fdb add ${withColons(OTHER_MAC)} dev v1 master static`);
    await expect.poll(known).toEqual({ [MAC]: await index('v1'), [OTHER_MAC]: await index('v1') });
    await ip(host, 'link set v1 nomaster');
    expect(await known()).toEqual({});
    await ip(host, 'link set v1 master br0');
    await awaitLinks(host, 'v1', 'br0');
    await speak(1);
    await expect.poll(known).toEqual({ [MAC]: await index('v1') });
  });

  it('a port that is deleted, and its address at a new one', async () => {
    await addPort(3);
    const first = await index('v3');
    await speak(3);
    await expect.poll(known).toEqual({ [MAC]: first });
    await ip(host, 'link del v3');
    expect(await known()).toEqual({});
    await addPort(3);
    await speak(3);
    const second = await index('v3');
    await expect.poll(known).toEqual({ [MAC]: second });
    expect(second).not.toBe(first);
    await ip(host, 'link del v3');
  });

  it('nothing of what is no veth, or another bridge', async () => {
    await ip(host, 'tuntap add d0 mode tap', 'link set d0 master br0 up', 'link add br1 type bridge');
    await ip(host, 'link add e0 type veth peer name e1', 'link set e0 master br1');
    await bridge(`fdb add ${withColons(MAC)} dev d0 master static`);
    await bridge(`fdb add ${withColons(OTHER_MAC)} dev e0 master static`);
    await bridge(`fdb add ${withColons('02000000000c')} dev v1 master static`);
    await expect.poll(known).toEqual({ '02000000000c': await index('v1') });
    // From where it can be taken to where it can't.
    await bridge(`fdb replace ${withColons('02000000000c')} dev d0 master static`);
    await expect.poll(known).toEqual({});
    await ip(host, 'link del d0', 'link del e0', 'link del br1');
  });

  it('all again where notifications were lost, and no more than there is room for', async () => {
    const many = Array.from({ length: MOST_PORTS + 100 }, (_, i) => `0204${i.toString(16).padStart(8, '0')}`);
    const batch = (verb: string) => {
      const input = many.map((mac) => `fdb ${verb} ${withColons(mac)} dev v1 master static\n`).join('');
      return run(['ip', 'netns', 'exec', host, 'bridge', '-batch', '-'], { input });
    };
    await batch('add');
    const all = await known();
    expect(Object.keys(all)).toHaveLength(MOST_PORTS);
    expect(new Set(Object.values(all))).toEqual(new Set([await index('v1')]));
    await batch('del');
    await speak(2);
    await expect.poll(known).toEqual({ [MAC]: await index('v2') });
  });
});

describe('the way that packets take', () => {
  interface Link {
    ifname: string;
    stats64: Record<'rx' | 'tx', { packets: number; bytes: number }>;
  }

  const SUPER = 30_000;
  const SEGMENT = 1400;
  const HEADERS = 14 + 20 + 20;

  async function statistics(namespace: string, device: string, way: 'rx' | 'tx') {
    const [link] = await lab.json<Link[]>(namespace, 'ip', '-j', '-s', 'link', 'show', 'dev', device);
    return link!.stats64[way];
  }

  async function seen() {
    const [byBridge, c1, c2] = await Promise.all([
      statistics(host, 'br0', 'tx'),
      statistics(containers, 'c1', 'rx'),
      statistics(containers, 'c2', 'rx'),
    ]);
    return { byBridge: byBridge.packets, c1: c1.packets, c2: c2.packets, bytes: c1.bytes + c2.bytes };
  }

  /** What a send adds to what the devices have seen. */
  async function growth(send: () => Promise<unknown>) {
    const before = await seen();
    await send();
    await expect.poll(async () => (await seen()).bytes).toBeGreaterThan(before.bytes);
    const after = await seen();
    return Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, value - before[name as keyof typeof before]]),
    );
  }

  const sendSuper = (segment = SEGMENT) => call('send', PEER, CONTAINER, SUPER, segment);
  const whole = { bytes: HEADERS + SUPER };

  it('a super-packet goes past the bridge, whole, to where its address is now', async () => {
    await speak(1);
    await expect.poll(known).toEqual({ [MAC]: await index('v1') });
    expect(await growth(sendSuper)).toEqual({ byBridge: 0, c1: 1, c2: 0, ...whole });
    await speak(2);
    await expect.poll(known).toEqual({ [MAC]: await index('v2') });
    expect(await growth(sendSuper)).toEqual({ byBridge: 0, c1: 0, c2: 1, ...whole });
  });

  it('a small packet goes by the bridge', async () => {
    const bytes = HEADERS + 1000;
    expect(await growth(() => call('send', PEER, CONTAINER, 1000))).toEqual({
      byBridge: 1,
      c1: 0,
      c2: 1,
      bytes,
    });
  });

  it('a super-packet goes by the bridge where its address is not known', async () => {
    await bridge(`fdb del ${withColons(MAC)} dev v2 master`);
    expect(await known()).toEqual({});
    // Flooded.
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 1, c1: 1, c2: 1 });
    await speak(2);
    await expect.poll(known).toEqual({ [MAC]: await index('v2') });
  });

  it('a super-packet goes by the bridge where its segments are too big for the port', async () => {
    await ip(host, 'link set v2 mtu 1400');
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 1 });
    expect(await growth(() => sendSuper(1360))).toMatchObject({ byBridge: 0, c2: 1, ...whole });
    await ip(host, 'link set v2 mtu 1480');
  });

  it('a super-packet goes by the bridge to a port that is gone, before this is known', async () => {
    await addPort(4);
    await speak(4);
    const gone = await index('v4');
    await expect.poll(known).toEqual({ [MAC]: gone });
    await ip(host, 'link del v4');
    await speak(1);
    // The bridge knows, and the program doesn't.
    await expect.poll(() => bridge('fdb show dev v1')).toContain(withColons(MAC));
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 1, c1: 1, ...whole });
    await expect.poll(known).toEqual({ [MAC]: await index('v1') });
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 0, c1: 1, ...whole });
  });

  it('what came in by another device goes by the bridge, and all after detach', async () => {
    await call('detach');
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 1, c1: 1, ...whole });
    await call('attach', await index('br0'), await index('v2'));
    expect(await known()).toEqual({ [MAC]: await index('v1') });
    expect(await growth(sendSuper)).toMatchObject({ byBridge: 1, c1: 1, ...whole });
    await call('detach');
  });

  it('says why it can not be attached, and leaves no descriptor', async () => {
    const before = await call('descriptors');
    for (let i = 0; i < 3; i++) {
      await expect(call('attach', 999_999, await index('tun0'))).rejects.toMatchObject({
        code: 'ENODEV',
        syscall: 'BPF_LINK_CREATE',
      });
      await call('attach');
      await call('detach');
    }
    expect(await call('descriptors')).toBe(before);
  });
});

/**
 * Flag `notrack`: what goes from slice to slice is not tracked, all else is, and doctor knows what rules make of it. Asked
 * of the kernel by counters of a table of the host's own.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { CheckResult } from '../../../src/control/protocol.js';
import { echoUdp, FAN, FanLab } from '../fan-lab.js';

const BETWEEN = 'ip saddr 250.0.0.0/8 ip daddr 250.0.0.0/8';
const CENSUS = `table ip census {
  counter tracked { }
  counter untracked { }
  chain forward {
    type filter hook forward priority 0
    ${BETWEEN} ct state untracked counter name untracked
    ${BETWEEN} ct state != untracked counter name tracked
  }
}`;
/** Only answers may come to the host itself. */
const CLOSED = `table ip closed {
  chain input {
    type filter hook input priority 0
    ct state established,related accept
    ip saddr 250.0.0.0/8 drop
  }
}`;
const closedTo = (states: string) => `table ip stateful {
  chain forward {
    type filter hook forward priority 0; policy drop
    ct state ${states} accept
  }
}`;

const OVERLAPPING = 'notrack is not for fans whose overlays overlap, and fan-250-0-28 has 250.0.0.0/8';

describe.each([['io bpf'], ['io raw'], ['vxlan']])('notrack %s', (words) => {
  let net: FanLab;
  beforeAll(async () => {
    // Or fand would let the fan through a firewall that comes later.
    net = await FanLab.open({}, [...FAN, 'notrack', 'no-heal', ...words.split(' ')]);
    for (const host of net.lab.hosts) await load(host, CENSUS);
  });
  afterAll(() => net?.remove());

  it('does not track what goes from slice to slice', async () => {
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ] as const) {
      expect(await ping(net.container(from), net.address(to))).toMatchObject({ received: 3 });
      const { path, sha256 } = await randomFile(net.container(from), net.lab.dir, 1e6);
      const received = join(net.lab.dir, 'received');
      const sent = await sendFile(net.container(from), net.container(to), net.address(to), path, received);
      expect(sent.sha256).toBe(sha256);
      await echoUdp(net.container(from), net.container(to), net.address(to), [1, 1400, 4000]);
    }
    for (const host of [1, 2]) {
      expect(await counted(host, 'tracked')).toBe(0);
      expect(await counted(host, 'untracked')).toBeGreaterThan(50);
    }
  });

  it('tracks what the host sends and gets, and what goes beyond the overlay', async () => {
    await load(net.host(1), CLOSED);
    // Answers come by the TUN, and by the bridge.
    expect(await ping(net.host(1), net.address(2))).toMatchObject({ received: 3 });
    expect(await ping(net.host(1), net.address(1))).toMatchObject({ received: 3 });
    await net.host(1).exec(['nft', 'delete table ip closed']);
    expect(await ping(net.container(2), net.fan(1).gateway)).toMatchObject({ received: 3 });
    // Masqueraded: nobody else has a way back to a container.
    expect(await ping(net.container(1), net.host(2).address)).toMatchObject({ received: 3 });
  });

  it('is known to doctor, probe and explain: rules that ask for other states stop it', async () => {
    await load(net.host(1), closedTo('new,established,related'));
    expect(await ping(net.container(1), net.address(2), { timeoutMs: 1000 })).toMatchObject({ received: 0 });
    expect(await forwardDrop(['doctor'])).toMatchObject({
      status: 'fail',
      evidence: expect.stringContaining('stateful'),
    });
    expect(await forwardDrop(['probe', net.address(2)])).toMatchObject({ status: 'fail' });
    const { stdout } = await net
      .host(1)
      .fanctl(['explain', net.address(2), 'from', net.address(1), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'forward-drop' });
    await net.host(1).exec(['nft', 'delete table ip stateful']);
    await load(net.host(1), closedTo('new,established,related,untracked'));
    expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
    expect(await forwardDrop(['doctor'])).toMatchObject({ status: 'ok' });
    await net.host(1).exec(['nft', 'delete table ip stateful']);
  });

  it('is refused beside a fan whose overlay overlaps, also of that fan', async () => {
    for (const flags of [[], ['notrack']]) expect(await refusal(flags)).toContain(OVERLAPPING);
  });

  it('is over when the fan is brought up without it', async () => {
    expect(net.fan(1).flags).toContain('notrack');
    const before = await counted(1, 'untracked');
    await net.host(1).fanctl(['down', ...FAN, '--force']);
    await raiseFan(net.host(1), [...FAN, ...words.split(' ')]);
    expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
    expect(await counted(1, 'untracked')).toBe(before);
    expect(await counted(1, 'tracked')).toBe(6);
    expect(await refusal(['notrack'])).toContain(OVERLAPPING);
  });

  /** Of a second fan, what `up` says. */
  async function refusal(flags: readonly string[]): Promise<string> {
    const argv = ['up', '250.128.0.0/9', 'eth0/16', 'no-heal', ...flags];
    return (await net.host(1).fanctl(argv, { anyExit: true })).stderr;
  }

  async function load(host: Host, table: string): Promise<void> {
    await host.exec(['nft', '-f', '-'], { input: `${table}\n` });
  }

  /** Packets by a counter of the census. */
  async function counted(host: number, name: string): Promise<number> {
    const { stdout } = await net.host(host).exec(['nft', '-j', `list counter ip census ${name}`]);
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { packets: number } }[] };
    return nftables.find(({ counter }) => counter)!.counter!.packets;
  }

  async function forwardDrop(argv: string[]): Promise<CheckResult> {
    const { stdout } = await net.host(1).fanctl([...argv, '--json'], { anyExit: true });
    const checks = JSON.parse(stdout) as CheckResult[];
    return checks.find(({ check }) => check === 'forward-drop')!;
  }
});

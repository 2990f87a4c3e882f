/** `fanctl explain` on real hosts: what it says of routes, neighbours and MTUs is what the kernel has. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ping } from '../../bench/lab/ping.js';
import type { Explanation } from '../../src/daemon/protocol.js';
import { FAN, FanLab } from './fan-lab.js';

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'io', 'packet']);
});
afterAll(() => net?.remove());

async function explain(...words: string[]): Promise<Explanation> {
  return JSON.parse((await net.host(1).fanctl(['explain', ...words, '--json'])).stdout) as Explanation;
}

describe('explain', () => {
  it('a container of the peer: verdict, routes, neighbour, every MTU', async () => {
    await ping(net.container(1), net.address(2), { count: 1 });
    const { stdout } = await net.host(2).exec(['cat', '/sys/class/net/eth0/address']);
    expect(await explain('250.0.27.2', 'from', '250.0.28.2')).toMatchObject({
      verdict: 'deliverable',
      host: '172.30.0.27',
      source: { verdict: 'deliverable' },
      here: {
        bridge: 'fan-250-0-28',
        tun: 'tun-250-0-28',
        state: 'up',
        io: 'packet',
        innerRoute: { device: 'tun-250-0-28', onLink: true },
        route: { device: 'eth0', source: '172.30.0.28', nextHop: '172.30.0.27', onLink: true, mtu: null },
        neighbour: { address: '172.30.0.27', mac: stdout.trim() },
        mtu: { containers: { least: 1480, most: 1480 }, bridge: 1480, tun: 1480, path: null, underlay: 1500 },
        notes: [],
      },
    });
  });

  it('a host without a neighbour entry, and one behind a router', async () => {
    expect((await explain('250.0.99.2')).here?.neighbour).toEqual({
      address: '172.30.0.99',
      state: 'NONE',
      mac: null,
    });
    await net.host(1).ip('route add 172.30.0.98 via 172.30.0.27 mtu 1400');
    expect((await explain('172.30.0.98')).here).toMatchObject({
      innerRoute: null,
      route: { nextHop: '172.30.0.27', onLink: false, mtu: 1400 },
    });
  });

  it('our own addresses, without a note', async () => {
    expect(await explain('250.0.28.2')).toMatchObject({
      verdict: 'to-ourselves',
      here: { innerRoute: { device: 'fan-250-0-28' }, route: null, notes: [] },
    });
    expect((await explain('172.30.0.28')).here?.notes).toEqual([]);
  });

  it('a route that takes overlay addresses elsewhere, and a port with another MTU', async () => {
    await net.host(1).ip('route add 250.0.30.0/24 via 172.30.0.27');
    await net
      .host(1)
      .ip('link add odd mtu 1400 type veth peer name odd2', 'link set odd master fan-250-0-28');
    const { here } = await explain('250.0.30.2');
    expect(here?.notes).toEqual(['a route takes it to eth0 instead of tun-250-0-28']);
    expect(here?.mtu.containers).toEqual({ least: 1400, most: 1480 });
    await net.host(1).ip('link del odd', 'route del 250.0.30.0/24');
  });

  it('in words, with the bits in a picture', async () => {
    const { stdout } = await net.host(1).fanctl(['explain', '250.0.27.2']);
    expect(stdout).toContain(
      [
        '  overlay   250.0.27.2      11111010 00000000 00011011 00000010',
        '                            oooooooo hhhhhhhh hhhhhhhh ssssssss',
        '                            h moves right by 8',
        '  underlay  172.30.0.27     10101100 00011110 00000000 00011011',
        '                            uuuuuuuu uuuuuuuu hhhhhhhh hhhhhhhh',
      ].join('\n'),
    );
    expect(stdout).toContain(
      '  mtu       containers 1480, bridge 1480, tun-250-0-28 1480, path nothing learnt, underlay 1500',
    );
  });

  it('of a fand that died says so', async () => {
    const words = ['explain', '250.0.27.2'];
    const { stdout } = await net.host(2).exec(['sh', '-c', 'cat $UFAN_RUN_DIR/fand.pid']);
    process.kill(Number(stdout), 'SIGKILL');
    const { stderr, code } = await net.host(2).fanctl(words, { anyExit: true });
    expect([stderr, code]).toEqual([
      'fanctl: fand is not running: bring fan-250-0-27 up again, or name a fan with --fan\n',
      1,
    ]);
  });
});

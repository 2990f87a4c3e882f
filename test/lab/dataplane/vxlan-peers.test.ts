/**
 * A VXLAN fan beside hosts that are not ours: one of the old kind, whose kernel knows the fan map, played and judged by
 * vxlan-peer.py; and a VXLAN device of this kernel with static entries.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { FanView } from '../../../src/control/protocol.js';
import { FAN, PYTHON, readCounters, until } from '../fan-lab.js';

const PEER = join(REPOSITORY, 'test/lab/vxlan-peer.py');
/** As the first three octets of 250.0.0.0/8 are read. */
const VNI = '16384000';
const PORT = '8472';
/** The third host, which has no fan of ours: its address, its slice's gateway and a container. */
const THEIRS = { address: '172.30.0.29', gateway: '250.0.29.1', container: '250.0.29.2' };
/** Of the first host, as vxlan's device has to know it beforehand. */
const OURS = { address: '172.30.0.28', mac: '02:fa:ac:1e:00:1c' };
const SIZES = [56, 1400, 8000];
const FILE_BYTES = 20_000_000;

const SHAPES: readonly [string, readonly string[]][] = [
  ['routed', ['vxlan', 'io', 'raw']],
  ['layer 2', ['vxlan', 'layer2', 'io', 'raw']],
  ['routed, in bpf mode,', ['vxlan', 'io', 'bpf']],
  ['layer 2, in bpf mode,', ['vxlan', 'layer2', 'io', 'bpf']],
];

describe.each(SHAPES)('a %s VXLAN fan', (_, words) => {
  let lab: Lab;
  let fan: FanView;
  beforeAll(async () => {
    lab = await createLab({ hosts: 3 });
    ({ view: fan } = await raiseFan(lab.host(1), [...FAN, ...words]));
    await raiseFan(lab.host(2), [...FAN, ...words]);
  });
  afterAll(() => lab?.remove());

  describe('and a host of the old kind', () => {
    let peer: RunningCommand;
    beforeAll(async () => {
      const argv = [PYTHON, PEER, THEIRS.address, '16', '250.0.0.0/8', VNI, PORT];
      peer = lab.host(3).spawn(argv, { openInput: true });
      await peer.prints(/ready/);
    });

    it('its containers answer ours, and the host itself', async () => {
      for (const from of [lab.host(1).container(1), lab.host(2).container(1), lab.host(1)]) {
        for (const size of SIZES) {
          const { received, text } = await ping(from, THEIRS.container, { count: 1, size });
          expect({ size, received, text }).toMatchObject({ received: 1 });
        }
      }
    });

    it('ours answer its containers, by ARP and ping', async () => {
      for (const size of SIZES) {
        const before = peer.stdout.length;
        peer.say(`ask ${containerAddress(fan, 1)} ${size}\n`);
        await until(
          async () => peer.stdout.slice(before),
          (said) => said.includes(`answered ${containerAddress(fan, 1)}`),
        );
      }
    });

    it('who asks for the network or broadcast address, or a host that is not there, gets no answer', async () => {
      for (const target of ['250.0.0.9', '250.255.255.9', '250.0.77.2']) {
        const { received } = await ping(lab.host(1).container(1), target, { ...UNANSWERED, count: 1 });
        expect({ target, received }).toEqual({ target, received: 0 });
      }
    });

    it('found nothing wrong with any frame', async () => {
      const { stdout } = await peer.stop();
      const seen = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number>;
      expect(seen.wrong).toEqual([]);
      expect(seen.frames).toBeGreaterThan(30);
      expect(seen).toMatchObject({ answers: SIZES.length, echoes: 3 * SIZES.length });
      for (const kind of ['requests', 'replies']) expect(seen[kind]).toBeGreaterThan(0);
    });
  });

  it("and the kernel's own VXLAN with static entries carry files both ways", async () => {
    const theirs = lab.host(3);
    await theirs.ip(
      `link add vx0 type vxlan id ${VNI} dstport ${PORT} local ${THEIRS.address} dev eth0 nolearning`,
      `link set vx0 mtu 1450 up`,
      `address add ${THEIRS.gateway}/8 dev vx0`,
    );
    const container = containerAddress(fan, 1);
    // Who of the layer-2 kind asks, is answered by the container itself.
    const mac = words.includes('layer2') ? await macOf(lab, 1) : OURS.mac;
    await theirs.ip(`neighbour replace ${container} lladdr ${mac} dev vx0 nud permanent`);
    await theirs.exec(['bridge', 'fdb', 'append', mac, 'dev', 'vx0', 'dst', OURS.address]);
    const file = await randomFile(theirs, lab.dir, FILE_BYTES);
    const copy = join(lab.dir, 'copy');
    const ends = [lab.host(1).container(1), theirs] as const;
    for (const [from, to, address] of [
      [ends[0], ends[1], THEIRS.gateway],
      [ends[1], ends[0], container],
    ] as const) {
      const sent = await sendFile(from, to, address, file.path, copy);
      rmSync(copy);
      expect(sent).toMatchObject({ sha256: file.sha256, bytes: FILE_BYTES });
    }
    const { received } = await ping(ends[0], THEIRS.gateway, { count: 1, size: 8000 });
    expect(received).toBe(1);
  });

  it('no packet of its containers was refused', async () => {
    const counters = await readCounters(lab.host(1));
    // Asked for above, and what a bridge floods to all its ports.
    const meant = ['underlay-network', 'underlay-broadcast', 'to-ourselves', 'group-frame'];
    const drops = Object.entries(counters).filter(([name, n]) => name.startsWith('drop-') && n > 0);
    expect(drops.filter(([name]) => !meant.some((reason) => name === `drop-${reason}-packets`))).toEqual([]);
  });
});

async function macOf(lab: Lab, host: number): Promise<string> {
  const { stdout } = await lab.host(host).container(1).exec(['ip', '-json', 'link', 'show', 'eth0']);
  return (JSON.parse(stdout) as { address: string }[])[0]!.address;
}

/** What befalls a host in a soak, one after the other; each is over when it returns, and no connection may break of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FanView } from '../../src/control/protocol.js';
import type { Host } from '../lab/host.js';
import type { Lab } from '../lab/lab.js';

export interface Fault {
  readonly name: string;
  inject(lab: Lab, fan: FanView, words: readonly string[]): Promise<void>;
}

const FLAP_MS = 500;
const FLOOD_S = 2;
const NARROW = 1400;

/** IP-in-IP in a peer's name, its inner source another's; then in the name of hosts that there are not. */
const FLOOD = `
import socket, struct, sys, time
target, seconds = sys.argv[1], float(sys.argv[2])
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def ip(source, destination, protocol, payload):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload
packets = [ip(outer, target, 4, ip(inner, '250.0.28.2', 17, bytes(16)))
           for outer in ('172.30.0.27', '172.30.9.9', '8.8.8.8')
           for inner in ('250.0.99.2', '250.0.28.3', '10.1.1.1', '127.0.0.1')]
end = time.monotonic() + seconds
while time.monotonic() < end:
    for packet in packets: out.sendto(packet, (target, 0))
    time.sleep(0.001)
`;

export function fandPid(host: Host): number {
  return Number(readFileSync(join(host.dir, 'fand.pid'), 'utf8'));
}

export const FAULTS: readonly Fault[] = [
  { name: 'none', inject: () => sleep(1000) },
  {
    name: 'fand kill -9, same up',
    async inject(lab, _, words) {
      process.kill(fandPid(lab.host(1)), 'SIGKILL');
      await lab.host(1).fanctl(['up', ...words]);
    },
  },
  {
    name: 'underlay link flap',
    async inject(lab) {
      await lab.host(1).ip('link set eth0 down');
      await sleep(FLAP_MS);
      await lab.host(1).ip('link set eth0 up');
    },
  },
  {
    name: 'underlay MTU change',
    async inject(lab) {
      const host = lab.host(1);
      await host.ip(`link set eth0 mtu ${NARROW}`);
      await sleep(2 * FLAP_MS);
      await host.ip(`link set eth0 mtu ${lab.mtu}`);
    },
  },
  {
    name: 'route flush',
    inject: async (lab, { overlay }) => {
      await lab.host(1).exec(['ip', 'route', 'flush', overlay]);
    },
  },
  {
    name: 'nft flush ruleset',
    inject: async (lab) => {
      await lab.host(1).exec(['nft', 'flush', 'ruleset']);
    },
  },
  {
    name: 'flood of forged packets',
    async inject(lab) {
      const [target, sender] = [lab.host(1), lab.host(2)];
      await sender.exec(['python3', '-c', FLOOD, target.address, `${FLOOD_S}`]);
    },
  },
];

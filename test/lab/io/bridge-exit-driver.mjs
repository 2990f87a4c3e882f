/**
 * A BridgeExit inside a network namespace, led by lines of JSON on stdin: [call, …arguments], each answered by a line with
 * {value} or {error: {code, syscall}}. Runs the compiled code (npm run build).
 *
 * arguments: bridge, TUN (opened here, so that packets can be written to it)
 */
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseAddress } from '../../../dist/src/addr/ipv4-address.js';
import { Tun } from '../../../dist/src/io/devices/tun.js';
import { native } from '../../../dist/src/io/native.js';
import { findDevice } from '../../../dist/src/io/netlink/device-index.js';
import { GSO_NONE, GSO_TCPV4, HEADROOM, NEEDS_CSUM, PacketBatch } from '../../../dist/src/io/packet-batch.js';
import { BridgeExit } from '../../../dist/src/io/programs/bridge-exit.js';
import { foldSum, pseudoHeaderSum } from '../../../dist/src/wire/checksum.js';
import { emitIpv4, PLAIN_HEADER, PROTOCOL_TCP } from '../../../dist/src/wire/ipv4.js';

const IP_LEN = 20;
const TCP_LEN = 20;
const CHECKSUM_AT = 16;

const [bridge, tunName] = process.argv.slice(2);
const tun = Tun.open(tunName, { mtu: 1480 });
let exit;

const calls = {
  attach(bridgeIndex = findDevice(bridge).index, tunIndex = findDevice(tunName).index) {
    exit = BridgeExit.attach({ bridge: bridgeIndex, tun: tunIndex, underlay: 0 });
  },
  /** What is known after the notifications so far: MAC address → index of the port. */
  ports() {
    exit.takeNotifications();
    return Object.fromEntries(exit.ports);
  },
  /** Whether a notification waits. */
  readable() {
    const poller = native.pollerOpen();
    native.pollerAdd(poller, exit.fd, 1);
    const count = native.pollerWait(poller, new Int32Array(1), 0);
    native.close(poller);
    return count > 0;
  },
  detach: () => exit.detach(),
  /** Descriptors that are open here. */
  descriptors: () => readdirSync('/proc/self/fd').length,
  index: (device) => findDevice(device)?.index,
  /** A TCP segment comes in by the TUN, or with `segment` a super-packet of segments of that size. */
  send(source, destination, payload, segment = 0) {
    const batch = PacketBatch.create(1, HEADROOM + IP_LEN + TCP_LEN + payload);
    const totalLength = IP_LEN + TCP_LEN + payload;
    const [from, to] = [parseAddress(source), parseAddress(destination)];
    const header = { ...PLAIN_HEADER, totalLength, ttl: 64, protocol: PROTOCOL_TCP };
    emitIpv4(batch.slab, HEADROOM, { ...header, source: from, destination: to });
    const tcp = HEADROOM + IP_LEN;
    batch.slab[tcp + 12] = (TCP_LEN / 4) << 4;
    const sum = foldSum(pseudoHeaderSum(from, to, PROTOCOL_TCP, TCP_LEN + payload));
    batch.view.setUint16(tcp + CHECKSUM_AT, sum);
    batch.setRange(0, HEADROOM, totalLength);
    batch.setVnet(0, NEEDS_CSUM, segment === 0 ? GSO_NONE : GSO_TCPV4, segment, IP_LEN + TCP_LEN);
    batch.setCsum(0, IP_LEN, CHECKSUM_AT);
    batch.count = 1;
    return tun.send(batch);
  },
};

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [call, ...args] = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: calls[call](...args) ?? null }));
  } catch ({ code, syscall, message }) {
    console.log(JSON.stringify({ error: { code, syscall, message } }));
  }
}

/**
 * How many of ROUNDS datagrams came out of a TUN that was just attached to, each sent as the first: run in a network
 * namespace, prints the number. Runs the compiled code (npm run build).
 *
 * argument: ROUNDS
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { Tun } from '../../../dist/src/io/devices/tun.js';
import { awaitActive } from '../../../dist/src/io/netlink/active-device.js';
import { MAX_PACKET, PacketBatch } from '../../../dist/src/io/packet-batch.js';

const rounds = Number(process.argv[2]);
const SET_UP = `
tuntap add dev first mode tun vnet_hdr
link set first addrgenmode none up
address add 250.0.28.1/8 dev first
`;
/** For a packet that the kernel has queued already. */
const LOOKS = 5;
const LOOK_MS = 2;

const batch = PacketBatch.create(1, 2 * MAX_PACKET);
const socket = createSocket('udp4');

async function arrives(tun) {
  for (let look = 0; look < LOOKS; look++) {
    if (tun.receive(batch) > 0) return true;
    await sleep(LOOK_MS);
  }
  return false;
}

let arrived = 0;
for (let round = 0; round < rounds; round++) {
  execFileSync('ip', ['-batch', '-'], { input: SET_UP });
  const tun = Tun.open('first', { mtu: 1500 });
  await awaitActive('first');
  await new Promise((resolve) => socket.send('first', 9, '250.0.27.2', resolve));
  if (await arrives(tun)) arrived++;
  tun.close();
  execFileSync('ip', ['link', 'delete', 'dev', 'first']);
}
socket.close();
console.log(arrived);

/**
 * The smallest fan with two hosts: TUN to raw socket and back over the addon alone, no checks. Runs inside a network
 * namespace; prints what it saw as JSON when its stdin ends.
 *
 * arguments: addon, TUN name, own and peer's underlay address (numbers), merge mask, ring or calls
 */
import { createRequire } from 'node:module';

const [addon, tunName, own, peer, merge, by] = process.argv.slice(2);
const native = createRequire(import.meta.url)(addon);
const BATCH = 64;
const MTU = 1480;
const seen = { offloads: 0, longestRead: 0, superReads: 0, longestReceived: 0, failures: {}, drops: 0 };
const ring = by === 'ring' ? native.ringOpen() : null;
const tun = native.tunOpen(tunName, 1 | 2 | 0x20 | 0x40, false);
const sender = native.rawOpen({ protocol: 255, bindAddress: Number(own), sendBufferBytes: 8 << 20 });
const namesProtocol = native.rawCanNameProtocol(sender);
const receiver = native.rawOpen({ protocol: 4, receiveBufferBytes: 8 << 20 });
const poller = native.pollerOpen();
const slab = new Uint8Array(BATCH * 70_000);
const descriptors = new Uint32Array(BATCH * 8);
const shorts = new Uint16Array(descriptors.buffer);
const bytes = new Uint8Array(descriptors.buffer);
const view = new DataView(slab.buffer);
const ready = new Int32Array(4);

native.pollerAdd(poller, tun.fd, 1);
native.pollerAdd(poller, receiver, 2);
seen.offloads = tun.offloads;

/** Moves the packet's start by `by` bytes: offset, length, and the fields counted from the start. */
function shift(i, by) {
  descriptors[i * 8] += by;
  descriptors[i * 8 + 1] -= by;
  shorts[i * 16 + 6] -= by;
  shorts[i * 16 + 7] -= by;
}

function writeOuter(i) {
  shift(i, -20);
  const at = descriptors[i * 8];
  slab.fill(0, at, at + 20);
  slab[at] = 0x45;
  view.setUint16(at + 2, descriptors[i * 8 + 1]);
  view.setUint16(at + 6, 0x4000);
  slab[at + 8] = 64;
  slab[at + 9] = 4;
  view.setUint32(at + 12, Number(own));
  view.setUint32(at + 16, Number(peer));
  view.setUint16(at + 10, native.checksum(slab, at, 20));
  descriptors[i * 8 + 5] = Number(peer);
}

function countFailures(count) {
  for (let i = 0; i < count; i++) {
    const errno = descriptors[i * 8 + 7];
    if (errno !== 0) seen.failures[errno] = (seen.failures[errno] ?? 0) + 1;
  }
}

function encap() {
  const count = native.tunRead(tun.fd, ring, slab, descriptors, BATCH);
  for (let i = 0; i < count; i++) {
    seen.longestRead = Math.max(seen.longestRead, descriptors[i * 8 + 1]);
    if (bytes[i * 32 + 9] !== 0) seen.superReads++;
    writeOuter(i);
  }
  if (native.rawSend(sender, slab, descriptors, count, 20, namesProtocol) > 0) countFailures(count);
}

function decap() {
  const count = native.rawReceive(receiver, slab, descriptors, BATCH);
  for (let i = 0; i < count; i++) {
    seen.longestReceived = Math.max(seen.longestReceived, descriptors[i * 8 + 1]);
    shift(i, 20);
  }
  if (native.tunWrite(tun.fd, ring, slab, descriptors, count, MTU, Number(merge)) > 0) countFailures(count);
}

let running = true;
process.stdin.on('end', () => {
  running = false;
});
process.stdin.resume();
process.stdout.write('ready\n');
while (running) {
  for (let round = 0; round < 50; round++) {
    const count = native.pollerWait(poller, ready, 5);
    for (let i = 0; i < count; i++) ready[i] === 1 ? encap() : decap();
  }
  await new Promise((resolve) => setImmediate(resolve));
}
seen.drops = native.socketDrops(receiver);
process.stdout.write(`${JSON.stringify(seen)}\n`);
process.exit(0);

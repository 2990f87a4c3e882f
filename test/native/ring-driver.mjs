/**
 * Reads a burst from a TUN, and writes one to it: by calls, by a ring, and by a ring that was closed. Runs inside a network
 * namespace of its own with the TUN "tun0" up as 10.7.0.1/24; prints what it saw as JSON.
 *
 * arguments: addon
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const native = createRequire(import.meta.url)(process.argv[2]);
const COUNT = 40;
const BATCH = 64;
const STRIDE = 64 + 65536;
const HEADERS = 28;
const BROKEN = 3;
const tun = native.tunOpen('tun0', 0, false);
const slab = new Uint8Array(BATCH * STRIDE);
const descriptors = new Uint32Array(BATCH * 8);
const view = new DataView(slab.buffer);
const socket = createSocket('udp4').bind(7000, '10.7.0.1');
const arrived = [];
socket.on('message', (message) => arrived.push([message.length, message[0]]));
await once(socket, 'listening');

function makeRing(kind) {
  if (kind === 'calls') return null;
  const ring = native.ringOpen();
  if (kind === 'closed') native.ringClose(ring);
  return ring;
}

/** All that waits: [length, first byte of the payload] each, and how many reads it took. */
function drain(ring) {
  const packets = [];
  let reads = 0;
  for (let count = 1; count > 0; reads++) {
    count = native.tunRead(tun.fd, ring, slab, descriptors, BATCH);
    for (let i = 0; i < count; i++) {
      const [offset, length] = descriptors.subarray(i * 8);
      packets.push([length - HEADERS, slab[offset + HEADERS]]);
    }
  }
  return { packets, reads };
}

/** A datagram of `length` bytes of payload to the socket, as descriptor `index`. */
function put(index, length) {
  const at = index * STRIDE + 64;
  slab.fill(0, at, at + HEADERS);
  slab[at] = index === BROKEN ? 0x75 : 0x45;
  view.setUint16(at + 2, HEADERS + length);
  slab[at + 8] = 64;
  slab[at + 9] = 17;
  slab.set([10, 7, 0, 2, 10, 7, 0, 1], at + 12);
  view.setUint16(at + 10, native.checksum(slab, at, 20));
  view.setUint16(at + 20, 9000 + index);
  view.setUint16(at + 22, 7000);
  view.setUint16(at + 24, 8 + length);
  slab.fill(index, at + HEADERS, at + HEADERS + length);
  descriptors.fill(0, index * 8, index * 8 + 8);
  descriptors.set([at, HEADERS + length], index * 8);
}

async function pass(kind) {
  const ring = makeRing(kind);
  drain(ring);
  for (let i = 0; i < COUNT; i++) {
    const payload = Buffer.alloc(1 + 30 * i, i);
    await new Promise((resolve) => socket.send(payload, 7001, '10.7.0.2', resolve));
  }
  const read = drain(ring);
  arrived.length = 0;
  for (let i = 0; i < COUNT; i++) put(i, 1 + 20 * i);
  const failures = native.tunWrite(tun.fd, ring, slab, descriptors, COUNT, 1500, 0);
  for (let i = 0; i < 100 && arrived.length < COUNT - 1; i++) await sleep(10);
  const errors = Array.from({ length: COUNT }, (_, i) => descriptors[i * 8 + 7]);
  return { ...read, failures, errors, arrived: [...arrived] };
}

const seen = {};
for (const kind of ['calls', 'ring', 'closed']) seen[kind] = await pass(kind);
const broken = native.ringOpen();
native.close(tun.fd);
for (let i = 0; i < 3; i++) put(i, 8);
seen.gone = {
  read: native.tunRead(tun.fd, broken, slab, descriptors, BATCH),
  failures: native.tunWrite(tun.fd, broken, slab, descriptors, 3, 1500, 0),
  errors: [0, 1, 2].map((i) => descriptors[i * 8 + 7]),
};
process.stdout.write(JSON.stringify(seen));
process.exit(0);

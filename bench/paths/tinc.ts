/**
 * tinc 1.0 in router mode, without cipher, digest and compression: as little work as it can do.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../lab/host.js';
import { type PeerEnd, peerPath, writePeerFile } from './peer.js';
import { sliceOf } from './slice.js';

const DEVICE = 'tinc0';
/** Outer IPv4 and UDP, sequence number, and the Ethernet header that tinc makes up in router mode. */
const OVERHEAD = 48;
const KEY_BITS = '2048';
const SOCKET_BYTES = 4 << 20;

export const tinc = peerPath({
  name: 'tinc',
  title: 'tinc, no cipher',
  overhead: OVERHEAD,
  device: DEVICE,
  notes: ['Cipher none, Digest none'],
  async prepare(ends) {
    await Promise.all(ends.map(configure));
    // Each end knows the other by the file with its public key.
    for (const end of ends) {
      const other = ends.find(({ host }) => host === end.other)!;
      await end.host.exec(['cp', join(other.dir, 'hosts', nameOf(other.host)), join(end.dir, 'hosts')]);
    }
  },
  async start(end) {
    const daemon = end.host.spawn(['tincd', '-D', '-c', end.dir, `--pidfile=${join(end.dir, 'pid')}`]);
    await daemon.prints(/Ready/);
  },
});

function nameOf(host: Host): string {
  return `h${host.index}`;
}

async function configure(end: PeerEnd): Promise<void> {
  const { host, other, dir } = end;
  mkdirSync(join(dir, 'hosts'));
  const options = [
    `Name = ${nameOf(host)}`,
    `ConnectTo = ${nameOf(other)}`,
    `Interface = ${DEVICE}`,
    'Mode = router',
    `UDPRcvBuf = ${SOCKET_BYTES}`,
    `UDPSndBuf = ${SOCKET_BYTES}`,
  ];
  writePeerFile(end, 'tinc.conf', `${options.join('\n')}\n`);
  const self = [
    `Address = ${host.address}`,
    `Subnet = ${sliceOf(host)}`,
    'Cipher = none',
    'Digest = none',
    'Compression = 0',
  ];
  writePeerFile(end, `hosts/${nameOf(host)}`, `${self.join('\n')}\n`);
  // Appends the public key to the file above.
  await host.exec(['tincd', '-c', dir, '-K', KEY_BITS]);
}

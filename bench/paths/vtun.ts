/**
 * vtun over UDP, without encryption and compression. Host 1 serves, host 2 calls.
 */
import { join } from 'node:path';
import { peerPath, writePeerFile } from './peer.js';

const DEVICE = 'vtun0';
/** Outer IPv4 and UDP, and two bytes of length and flags, rounded. */
const OVERHEAD = 48;
/** Its frames are at most 2,048 bytes. */
const LARGEST_MTU = 2000;
const PORT = 5000;
const SESSION = 'lab';
/** It locks its sessions in a directory that Debian's package doesn't make: one of this daemon's own. */
const PRIVATE_LOCKS = [
  ...['unshare', '-m', 'sh', '-c'],
  'mount -t tmpfs none /var/lock && mkdir /var/lock/vtund && exec "$@"',
  'sh',
];

export const vtun = peerPath({
  name: 'vtun',
  title: 'vtun, no cipher',
  overhead: OVERHEAD,
  device: DEVICE,
  largestMtu: LARGEST_MTU,
  notes: ['encrypt no, compress no'],
  async prepare(ends) {
    for (const end of ends) {
      // It reads the device as soon as it has it, and ends when that is down still.
      await end.host.ip(`tuntap add ${DEVICE} mode tun`, `link set ${DEVICE} up`);
      writePeerFile(
        end,
        'vtund.conf',
        `options { port ${PORT}; timeout 10; }\n` +
          `${SESSION} { passwd lab; type tun; device ${DEVICE}; proto udp; encrypt no; compress no; ` +
          `keepalive no; stat no; speed 0; }\n`,
      );
    }
  },
  async start(end) {
    const { host, other, dir } = end;
    const role = host.index === 1 ? ['-s', '-P', `${PORT}`] : [SESSION, other.address];
    const daemon = host.spawn([...PRIVATE_LOCKS, 'vtund', '-n', '-f', join(dir, 'vtund.conf'), ...role]);
    await daemon.prints(host.index === 1 ? /VTUN server/ : /UDP connection initialized/);
  },
});

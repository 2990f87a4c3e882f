/**
 * OpenVPN, point to point over UDP, without cipher, authentication and keys.
 */
import { peerPath } from './peer.js';

const DEVICE = 'ovpn0';
/** Outer IPv4 and UDP, and its packet header. */
const OVERHEAD = 48;
const PORT = '1194';
const SOCKET_BYTES = `${4 << 20}`;

export const openvpn = peerPath({
  name: 'openvpn',
  title: 'openvpn, no cipher',
  overhead: OVERHEAD,
  device: DEVICE,
  notes: ['--cipher none --auth none'],
  async start(end) {
    const { host, other, mtu } = end;
    const daemon = host.spawn([
      'openvpn',
      ...['--dev', DEVICE, '--dev-type', 'tun', '--tun-mtu', `${mtu}`, '--txqueuelen', '1000'],
      ...['--proto', 'udp', '--local', host.address, '--remote', other.address, '--port', PORT],
      ...['--ifconfig', `10.252.0.${host.index}`, `10.252.0.${other.index}`],
      ...['--cipher', 'none', '--auth', 'none', '--mssfix', '0', '--fast-io'],
      ...['--sndbuf', SOCKET_BYTES, '--rcvbuf', SOCKET_BYTES],
    ]);
    await daemon.prints(/UDPv4 link remote/);
  },
});

/**
 * wireguard-go, with its cipher: WireGuard has none without.
 */
import { join } from 'node:path';
import { deviceAppears, type PeerEnd, peerPath, writePeerFile } from './peer.js';
import { sliceOf } from './slice.js';

/** Outer IPv4 and UDP, 16 bytes of header, 16 of tag. */
const OVERHEAD = 60;
const PORT = 51820;

export const wireguardGo = peerPath({
  name: 'wireguard-go',
  title: 'wireguard-go',
  overhead: OVERHEAD,
  device: deviceOf,
  notes: ['ChaCha20-Poly1305'],
  async prepare(ends) {
    for (const end of ends) {
      const { stdout: key } = await end.host.exec(['wg', 'genkey']);
      writePeerFile(end, 'private', key);
      const { stdout: publicKey } = await end.host.exec(['wg', 'pubkey'], { input: key });
      const other = ends.find(({ host }) => host === end.other)!;
      writePeerFile(other, 'peer', publicKey);
    }
  },
  async start(end) {
    const { host, other, dir } = end;
    const device = deviceOf(end);
    const daemon = host.spawn(['wireguard-go', '-f', device], { env: { LOG_LEVEL: 'verbose' } });
    await daemon.prints(/UAPI listener started/);
    await deviceAppears(end, device);
    const { stdout: peer } = await host.exec(['cat', join(dir, 'peer')]);
    const own = ['private-key', join(dir, 'private'), 'listen-port', `${PORT}`];
    const toOther = ['allowed-ips', sliceOf(other), 'endpoint', `${other.address}:${PORT}`];
    await host.exec(['wg', 'set', device, ...own, 'peer', peer.trim(), ...toOther]);
  },
});

/** Its control sockets share one directory for all namespaces of the machine, so the name is the lab's own. */
function deviceOf({ lab, host }: PeerEnd): string {
  return `wg-${lab.name.split('-').at(-1)}-${host.index}`;
}

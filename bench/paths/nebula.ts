/**
 * nebula, with its cipher (AES-256-GCM): it has none without. The slices are its "unsafe routes".
 */
import { join } from 'node:path';
import type { Host } from '../lab/host.js';
import { type PeerEnd, peerPath, writePeerFile } from './peer.js';
import { sliceOf } from './slice.js';

const DEVICE = 'nebula0';
/** Outer IPv4 and UDP, 16 bytes of header, 16 of tag. */
const OVERHEAD = 60;
const PORT = 4242;
const READ_BUFFER = 4 << 20;

export const nebula = peerPath({
  name: 'nebula',
  title: 'nebula',
  overhead: OVERHEAD,
  device: DEVICE,
  notes: ['AES-256-GCM'],
  async prepare(ends) {
    const [first] = ends;
    const { host, dir } = first!;
    const ca = { key: join(dir, 'ca.key'), certificate: join(dir, 'ca.crt') };
    await host.exec(['nebula-cert', 'ca', '-name', 'lab', '-out-key', ca.key, '-out-crt', ca.certificate]);
    for (const end of ends) {
      const files = ['-out-key', join(end.dir, 'host.key'), '-out-crt', join(end.dir, 'host.crt')];
      const what = [
        '-name',
        `h${end.host.index}`,
        '-ip',
        `${addressOf(end.host)}/24`,
        '-subnets',
        sliceOf(end.host),
      ];
      await host.exec([
        'nebula-cert',
        'sign',
        '-ca-key',
        ca.key,
        '-ca-crt',
        ca.certificate,
        ...what,
        ...files,
      ]);
      writePeerFile(end, 'config.yml', configOf(end, ca.certificate));
    }
  },
  async start(end) {
    const daemon = end.host.spawn(['nebula', '-config', join(end.dir, 'config.yml')]);
    await daemon.prints(/Nebula interface is active/);
  },
});

function addressOf(host: Host): string {
  return `10.251.0.${host.index}`;
}

/** JSON, which is YAML. */
function configOf({ host, other, dir, mtu }: PeerEnd, ca: string): string {
  const anything = [{ port: 'any', proto: 'any', host: 'any' }];
  return JSON.stringify({
    pki: { ca, cert: join(dir, 'host.crt'), key: join(dir, 'host.key') },
    static_host_map: { [addressOf(other)]: [`${other.address}:${PORT}`] },
    lighthouse: { am_lighthouse: false },
    listen: {
      host: host.address,
      port: PORT,
      batch: 64,
      read_buffer: READ_BUFFER,
      write_buffer: READ_BUFFER,
    },
    cipher: 'aes',
    tun: {
      dev: DEVICE,
      mtu,
      tx_queue: 1000,
      unsafe_routes: [{ route: sliceOf(other), via: addressOf(other) }],
    },
    firewall: { outbound: anything, inbound: anything },
  });
}

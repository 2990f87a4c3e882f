/**
 * What the other projects' userspace tunnels have in common: slices on both hosts, a tunnel device between them, and a
 * route to the other's slice into it. Each peer adds how its daemon is configured and started.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../lab/host.js';
import type { Lab } from '../lab/lab.js';
import type { BenchPath } from './path.js';
import { buildSlice, containerEnds, sliceOf } from './slice.js';

/** One end of a tunnel between two hosts. */
export interface PeerEnd {
  lab: Lab;
  host: Host;
  other: Host;
  /** Of the tunnel device and all behind it. */
  mtu: number;
  /** For the daemon's files. */
  dir: string;
}

export interface Peer {
  name: string;
  title: string;
  /** Bytes that the tunnel adds to a packet, rounded up. */
  overhead: number;
  notes: readonly string[];
  /** What both ends need before either can start. */
  prepare?(ends: readonly PeerEnd[]): Promise<void>;
  /** The name of an end's tunnel device. */
  device: string | ((end: PeerEnd) => string);
  /** The largest MTU that it can carry, where it has a limit. */
  largestMtu?: number;
  /** Starts the daemon of one end, host 1's first. Its device may appear later. */
  start(end: PeerEnd): Promise<void>;
}

export function peerPath(peer: Peer): BenchPath {
  return {
    name: peer.name,
    title: peer.title,
    kind: 'peer',
    async setUp(lab) {
      const mtu = Math.min(lab.mtu - peer.overhead, peer.largestMtu ?? lab.mtu);
      const ends = [endOf(lab, 1, 2, mtu), endOf(lab, 2, 1, mtu)];
      await Promise.all(ends.map(({ host }) => buildSlice(host, mtu)));
      await peer.prepare?.(ends);
      for (const end of ends) await peer.start(end);
      await Promise.all(ends.map((end) => useDevice(peer, end)));
      return { ...containerEnds(lab), notes: [`MTU ${mtu}`, ...peer.notes] };
    },
  };
}

async function useDevice({ device }: Peer, end: PeerEnd): Promise<void> {
  const name = typeof device === 'string' ? device : device(end);
  await deviceAppears(end, name);
  const { host, other, mtu } = end;
  await host.ip(`link set ${name} mtu ${mtu} up`, `route replace ${sliceOf(other)} dev ${name}`);
}

function endOf(lab: Lab, index: number, other: number, mtu: number): PeerEnd {
  const host = lab.host(index);
  const dir = join(host.dir, 'peer');
  mkdirSync(dir);
  return { lab, host, other: lab.host(other), mtu, dir };
}

/** Writes a file of an end and returns its path. Only root reads it: there are keys among them. */
export function writePeerFile({ dir }: PeerEnd, name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** Waits until the device exists in the end's host. */
export async function deviceAppears({ host }: PeerEnd, device: string): Promise<void> {
  const tries = 'for i in $(seq 100); do [ -e "/sys/class/net/$0" ] && exit 0; sleep 0.05; done; exit 1';
  const { code } = await host.exec(['sh', '-c', tries, device], { anyExit: true });
  if (code !== 0) throw new Error(`its device ${device} didn't appear within 5 s`);
}

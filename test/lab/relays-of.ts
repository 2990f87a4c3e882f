/** The relays of a host (host/relays.ts), and how many frames went into each. */
import type { Host } from '../../bench/lab/host.js';

export interface RelayView {
  name: string;
  frames: number;
}

interface LinkRow {
  ifname: string;
  stats64: { tx: { packets: number } };
}

export async function relaysOf(host: Host): Promise<RelayView[]> {
  const { stdout } = await host.exec(['ip', '-json', '-statistics', 'link', 'show']);
  return (JSON.parse(stdout) as LinkRow[])
    .filter(({ ifname }) => /^relay-\d+$/.test(ifname))
    .map(({ ifname, stats64 }) => ({ name: ifname, frames: stats64.tx.packets }));
}

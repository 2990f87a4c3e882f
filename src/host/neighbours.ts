/** Hosts that the kernel knows on a device, from `ip -json neigh`. */
import { parseAddress } from '../addr/ipv4-address.js';
import { ipJson } from './run.js';

interface NeighbourRow {
  dst?: string;
  lladdr?: string;
  state?: string[];
}

/** The addresses, u32, of those of which it has, or of late had, the hardware address. */
export async function readNeighbours(device: string): Promise<number[]> {
  const rows = await ipJson<NeighbourRow>(['-4', 'neigh', 'show', 'dev', device]);
  return rows.flatMap(({ dst, lladdr }) =>
    dst === undefined || lladdr === undefined ? [] : [parseAddress(dst)],
  );
}
